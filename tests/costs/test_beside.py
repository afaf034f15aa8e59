"""A state written out beside the neurons costs what it costs within them, but for its updates, as a note says."""

from __future__ import annotations

import numpy as np
import pytest

import spikeport
from spikeport.engine import simulate
from spikeport.graph import LIF, Delay, Graph, Input, Linear, Readout, Real, Scale
from spikeport.graph.beside import beside_neurons
from spikeport.target import Request

STEPS = 6
RNG = np.random.default_rng(0)
INWARD, BACK, OUT = (RNG.normal(0, 0.4, shape).astype(np.float32) for shape in ((24, 20), (24, 24), (5, 24)))
SAMPLES = (RNG.random((STEPS, 8, 20)) < 0.3).astype(np.float32)


def network(*, beside, recurrent):
    """Leaky neurons whose membranes halve at each step and are never reset, in either writing."""
    theta, half = np.full(STEPS, 0.6, np.float32), np.float32(0.5)
    lif = LIF((24,), np.float32(0) if beside else half, theta, compare=">", reset="none")
    nodes = {"in": Input((20,), "events"), "fc": Linear(INWARD), "lif": lif, "last": Linear(OUT)}
    nodes["out"] = Readout((5,), np.ones(STEPS, np.float32))
    edges = [("in", "fc"), ("fc", "u" if beside else "lif"), ("lif", "last"), ("last", "out")]
    if beside:
        nodes |= {"u": Scale(np.float32(1)), "past": Delay((24,), 1), "keep": Scale(half)}
        edges += [("u", "past"), ("past", "keep"), ("keep", "u"), ("u", "lif")]
    if recurrent:
        nodes |= {"fired": Delay((24,), 1), "back": Linear(BACK)}
        edges += [("lif", "fired"), ("fired", "back"), ("back", "u" if beside else "lif")]
    return Graph(nodes, tuple(edges), STEPS, Real())


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_same_neurons_cost_the_same_in_either_writing(recurrent):
    within, beside = (network(beside=written, recurrent=recurrent) for written in (False, True))
    assert beside_neurons(within) == frozenset()
    assert beside_neurons(beside) == {"u", "past", "keep"}
    trains = [simulate(graph, SAMPLES, Request(trains=True)).trains["lif"].unpack() for graph in (within, beside)]
    np.testing.assert_array_equal(*trains)
    assert trains[0].mean() > 0.05
    one, other = (spikeport.energy(graph, SAMPLES) for graph in (within, beside))
    for name, estimate in one.estimates.items():
        assert other.estimates[name].nominal == pytest.approx(estimate.nominal, rel=1e-12), name
    told = [
        [(each.source, each.target, each.operations.tolist()) for each in costs.counted.deliveries]
        for costs in (one, other)
    ]
    assert told[0] == told[1]
    assert one.counted.identities == other.counted.identities == ()
    assert [finding.code for finding in one.findings] == []
    assert [finding.code for finding in other.findings] == ["SP712"]
    assert [finding.code for finding in spikeport.events(beside, SAMPLES).findings] == ["SP712"]
