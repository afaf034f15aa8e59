"""Each cause, planted alone into a network, is the one that the tool names first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.comparison import causes, enough, parity
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, Delay, Flatten, Graph, Input, Linear, Loihi, Readout, Real
from spikeport.graph.work import multiply_adds
from spikeport.quantisation import prepare, quantize
from spikeport.target import Request

T = 5
THRESHOLDS = np.array([1.0, 0.8, 1.3, 0.9, 1.1])


def network(seed=0, dtype="float64", **changes):
    """Two convolutions and a dense layer; gains chosen so that all layers fire."""
    rng = np.random.default_rng(seed)
    real = np.dtype(dtype)

    def array(*shape, scale):
        return (rng.normal(0.08, 0.35, shape) * scale).astype(real)

    def lif(shape):
        bias = rng.normal(0, 0.1, shape[0]).astype(real)
        return LIF(shape, real.type(0.6), THRESHOLDS.astype(real), bias=bias)

    nodes = {
        "input": Input((2, 6, 6)),
        "conv1": Conv(array(6, 2, 3, 3, scale=1.0), padding=(1, 1)),
        "lif1": lif((6, 6, 6)),
        "conv2": Conv(array(8, 6, 3, 3, scale=0.8), stride=(2, 2), padding=(1, 1)),
        "lif2": lif((8, 3, 3)),
        "flatten": Flatten(),
        "fc": Linear(array(16, 72, scale=0.6)),
        "lif3": lif((16,)),
        "head": Linear(array(4, 16, scale=1.0)),
        "out": Readout((4,), np.full(T, 1 / T, real)),
    }
    return Graph.chain(nodes | changes, timesteps=T, arithmetic=Real(dtype))


def samples(count=40, seed=5):
    return np.random.default_rng(seed).random((count, 2, 6, 6))


def lifs(graph, change):
    return graph.replace({name: change(node) for name, node in graph.nodes_of(LIF).items()})


def synapses(graph, change):
    kinds = graph.nodes_of(Conv, Linear)
    return graph.replace({name: node.with_(weight=change(node.weight)) for name, node in kinds.items()})


def rounded(value, step):
    return np.rint(value / step) * step


def late(graph):
    """Every synapse hands its sum on a step later, as on a pipelined chip, and nobody shifts the thresholds."""
    for name in ("conv1", "conv2", "fc"):
        sink = graph.targets(name)[0]
        graph = graph.insert(f"delay.{name}", Delay(graph.shapes[name]), (name, sink))
    return graph


PLANTS = {
    "weights": lambda g: synapses(g, lambda w: rounded(w, 0.1)),
    "thresholds": lambda g: lifs(g, lambda n: n.with_(threshold=rounded(n.threshold, 0.25))),
    "schedule": lambda g: lifs(g, lambda n: n.with_(threshold=np.full(T, n.threshold.mean()))),
    "decay": lambda g: lifs(g, lambda n: n.with_(decay=np.asarray(0.5))),
    "bias": lambda g: lifs(g, lambda n: n.with_(bias=rounded(n.bias, 0.2))),
    "reset": lambda g: lifs(g, lambda n: n.with_(reset="subtract")),
    "bound": lambda g: lifs(g, lambda n: n.with_(lower_bound=np.asarray(-0.1))),
    "skew": late,
    "rounding": lambda g: g.with_(arithmetic=Real("float32")),
}


def first(a, b, x, **more):
    ranked = causes(a, b, x, simulate, **more)
    assert ranked, "no cause was found"
    return ranked[0]


@pytest.mark.parametrize("name", [name for name in PLANTS if name != "rounding"])
def test_a_planted_cause_is_named_first_and_explains_everything(name):
    a = network()
    b = PLANTS[name](a)
    apart = parity(*(simulate(g, samples(), Request(trains=True)) for g in (a, b))).spike_mismatches
    ranked = causes(a, b, samples(), simulate)
    assert apart > 0
    assert [cause.name for cause in ranked] == [name]
    assert ranked[0].mismatches == apart
    assert ranked[0].share == 1
    assert ranked[0].explained == 1


@pytest.mark.parametrize("pick", [np.mean, np.min, np.max, lambda t: t[0], lambda t: t[-1]])
def test_any_usual_constant_for_a_schedule_is_called_a_collapse(pick):
    a = network()
    b = lifs(a, lambda node: node.with_(threshold=np.full(T, pick(node.threshold))))
    assert [cause.name for cause in causes(a, b, samples(), simulate)] == ["schedule"]


def test_a_collapse_and_a_rounding_are_told_apart():
    a = network()
    b = lifs(a, lambda node: node.with_(threshold=np.full(T, node.threshold.mean() + 0.06)))
    ranked = causes(a, b, samples(), simulate)
    assert {cause.name for cause in ranked} == {"schedule", "thresholds"}


def test_a_comparison_is_named_where_membranes_meet_thresholds():
    """Whole weights, thresholds and inputs: ties everywhere."""
    a = synapses(network(), lambda weight: np.rint(4 * weight))
    a = lifs(a, lambda node: node.with_(decay=np.asarray(1.0), bias=np.asarray(0.0), threshold=np.full(T, 3.0)))
    x = np.rint(samples())
    b = lifs(a, lambda node: node.with_(compare=">"))
    assert first(a, b, x).name == "compare"


def test_float_rounding_is_named_where_only_the_last_bits_differ():
    """float32 against float64 on a lattice of ties: tenths, which neither holds exactly."""
    a = synapses(network(), lambda weight: rounded(weight, 0.1))
    a = lifs(a, lambda node: node.with_(decay=np.asarray(1.0), bias=np.asarray(0.0), threshold=np.full(T, 0.7)))
    x = rounded(samples(), 0.5)
    ranked = causes(a, a.with_(arithmetic=Real("float32")), x, simulate)
    assert [cause.name for cause in ranked] == ["rounding"]


def test_two_runs_that_round_alike_have_no_cause_to_part():
    """Both are float32, both differ from float64, and neither differs from the other."""
    a = synapses(network(dtype="float32"), lambda weight: rounded(weight, 0.1).astype(np.float32))
    assert causes(a, a, samples(), simulate) == []


def test_the_order_of_sums_is_named_where_two_targets_add_differently():
    """The same float32 network with its input channels in another order: the same sums, other last bits."""
    a = synapses(network(dtype="float32"), lambda weight: rounded(weight, 0.1).astype(np.float32))
    a = lifs(a, lambda node: node.with_(decay=np.float32(1), bias=np.float32(0), threshold=np.full(T, 0.7, np.float32)))
    x = rounded(samples(), 0.5).astype(np.float32)
    mirrored = a.replace({"conv1": a["conv1"].with_(weight=a["conv1"].weight[:, ::-1].copy())})
    other = simulate(mirrored, x[:, ::-1].copy(), Request(trains=True))
    if parity(simulate(a, x, Request(trains=True)), other).spike_mismatches == 0:
        pytest.skip("this machine adds both orders to the same bits")
    assert [cause.name for cause in causes(a, a, x, simulate, b_record=other)] == ["rounding"]


def integers(weight_step=1 / 32):
    """A network of integers: whole mantissas, one unit for all layers."""
    graph = network()

    def mantissas(node):
        return node.with_(weight=np.clip(np.rint(node.weight / weight_step), -128, 127).astype(np.int8))

    def neurons(node):
        return node.with_(
            decay=np.int32(2458),
            bias=np.rint(node.bias / weight_step * 64).astype(np.int32),
            threshold=np.rint(node.threshold / weight_step).astype(np.int32),
            compare=">",
            gain=np.int32(1),
            reset_value=np.int32(0),
            unit=np.asarray(weight_step / 64),
        )

    nodes = {name: mantissas(node) for name, node in graph.nodes_of(Conv, Linear).items()}
    nodes |= {name: neurons(node) for name, node in graph.nodes_of(LIF).items()}
    nodes["out"] = Readout((4,), np.ones(T, np.int32), np.int32(0), np.asarray(weight_step / 64 / T))
    nodes["input"] = Input((2, 6, 6), low=0, high=255)
    return graph.with_(nodes={**graph.nodes, **nodes}, arithmetic=Loihi(LOIHI2))


def real_of(graph):
    """The real network that the integers stand for, written down independently of the tool."""

    def of(node):
        unit = float(node.unit)
        return node.with_(
            decay=node.decay / 4096,
            bias=node.bias * unit,
            threshold=node.threshold * 64 * unit,
            compare=">",
            gain=np.asarray(1.0),
            reset_value=np.asarray(0.0),
            unit=np.asarray(1.0),
        )

    units = {"conv1": "lif1", "conv2": "lif2", "fc": "lif3"}
    nodes = {name: of(node) for name, node in graph.nodes_of(LIF).items()}
    for name, node in graph.nodes_of(Conv, Linear).items():
        unit = float(graph[units[name]].unit) if name in units else float(graph["out"].unit) * T
        nodes[name] = node.with_(weight=node.weight.astype(float) * 64 * 2.0**node.exponent * unit, exponent=0)
    nodes["out"] = Readout((4,), np.full(T, 1 / T))
    nodes["input"] = Input((2, 6, 6))
    return graph.with_(nodes={**graph.nodes, **nodes}, arithmetic=Real("float64"))


def test_the_integers_own_numbers_leave_only_truncation():
    b = integers(weight_step=1.0)  # units so coarse that truncating membranes matters
    ranked = causes(real_of(b), b, np.rint(3 * samples()), simulate)
    assert {cause.name for cause in ranked} == {"truncation"}


def test_input_that_is_rounded_is_named():
    b = integers()
    assert first(real_of(b), b, samples()).name == "input"


def test_saturation_is_named():
    """Exponents so large that sums leave 24 bits, with the thresholds that go with them."""
    b = integers()
    b = b.replace({name: node.with_(exponent=7) for name, node in b.nodes_of(Conv, Linear).items() if name != "head"})
    b = lifs(b, lambda node: node.with_(threshold=np.full(T, 2**17 - 1, np.int32), reset="subtract"))
    x = np.rint(255 * samples())
    a = real_of(b)
    assert simulate(b, x).overflows
    cause = first(a, b, x)
    assert cause.name == "saturation"


def test_sums_that_wrap_are_named_beside_membranes_that_saturate():
    """Eleven bits hold sums of 16 units; nothing saturates there."""
    narrow = Loihi(replace(LOIHI2, name="narrow", accumulator_bits=11))
    b, x = integers().with_(arithmetic=narrow), np.rint(255 * samples())
    kinds = {kind for node in simulate(b, x).overflows.values() for kind in node}
    assert kinds == {"accumulator wrapped"}
    assert first(real_of(b), b, x).name == "wrap"


def test_a_target_that_computes_something_else_is_named():
    b = integers()
    x = np.rint(3 * samples())
    wrong = simulate(lifs(b, lambda node: node.with_(decay=np.int32(2000))), x, Request(trains=True))
    ranked = causes(real_of(b), b, x, simulate, b_record=wrong)
    assert ranked[0].name == "target"


@pytest.mark.parametrize("bits", [2, 4])
def test_few_weight_bits_are_the_first_cause_after_quantising(bits):
    """Weights explain more than half of what differs; thresholds in the coarse unit of the sums have a part in it."""
    a = network(dtype="float32")
    x = np.rint(samples() * 16).astype(np.float32) / 16
    quantised = quantize(a, x, weight_bits=bits, run=simulate)
    ranked = causes(prepare(a), quantised.graph, x, simulate)
    assert ranked[0].name == "weights"
    assert ranked[0].explained > 0.5
    assert sum(cause.share for cause in ranked) == pytest.approx(1)


def test_the_effect_on_accuracy_is_that_of_the_switch_alone():
    a = network()
    b = PLANTS["reset"](a)
    labels = np.random.default_rng(3).integers(0, 4, 40)
    cause = first(a, b, samples(), labels=labels)
    assert cause.accuracy == simulate(b, samples()).accuracy(labels) - simulate(a, samples()).accuracy(labels)


def test_the_same_integers_have_no_cause_to_part():
    b = integers()
    assert causes(b, b, np.rint(3 * samples()), simulate) == []


def test_networks_that_are_no_versions_of_each_other_are_refused_with_every_difference():
    a = network()
    b = network(
        fc=Linear(np.ones((15, 72))), lif3=LIF((15,), np.asarray(0.5), THRESHOLDS), head=Linear(np.ones((4, 15)))
    )
    with pytest.raises(SpikeportError) as caught:
        causes(a, b, samples(), simulate)
    assert {finding.where for finding in caught.value.findings} == {"node 'fc'", "node 'lif3'"}
    assert caught.value.code == "SP805"


def test_large_networks_are_looked_into_on_fewer_samples():
    """A dozen runs in float64 of the first are 256 samples long; of one with 2 * 10^9 multiply-adds a step 16."""
    small = network()
    assert enough(small) == 256
    assert {cause.samples for cause in causes(small, PLANTS["decay"](small), samples(7), simulate)} == {7}
    wide = Conv(np.zeros((256, 256, 3, 3), np.float32), padding=(1, 1))
    nodes = {"input": Input((256, 64, 64)), "a": wide, "out": Readout((256, 64, 64), np.ones(T, np.float32))}
    large = Graph.chain(nodes, timesteps=T, arithmetic=Real("float32"))
    assert multiply_adds(large) == {"a": 256 * 256 * 9 * 64 * 64}
    assert enough(large) == 16
