"""What a graph cannot be, where it is built and where it is run or priced: one code for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from spikeport.comparison import comparison
from spikeport.comparison.intervals import wilson
from spikeport.costs import derive, estimate, shipped
from spikeport.engine import simulate, synapse
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Delay, Flatten, Graph, Input, Linear, Node, Pool, Readout
from spikeport.graph.arrays import over_neurons
from spikeport.mapping.fit import fit
from spikeport.record import Record, join
from spikeport.target import Request

T = 3
ONE = np.ones((2, 2), np.float32)


def lif(**changes):
    return LIF((2,), np.float32(0.5), np.ones(T, np.float32), **changes)


def out(n=2):
    return Readout((n,), np.ones(T, np.float32))


def chain(**nodes):
    return Graph.chain(nodes, T)


def forked():
    """Two nodes lead nowhere."""
    nodes = {"input": Input((2,)), "a": lif(), "b": lif()}
    return Graph(nodes, (("input", "a"), ("input", "b")), T)


def two_inputs():
    nodes = {"input": Input((2,)), "other": Input((2,)), "lif": lif()}
    return Graph(nodes, (("input", "lif"), ("other", "lif")), T)


@dataclass(frozen=True, eq=False)
class Unknown(Node):
    """A node of a type that nobody has heard of."""

    def output_shape(self, source):
        return source


def looping():
    """A loop with a delay but no neurons in it."""
    nodes = {
        "input": Input((2,)),
        "fc": Linear(ONE),
        "past": Delay((2,)),
        "lif": lif(),
        "head": Linear(ONE),
        "out": out(),
    }
    edges = (("input", "fc"), ("fc", "past"), ("past", "fc"), ("fc", "lif"), ("lif", "head"), ("head", "out"))
    return Graph(nodes, edges, T)


def looped():
    samples = np.ones((1, 2), np.float32)
    record = simulate(looping(), samples, Request(trains=True))
    return derive(looping(), samples, record)


def priced(**changes):
    graph, samples = chain(input=Input((2,)), fc=Linear(ONE), lif=lif(), out=out()), np.ones((1, 2), np.float32)
    record = simulate(graph, samples, Request(events=True, trains=True))
    return estimate(graph, record, [shipped()["45nm-fp32"].model_copy(update=changes)])


def two_pools():
    """Two branches of one layer, each pooled its own way, add up before a synapse."""
    conv = Conv(np.ones((1, 1, 1, 1), np.float32))
    nodes = {
        "input": Input((1, 4, 4)),
        "lif": LIF((1, 4, 4), np.float32(0), np.ones(T, np.float32)),
        "small": Pool("sum", (2, 2), (2, 2), (0, 0)),
        "large": Pool("sum", (3, 3), (1, 1), (0, 0)),
        "conv": conv,
        "last": LIF((1, 2, 2), np.float32(0), np.ones(T, np.float32)),
    }
    edges = (("input", "lif"), ("lif", "small"), ("lif", "large"), ("small", "conv"), ("large", "conv"))
    return Graph(nodes, (*edges, ("conv", "last")), T)


CONV = np.ones((2, 1, 3), np.float32)
REFUSED = {
    "reset": ("SP102", lambda: lif(reset="half")),
    "compare": ("SP102", lambda: lif(compare="<")),
    "decays of three neurons for two": ("SP104", lambda: LIF((2,), np.ones(3) / 2, np.ones(T))),
    "biases of two axes for one": ("SP104", lambda: over_neurons(np.ones((2, 2)), (2,))),
    "a bias of one output for two": ("SP105", lambda: Linear(ONE, np.ones(1, np.float32))),
    "a matrix of three axes": ("SP105", lambda: Linear(np.ones((2, 2, 2)))),
    "a convolution without a kernel": ("SP105", lambda: Conv(ONE)),
    "a stride of zero": ("SP105", lambda: Conv(CONV, stride=(0,))),
    "groups": ("SP105", lambda: Conv(np.ones((3, 1, 3)), groups=2)),
    "a pool's kind": ("SP105", lambda: Pool("max", (2,), (2,), (0,))),
    "a pool's stride": ("SP105", lambda: Pool("sum", (2,), (0,), (0,))),
    "no delay": ("SP107", lambda: Delay((2,), 0)),
    "two ends": ("SP112", forked),
    "two inputs": ("SP112", two_inputs),
    "no records": ("SP121", lambda: join([])),
    "records of two networks": ("SP976", lambda: join([Record("a", ONE, {}, {}), Record("a", ONE[:, :1], {}, {})])),
    "an unknown node": ("SP503", lambda: synapse.apply(Unknown(), ONE)),
    "a function of costs": ("SP705", lambda: priced(function="guess")),
    "a constant too few": ("SP705", lambda: priced(constants={})),
    "a loop without neurons": ("SP706", looped),
    "two synapses in a row": ("SP722", lambda: fit(chain(input=Input((2,)), a=Linear(ONE), b=Linear(ONE), lif=lif()))),
    "two pools": ("SP722", lambda: fit(two_pools())),
    "no neurons to place": ("SP723", lambda: fit(chain(input=Input((2,)), flat=Flatten()))),
    "more hits than trials": ("SP802", lambda: wilson(4, 3)),
    "no trials": ("SP802", lambda: wilson(0, 0)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_by_its_code(what):
    code, build = REFUSED[what]
    with pytest.raises(SpikeportError) as caught:
        build()
    assert code in {finding.code for finding in caught.value.findings}
    assert all(finding.what for finding in caught.value.findings)


def test_gates_name_what_is_not_met():
    """One of four samples is answered otherwise, after two spikes that differ."""
    graph = chain(input=Input((2,)), fc=Linear(np.eye(2, dtype=np.float32)), lif=lif(), out=out())
    samples = np.asarray([[2, 0], [2, 0], [0, 2], [0, 2]], np.float32)
    other = samples.copy()
    other[0] = [0, 2]
    records = [simulate(graph, each, Request(trains=True)) for each in (samples, other)]
    judged = comparison(*records, labels=np.asarray([0, 0, 1, 1]))
    assert judged.parity.spike_mismatches == 2 * T
    gates = {"max_spike_mismatch": 2 * T - 1, "max_accuracy_drop": 0.24, "min_agreement": 0.76}
    assert [finding.code for finding in judged.failures(**gates)] == ["SP810", "SP811", "SP812"]
    met = {"max_spike_mismatch": 2 * T, "max_accuracy_drop": 0.25, "min_agreement": 0.75}
    assert list(judged.failures(**met)) == []


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (-2,)])
def test_a_layer_without_neurons_is_no_layer(shape):
    nodes = {"input": Input(shape), "lif": LIF(shape, np.float32(0.5), np.ones(2, np.float32))}
    with pytest.raises(SpikeportError, match="gives values of shape") as caught:
        Graph.chain(nodes, 2)
    assert caught.value.code == "SP106"


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (Linear(np.ones((0, 3), np.float32)), "SP106"),
        (Conv(np.ones((1, 3, 0, 1), np.float32)), "SP106"),
        (LIF((3,), np.float32(0.5), np.ones(2, np.float32), unit=np.float32(0)), "SP115"),
        (Readout((3,), np.ones(2, np.float32), unit=np.float32(-1)), "SP115"),
    ],
)
def test_a_node_without_numbers_or_with_a_unit_of_nothing_is_no_node(node, code):
    entry = Input((3, 5, 5)) if isinstance(node, Conv) else Input((3,))
    with pytest.raises(SpikeportError) as caught:
        Graph.chain({"input": entry, "node": node}, 2)
    assert code in [finding.code for finding in caught.value.findings]
