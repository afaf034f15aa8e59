"""Single neurons and synapses, each fact from the equations, with numbers small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, CubaLIF, Graph, Input, Linear, Loihi, Readout
from spikeport.target import Request, target

TOP = 2**23 - 1
ALL = Request(trains=True, membranes=True)


def real_neuron(currents, thresholds, **options):
    """Spikes and membranes of one neuron that gets ``currents``."""
    node = LIF((1,), threshold=np.asarray(thresholds, np.float32), **{"decay": np.float32(1), **options})
    graph = Graph({"input": Input((1,), "events"), "lif": node}, (("input", "lif"),), len(thresholds))
    record = simulate(graph, np.asarray(currents, np.float32).reshape(-1, 1, 1), ALL)
    return record.trains["lif"].unpack().astype(int).ravel().tolist(), record.membranes["lif"].ravel().tolist()


def integer_neuron(inputs, thresholds, weight=1, exponent=0, kind=LIF, low=-128, high=127, **options):
    """The same behind one integer synapse."""
    node = kind((1,), threshold=np.asarray(thresholds), compare=">", **{"decay": np.asarray(4096), **options})
    nodes = {
        "input": Input((1,), "events", low=low, high=high),
        "fc": Linear(np.asarray([[weight]], np.int8), exponent=exponent),
        "lif": node,
    }
    graph = Graph(nodes, (("input", "fc"), ("fc", "lif")), len(thresholds), Loihi(LOIHI2))
    record = simulate(graph, np.asarray(inputs).reshape(-1, 1, 1), ALL)
    return (
        record.trains["lif"].unpack().astype(int).ravel().tolist(),
        record.membranes["lif"].ravel().tolist(),
        record.overflows.get("lif", {}),
    )


@pytest.mark.parametrize(("compare", "spike"), [(">=", 1), (">", 0)])
def test_a_neuron_exactly_at_threshold_fires_if_it_compares_with_equal(compare, spike):
    assert real_neuron([1.0], [1.0], compare=compare)[0] == [spike]


def test_each_step_has_its_own_threshold():
    assert real_neuron([1, 1, 1], [2.0, 2.5, 3.0]) == ([0, 0, 1], [1, 2, 0])


@pytest.mark.parametrize(("reset", "left"), [("zero", 0.0), ("subtract", 0.5), ("value", -0.25), ("none", 1.5)])
def test_the_four_resets(reset, left):
    assert real_neuron([1.5], [1.0], reset=reset, reset_value=np.float32(-0.25)) == ([1], [left])


def test_gain_scales_the_input_and_not_the_bias():
    assert real_neuron([1.0], [9.0], gain=np.float32(2), bias=np.float32(0.5))[1] == [2.5]


def test_integers_fire_strictly_above_threshold():
    assert integer_neuron([5], [5])[0] == [0]
    assert integer_neuron([6], [5])[0] == [1]
    assert integer_neuron([5], [5], bias=np.asarray(1))[0] == [1]


def test_decay_truncates_towards_zero_on_both_sides():
    # 64 * 2049 / 4096 = 32.015..., 32 * 2049 / 4096 = 16.007..., 16 -> 8.003...: a floor would give -33, -17, -9
    assert integer_neuron([1, 0, 0, 0], [9] * 4, decay=np.asarray(2049))[1] == [64, 32, 16, 8]
    assert integer_neuron([-1, 0, 0, 0], [9] * 4, decay=np.asarray(2049))[1] == [-64, -32, -16, -8]


def test_a_negative_exponent_rounds_towards_minus_infinity():
    assert integer_neuron([3], [9], exponent=-1)[1] == [1 * 64]
    assert integer_neuron([-3], [9], exponent=-1)[1] == [-2 * 64]
    assert integer_neuron([3], [999], exponent=7)[1] == [3 * 128 * 64]


@pytest.mark.parametrize("sign", [1, -1])
def test_membranes_saturate_at_24_bits_and_say_so(sign):
    spikes, membrane, overflows = integer_neuron(
        [127 * sign] * 3, [2**17 - 1] * 3, weight=127, exponent=3, reset="none"
    )
    one = 127 * 127 * 8 * 64
    assert membrane == [sign * one, sign * TOP, sign * TOP]
    assert overflows == {"membrane saturated": 2}
    assert spikes == ([0, 1, 1] if sign > 0 else [0, 0, 0])  # the top, 2**23 - 1, lies above (2**17 - 1) * 64


def test_a_sum_beyond_24_bits_is_counted():
    _, _, overflows = integer_neuron([127], [1], weight=127, exponent=7)
    assert overflows["sum beyond 24 bits"] == 1


def test_the_synaptic_current_decays_by_itself():
    _, membrane, _ = integer_neuron(
        [10, 0, 0], [999] * 3, kind=CubaLIF, decay=np.asarray(1), current_decay=np.asarray(2048)
    )
    # i = 640, 320, 160; the membrane keeps 1/4096 of itself, that is nothing
    assert membrane == [640, 320, 160]


def test_an_integer_readout_shifts_its_input_as_a_neuron_does():
    nodes = {
        "input": Input((2,), "events", low=0, high=9),
        "out": Readout((2,), np.asarray([2, -1]), bias=np.asarray([0, 5]), unit=np.float64(1)),
    }
    graph = Graph(nodes, (("input", "out"),), 2, Loihi(LOIHI2))
    record = simulate(graph, np.asarray([[[1, 2]], [[3, 4]]]))
    assert record.outputs.tolist() == [[2 * 64 - 3 * 64, 2 * (2 * 64 + 5) - (4 * 64 + 5)]]


def test_graded_input_is_never_binarised():
    assert integer_neuron([4], [99], weight=3, low=0, high=4)[1] == [12 * 64]


def test_input_beyond_what_the_graph_was_made_for_is_refused():
    with pytest.raises(SpikeportError, match=r"SP504.*0 \.\.\. 5 units.*0 \.\.\. 4"):
        integer_neuron([0, 5], [9, 9], low=0, high=4)


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_the_samples_beyond_are_counted_and_the_ends_are_given_in_the_datas_own_units(coding):
    """Half units: 2.5 and -1 are 5 and -2 of them; values that round to the last whole one are within."""
    nodes = {"in": Input((3,), coding, unit=np.float64(0.5), low=0, high=4), "fc": Linear(np.ones((2, 3), np.int8))}
    nodes["out"] = Readout((2,), np.ones(2, np.int64))
    graph = Graph.chain(nodes, 2, arithmetic=Loihi(LOIHI2))
    x = np.full((5, 3), 2.2)
    x[2, 1], x[4, 0] = 2.5, -1
    x = x if coding == "direct" else np.stack([np.zeros_like(x), x])
    with pytest.raises(SpikeportError, match=r"SP504.*-2 \.\.\. 5 units.*2 of 5 samples.*number 2") as caught:
        simulate(graph, x)
    assert "at 0 and 2, as" in caught.value.findings[0].mend
    simulate(graph, x.clip(0, 2))


@pytest.mark.parametrize(
    "kind", ["uint8", "bool", "int8", "int16", "uint16", "int64", "float16", "float32", ">f4", ">i2", "f8"]
)
@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("integers", [True, False])
def test_input_of_any_number_type_is_the_same_input(kind, shape, integers):
    """Also where it is read-only, strided, or in the other byte order."""
    node = LIF(shape, np.asarray(1 if integers else 1.0), np.asarray([0 if integers else 0.5]), compare=">")
    graph = Graph({"input": Input(shape, low=0, high=255), "lif": node}, (("input", "lif"),), 1)
    graph = graph.with_(arithmetic=Loihi(LOIHI2)) if integers else graph
    frames = np.random.default_rng(0).integers(0, 2, (5, *shape, 2)).astype(kind)[..., 0]
    frames.flags.writeable = False
    record = simulate(graph, frames, ALL)
    np.testing.assert_array_equal(record.trains["lif"].unpack()[0], frames.astype(bool))


def test_samples_become_integers_by_rounding_ties_to_even():
    nodes = {
        "input": Input((4,), unit=np.float64(0.5), low=0, high=9),
        "out": Readout((4,), np.ones(1), bias=np.zeros(())),
    }
    graph = Graph.chain(nodes, timesteps=1, arithmetic=Loihi(LOIHI2))
    assert simulate(graph, np.asarray([[0.25, 0.75, 1.0, 1.3]])).outputs.tolist() == [[0, 2 * 64, 2 * 64, 3 * 64]]


def test_each_target_refuses_the_other_arithmetic_before_it_runs():
    real = Graph({"input": Input((1,)), "lif": LIF((1,), np.asarray(1.0), np.ones(1))}, (("input", "lif"),), 1)
    node = LIF((1,), np.asarray(1), np.ones(1, int), compare=">")
    integer = real.replace({"lif": node}).with_(arithmetic=Loihi(LOIHI2))
    frames = np.zeros((1, 1))
    for name, right, wrong in (("reference", real, integer), ("integer", integer, real)):
        assert target(name).check(right) == []
        assert target(name).run(right, frames, Request()).samples == 1
        with pytest.raises(SpikeportError, match="SP505"):
            target(name).run(wrong, frames, Request())


@pytest.mark.parametrize("frames", [np.zeros((2, 3, 1)), np.zeros(1), np.asarray([[np.nan]]), np.asarray([["a"]])])
def test_input_that_is_no_batch_of_finite_numbers_is_refused(frames):
    graph = Graph({"input": Input((1,)), "lif": LIF((1,), np.asarray(1.0), np.ones(1))}, (("input", "lif"),), 1)
    with pytest.raises(SpikeportError, match="SP502"):
        simulate(graph, frames)
