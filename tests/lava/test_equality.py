"""Random networks, and Lava's own neurons, spike for spike against the engine."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lava_equality import EVERYTHING, Tally, compare
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI1, LOIHI2, Conv, CubaLIF, Flatten, Graph, Input, Linear, Loihi, Readout
from spikeport_targets.lava import Lava
from spikeport_targets.lava.checks import check
from spikeport_targets.lava.support import placements

BINARY = replace(LOIHI1, name="binary", accumulator_bits=None, weight_shift="sum")  # Lava neither wraps nor shifts each
pytestmark = [pytest.mark.lava, pytest.mark.skipif(not Lava().availability().ready, reason=Lava().availability().why)]
SEEDS = st.lists(st.integers(0, 10**9), min_size=30, max_size=30, unique=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(st.integers(0, 10**8))
@settings(max_examples=1, phases=[Phase.generate])
def test_five_hundred_more(first):
    tally = compare(range(first, first + 550), Tally())
    assert (tally.bad, tally.unsaid) == ([], 0)
    assert tally.graphs >= 500


def plain_network(profile, steps=5):
    """Constant thresholds, scalars a layer, no pool: nothing that needs a process of ours."""
    rng = np.random.default_rng(11)

    def neurons(kind, shape, threshold, **more):
        scalars = {name: np.asarray(value) for name, value in more.items()}
        bias = rng.integers(-4096, 4096, shape[0]) << rng.integers(0, 4)
        return kind(shape, threshold=np.full(steps, threshold), bias=bias, compare=">", **scalars)

    def weights(*shape):
        return rng.integers(-50, 70, shape).astype(np.int8)

    nodes = {
        "input": Input((2, 6, 5), "events", low=0, high=1),
        "conv1": Conv(weights(4, 2, 3, 3), padding=(1, 1), exponent=1),
        "lif1": neurons(LIF, (4, 6, 5), 300, decay=3000),
        "conv2": Conv(weights(6, 2, 3, 2), stride=(2, 1), padding=(1, 0), groups=2),
        "cuba2": neurons(CubaLIF, (6, 3, 4), 250, decay=4096, current_decay=2048),
        "flatten": Flatten(),
        "fc": Linear(weights(7, 72), exponent=-2),
        "lif3": neurons(LIF, (7,), 60, decay=1),
    }
    return Graph.chain(nodes, steps, arithmetic=Loihi(profile)), rng.random((steps, 6, 2, 6, 5)) < 0.3


@pytest.mark.parametrize("profile", [BINARY, LOIHI2])
def test_constant_thresholds_run_on_lavas_own_processes_alone(profile):
    graph, samples = plain_network(profile)
    assert [finding for finding in check(graph) if finding.severity != "error"] == []
    assert all(place.stock for place in placements(graph).values())
    lava, engine = Lava().run(graph, samples, EVERYTHING), simulate(graph, samples, EVERYTHING)
    assert engine.overflows == {}
    for name, train in engine.trains.items():
        assert 0.02 < train.unpack().mean() < 0.98, name
        np.testing.assert_array_equal(lava.trains[name].unpack(), train.unpack())
        np.testing.assert_array_equal(lava.membranes[name], engine.membranes[name])
    np.testing.assert_array_equal(lava.outputs, engine.outputs)


@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_an_analog_first_layer_on_binary_messages_enters_as_a_constant_current(kind):
    graph, _ = plain_network(LOIHI2)
    rng = np.random.default_rng(2)
    first = Conv(rng.integers(-50, 70, (4, 2, 3, 3)).astype(np.int8), padding=(1, 1), exponent=-3)
    changes = {"input": Input((2, 6, 5), unit=np.asarray(0.5), low=-3, high=9), "conv1": first}
    graph = graph.replace(changes).with_(arithmetic=Loihi(LOIHI1))
    samples = rng.integers(-3, 10, (4, 2, 6, 5)) * 0.5
    if kind == "linear":
        lif = graph["lif3"]
        nodes = {"input": Input((5,), low=-3, high=9), "fc": Linear(rng.integers(-50, 70, (7, 5)).astype(np.int8))}
        graph = Graph.chain(nodes | {"lif": lif}, 5, arithmetic=Loihi(LOIHI1))
        samples = rng.integers(-3, 10, (4, 5))
    assert [finding.code for finding in check(graph)] == ["SP603"]
    wish = replace(EVERYTHING, events=True)
    lava, engine = Lava().run(graph, samples, wish), simulate(graph, samples, wish)
    for name, train in engine.trains.items():
        assert train.unpack().any()
        np.testing.assert_array_equal(lava.trains[name].unpack(), train.unpack())
        np.testing.assert_array_equal(lava.membranes[name], engine.membranes[name])
    np.testing.assert_array_equal(lava.outputs, engine.outputs)
    assert lava.events.keys() == engine.events.keys()
    for name, events in engine.events.items():
        counted = "synops" if hasattr(events, "synops") else "spikes"
        np.testing.assert_array_equal(getattr(lava.events[name], counted), getattr(events, counted))


def test_binary_messages_refuse_a_residual_sum():
    rng = np.random.default_rng(0)
    steps = 3
    lif = LIF((3,), decay=np.asarray(4096), threshold=np.full(steps, 9), bias=np.asarray(0), compare=">")
    nodes = {
        "input": Input((3,), "events", low=0, high=1),
        "a": Linear(rng.integers(-9, 9, (3, 3)).astype(np.int8)),
        "lif1": lif,
        "b": Linear(rng.integers(-9, 9, (3, 3)).astype(np.int8)),
        "lif2": lif,
        "c": Linear(rng.integers(-9, 9, (3, 3)).astype(np.int8)),
        "out": Readout((3,), np.ones(steps, int)),
    }
    edges = (*pairwise(nodes), ("lif1", "c"))
    codes = {
        profile.name: [
            finding.code for finding in check(Graph(nodes, edges, steps, Loihi(profile))) if finding.severity == "error"
        ]
        for profile in (LOIHI1, LOIHI2)
    }
    assert codes == {"loihi1": ["SP613"], "loihi2": []}


@pytest.mark.parametrize("bits", [16, 23, 24, 30])
def test_membranes_of_another_width_are_refused(bits):
    """The engine keeps the profile's width, Lava has 24 bits: two different networks where a membrane saturates."""
    graph, samples = plain_network(LOIHI2)
    other = graph.with_(arithmetic=Loihi(replace(LOIHI2, state_bits=bits)))
    errors = [finding.code for finding in check(other) if finding.severity == "error"]
    assert errors == ([] if bits == 24 else ["SP614"])
    coarse = graph.with_(arithmetic=Loihi(replace(LOIHI2, fraction_bits=0)))
    assert [finding.code for finding in check(coarse) if finding.severity == "error"] == ["SP614"]
    if bits == 16:
        narrow, whole = simulate(other, samples, EVERYTHING), simulate(graph, samples, EVERYTHING)
        assert any((narrow.membranes[name] != whole.membranes[name]).any() for name in graph.nodes_of(LIF))
