"""Accumulators and shifts of weights, as a profile states them: from the equations, and on every way of computing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.engine.target import Integer
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, SPECK, CubaLIF, Graph, Input, Linear, Loihi, Profile, Readout, definition
from spikeport.graph.shifts import shift_each
from spikeport.quantisation import load_profile
from spikeport.target import Request
from spikeport_targets.onnxruntime import OnnxRuntime

EVERYTHING = Request(trains=True, membranes=True)
NARROW = replace(LOIHI2, name="narrow", accumulator_bits=12)  # -2048 ... 2047: sums of -32 ... 31
EACH = replace(LOIHI2, name="each", weight_shift="each")


def network(profile, weight, threshold=20, exponent=0):
    nodes = {
        "input": Input((2,), low=0, high=10),
        "fc": Linear(np.array([weight], np.int8), exponent=exponent),
        "lif": LIF((1,), np.asarray(4096), np.array([threshold] * 2), np.asarray(0), compare=">", gain=np.asarray(1)),
        "out": Readout((1,), np.array([1, 1]), np.asarray(0)),
    }
    return Graph.chain(nodes, 2, arithmetic=Loihi(profile))


def runs(graph, x):
    """The record of each way of computing."""
    for kernels in ("plain", "fast"):
        yield simulate(graph, x, EVERYTHING, kernels=kernels)


@pytest.mark.parametrize(("x", "wrapped", "u"), [(3, 0, 27 * 64), (4, 2, -28 * 64)])
def test_a_sum_beyond_the_accumulator_wraps_and_is_counted(x, wrapped, u):
    """9 x: 27 of -32 ... 31, or 36, which is -28 in twelve bits of which six are behind the point."""
    graph, samples = network(NARROW, [9, 0], threshold=100), np.array([[x, 1.0]])
    assert definition.run(graph, samples).membranes["lif"].ravel().tolist() == [u, 2 * u]
    for record in runs(graph, samples):
        assert record.membranes["lif"].ravel().tolist() == [u, 2 * u]
        assert record.overflows.get("lif", {}).get("accumulator wrapped", 0) == wrapped


def test_several_synapses_share_one_accumulator():
    """20 + 20 wraps though neither does: -24, twice, below zero; without wrapping it would fire."""
    graph = network(NARROW, [20, 20])
    assert definition.run(graph, np.array([[1.0, 1.0]])).outputs.item() == 0
    assert [record.outputs.item() for record in runs(graph, np.array([[1.0, 1.0]]))] == [0, 0]


@pytest.mark.parametrize("kernels", ["plain", "fast"])
def test_random_graphs_wrap_alike_in_every_bit(kernels):
    """Accumulators of 9 to 20 bits, so that most graphs wrap; compiled loops count what the definition counts."""
    wrapped = 0
    for seed in range(24):
        graph, samples = random_graph(seed, integers=True)
        profile = replace(LOIHI2, accumulator_bits=9 + seed % 12, weight_shift=("sum", "each")[seed % 2])
        if all(node.reset != "value" for node in graph.nodes_of(LIF).values()):  # which would have to be whole sums
            profile = replace(profile, state_bits=(24, 9, 16)[seed % 3], fraction_bits=(6, 0, 3)[seed % 3])
        graph = graph.with_(arithmetic=Loihi(profile))
        record, truth = simulate(graph, samples, EVERYTHING, kernels=kernels), definition.run(graph, samples)
        for name in graph.nodes_of(LIF):
            assert np.array_equal(record.membranes[name], truth.after[name])
        assert record.overflows == truth.overflows
        wrapped += any("accumulator wrapped" in kinds for kinds in truth.overflows.values())
    assert wrapped > 12


def test_what_may_wrap_is_said_before_a_run_with_its_bound():
    (finding,) = [each for each in Integer().check(network(NARROW, [9, -1])) if each.code == "SP123"]
    assert "-640 ... 5760" in finding.what
    assert "-2048 ... 2047" in finding.what
    assert finding.severity == "note"
    assert not [each for each in Integer().check(network(NARROW, [3, -1])) if each.code == "SP123"]


def test_a_profile_that_refuses_ends_the_run_and_runs_what_fits():
    graph = network(replace(NARROW, accumulator_overflow="refuse"), [9, -16])
    assert simulate(graph, np.array([[3.0, 0.0]])).outputs.item() == 2 * 64
    for x, fits in (([4.0, 0.0], False), ([0.0, 2.0], True), ([0.0, 3.0], False)):  # 36, -32 and -48
        samples = np.array([x])
        ways = [lambda x=samples: definition.run(graph, x)]
        ways += [lambda x=samples, k=kernels: simulate(graph, x, kernels=k) for kernels in ("plain", "fast")]
        for run in ways:
            if fits:
                run()
                continue
            with pytest.raises(SpikeportError, match="SP122"):
                run()
    edge = network(replace(NARROW, accumulator_overflow="refuse"), [16, 0])
    for run in (definition.run, simulate):
        with pytest.raises(SpikeportError, match="SP122"):
            run(edge, np.array([[2.0, 0.0]]))  # 32, one more than there is
    assert [each.severity for each in OnnxRuntime().check(graph) if each.code == "SP123"] == ["error"]


def test_each_weight_is_shifted_before_it_is_added():
    """(3 + 3) >> 1 is 3, and (3 >> 1) + (3 >> 1) is 2; -3 >> 1 is -2, towards minus infinity."""
    x = np.array([[1.0, 1.0]])
    for weight, total, each in (([3, 3], 3, 2), ([-3, -3], -3, -4), ([2, -4], -1, -1)):
        for profile, value in ((LOIHI2, total), (EACH, each)):
            graph = network(profile, weight, exponent=-1)
            assert definition.run(graph, x).membranes["lif"][0].item() == value * 64
            assert [record.membranes["lif"][0].item() for record in runs(graph, x)] == [value * 64] * 2


def test_shifting_once_and_for_all_changes_nothing():
    graph = network(EACH, [7, -5], exponent=-2)
    shifted = shift_each(graph)
    assert shifted["fc"].weight.tolist() == [[1, -2]]
    assert shifted["fc"].exponent == 0
    x = np.array([[3.0, 2.0], [9.0, 1.0]])
    assert np.array_equal(definition.run(graph, x).membranes["lif"], definition.run(shifted, x).membranes["lif"])
    assert shift_each(network(LOIHI2, [7, -5], exponent=-2)) == network(LOIHI2, [7, -5], exponent=-2)


@pytest.mark.parametrize("profile", [NARROW, EACH, replace(LOIHI2, name="whole", state_bits=9, fraction_bits=0)])
def test_onnx_computes_it_too(profile, tmp_path):
    graph = network(profile, [9, 5], exponent=-2 if profile is EACH else 0)
    x = np.array([[10.0, 10.0], [4.0, 3.0], [1.0, 0.0]])
    record, truth = OnnxRuntime().run(graph, x, Request(trains=True)), definition.run(graph, x)
    assert np.array_equal(record.trains["lif"].unpack(), truth.spikes("lif"))
    assert np.array_equal(record.outputs, truth.outputs)


def test_a_profile_of_0_1_reads_and_writes_as_it_did():
    assert "accumulator" not in repr(LOIHI2)
    assert "weight_shift" not in LOIHI2.facts()
    assert Profile.from_facts(NARROW.facts()) == NARROW
    assert NARROW.facts()["accumulator_bits"] == 12
    assert "accumulator_bits=12" in repr(NARROW)


def test_a_users_file_may_say_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('accumulator_bits = 22\naccumulator_overflow = "refuse"\nweight_shift = "each"\n')
    profile = load_profile(path)
    assert (profile.accumulator_bits, profile.accumulator_overflow, profile.weight_shift) == (22, "refuse", "each")
    for line in ("accumulator_bits = 4", 'weight_shift = "some"', 'accumulator_overflow = "clip"'):
        path.write_text(line)
        with pytest.raises(SpikeportError, match="SP423"):
            load_profile(path)


@pytest.mark.parametrize("bits", [2, 4])
def test_weights_of_one_sign_have_no_sign_bit(bits):
    """Up to 2**bits - 1 of either sign; of both signs it is two's complement."""
    profile = replace(LOIHI2, weight_bits=bits)
    most = 2**bits - 1
    for weight in ([most, 0], [-most, 0], [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]):
        network(profile, weight)
    for weight in ([most + 1, 0], [-most - 1, 0], [-1, 2 ** (bits - 1)], [-(2 ** (bits - 1)) - 1, 1]):
        with pytest.raises(SpikeportError, match="weight spans") as caught:
            network(profile, weight)
        assert {finding.code for finding in caught.value.findings} == {"SP115"}


def test_a_decay_of_zero_is_none_that_the_format_has():
    """Numerators over 4096 start at 1: Loihi forgets all but a part of a membrane, never all."""
    with pytest.raises(SpikeportError, match=r"decay spans 0 \.\.\. 0, the format holds 1 \.\.\. 4096"):
        Graph.chain(
            {"in": Input((1,)), "lif": LIF((1,), np.int64(0), np.ones(1, int), compare=">")},
            1,
            arithmetic=Loihi(LOIHI2),
        )


def neurons(profile=LOIHI2, kind=LIF, timesteps=3, **numbers):
    layer = {"decay": np.asarray(4096), "bias": np.asarray(0), "compare": ">", "gain": np.asarray(1)} | numbers
    return Graph.chain(
        {"input": Input((1,), low=0, high=1), "lif": kind((1,), threshold=[9] * timesteps, **layer)},
        timesteps,
        arithmetic=Loihi(profile),
    )


@pytest.mark.parametrize(
    ("bits", "numbers"),
    [
        (12, {"bias": np.asarray(4096 << 7)}),  # 13 bits in two's complement and an exponent of 7: -4096 ... 4095
        (12, {"reset": "value", "reset_value": np.asarray(2**23)}),
        (8, {"decay": np.asarray(4088)}),  # a numerator over 256 is one of 16 over 4096
        (8, {"kind": CubaLIF, "current_decay": np.asarray(8)}),
    ],
)
def test_a_number_that_the_format_has_no_code_for_is_refused(bits, numbers):
    with pytest.raises(SpikeportError, match="SP115"):
        neurons(replace(LOIHI2, decay_bits=bits), **numbers)


@pytest.mark.parametrize("numbers", [{"decay": np.asarray(4095)}, {"kind": CubaLIF}])
def test_a_format_without_leak_says_what_decays(numbers):
    assert neurons(SPECK).timesteps == 3
    with pytest.raises(SpikeportError, match="SP118"):
        neurons(SPECK, **numbers)


def test_a_state_without_fraction_counts_in_whole_sums():
    """Sixteen bits hold sums up to 32767, which is 32767 * 64 in the unit of a membrane; biases are whole sums."""
    assert SPECK.state_top == 32767 * 64
    low = neurons(SPECK, bias=np.asarray(-128 * 64), timesteps=300)
    record = simulate(low, np.zeros((1, 1)), EVERYTHING)
    assert record.membranes["lif"][[0, 255, 299]].ravel().tolist() == [-128 * 64, -32767 * 64, -32767 * 64]
    with pytest.raises(SpikeportError, match="SP115"):
        neurons(SPECK, bias=np.asarray(32))


def test_the_ends_of_a_format_are_held():
    held = {"bias": np.asarray(-4096 << 7), "reset": "value", "reset_value": np.asarray(1 - 2**23)}
    coarse = replace(LOIHI2, decay_bits=8)
    assert neurons(coarse, CubaLIF, **held, decay=np.asarray(4080), current_decay=np.asarray(16)).timesteps == 3


def test_a_current_that_chips_wrap_is_named_before_the_run():
    """Three steps of 100000 units without decay, nearly: 300000 * 64 is more than 2**23, one step's is not."""
    nodes = dict(neurons(kind=CubaLIF, current_decay=np.asarray(4095)).nodes)
    nodes = {"input": nodes["input"], "fc": Linear(np.array([[100]]), exponent=0), "lif": nodes["lif"]}
    for high, codes in ((1000, ["SP644"]), (400, [])):
        entry = Input((1,), "events", low=0, high=high)
        wide = replace(LOIHI2, message_bits=16)
        graph = Graph.chain(nodes | {"input": entry}, 3, arithmetic=Loihi(wide))
        assert [each.code for each in Integer().check(graph)] == codes
