"""Random networks on nengo-loihi's emulator, spike for spike against the engine."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from loihi1_graphs import apart, jobs, wraps
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI1, Conv, Delay, Flatten, Graph, Input, Linear, Loihi, Pool, Readout
from spikeport.target import Request
from spikeport_targets.nengo_loihi import NengoLoihi
from spikeport_targets.nengo_loihi.target import run_all

HERE = NengoLoihi().availability()
pytestmark = pytest.mark.skipif(not HERE.ready, reason=f"{HERE.why}: {HERE.mend}")
EVERYTHING = Request(trains=True, membranes=True)
FOREIGN = {"current wrapped", "current and bias wrapped"}  # no profile has these: the engine counts such sums
SEEDS = st.lists(st.integers(0, 10**9), min_size=45, max_size=45, unique=True)


@given(SEEDS)
@settings(max_examples=1, phases=[Phase.generate])
def test_random_graphs_are_the_same_network_on_nengo_loihi(seeds):
    """Every bit, also where sums wrap in the accumulator and where weights are shifted before they are added."""
    graphs = jobs(seeds)
    records = run_all(list(graphs.values()), EVERYTHING)
    compared = fired = 0
    for (seed, (graph, samples)), theirs in zip(graphs.items(), records, strict=True):
        ours = simulate(graph, samples, EVERYTHING)
        if any(FOREIGN & set(kinds) for kinds in theirs.overflows.values()):
            assert any(finding.code == "SP637" for finding in theirs.findings), seed
            continue
        assert apart(theirs, ours) == {}, seed
        assert wraps(theirs) == wraps(ours), seed
        compared += 1
        fired += sum(int(counts.sum()) for counts in ours.spike_counts.values())
    assert compared >= 20
    assert fired > 500


def weights(rng, *shape):
    return rng.integers(-50, 70, shape).astype(np.int8)


def network():
    """A convolution, an overlapping pool, a residual past it, feedback and a readout, all on spikes alone."""
    rng, steps = np.random.default_rng(3), 6
    theta = {"bias": np.asarray(40), "compare": ">", "decay": np.asarray(3000)}
    nodes = {
        "input": Input((2, 6, 6), "events", low=0, high=1),
        "a": Conv(weights(rng, 3, 2, 3, 3), padding=(1, 1)),
        "one": LIF((3, 6, 6), threshold=np.full(steps, 90), **theta),
        "pool": Pool("sum", (2, 2), (1, 1)),
        "b": Conv(weights(rng, 3, 3, 2, 2), padding=(1, 1)),
        "two": LIF((3, 6, 6), threshold=np.full(steps, 200), **theta),
        "c": Conv(weights(rng, 2, 3, 3, 3), stride=(2, 2)),
        "three": LIF((2, 2, 2), threshold=np.full(steps, 120), **theta),
        "later": Delay((2, 2, 2), 2),
        "back": Conv(weights(rng, 2, 2, 1, 1)),
        "flat": Flatten(),
        "d": Linear(weights(rng, 4, 8)),
        "out": Readout((4,), np.arange(1, steps + 1), bias=np.asarray(7)),
    }
    chain = ("input", "a", "one", "pool", "b", "two", "c", "three", "flat", "d", "out")
    edges = [*pairwise(chain), ("one", "c")]
    edges += [("three", "later"), ("later", "back"), ("back", "three")]
    graph = Graph(nodes, tuple(edges), steps, Loihi(LOIHI1))
    return graph, rng.random((steps, 5, 2, 6, 6)) < 0.3


def test_pools_residuals_and_feedback_are_messages():
    graph, samples = network()
    assert {finding.code for finding in NengoLoihi().check(graph)} == {"SP638"}
    theirs, ours = NengoLoihi().run(graph, samples, EVERYTHING), simulate(graph, samples, EVERYTHING)
    for name, train in ours.trains.items():
        assert 0.01 < train.unpack().mean() < 0.9, name
    assert ours.overflows == {} == theirs.overflows
    assert apart(theirs, ours) == {}


def test_records_are_cut_and_counted_as_others():
    graph, samples = network()
    wish = Request(trains=("two",), membranes=("three",), events=True, batch=2)
    theirs, ours = NengoLoihi().run(graph, samples, wish), simulate(graph, samples, wish)
    assert theirs.trains.keys() == {"two"}
    assert theirs.membranes.keys() == {"three"}
    np.testing.assert_array_equal(theirs.outputs, ours.outputs)
    assert theirs.events.keys() == ours.events.keys()
    for name, events in ours.events.items():
        counted = "synops" if hasattr(events, "synops") else "spikes"
        np.testing.assert_array_equal(getattr(theirs.events[name], counted), getattr(events, counted))


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_several_units_of_input_are_as_many_messages_or_a_constant_current(coding):
    graph, _ = network()
    low = -3 if coding == "direct" else 0
    graph = graph.replace({"input": Input((2, 6, 6), coding, low=low, high=3)})
    samples = np.random.default_rng(4).integers(low, 4, (6, 3, 2, 6, 6) if coding == "events" else (3, 2, 6, 6))
    assert ("SP635" in {finding.code for finding in NengoLoihi().check(graph)}) == (coding == "direct")
    theirs, ours = NengoLoihi().run(graph, samples, EVERYTHING), simulate(graph, samples, EVERYTHING)
    assert ours.trains["one"].unpack().any()
    assert apart(theirs, ours) == {}


def test_thresholds_that_vary_over_time_run_and_are_said_to_be_the_emulators_alone():
    graph, samples = network()
    profile = replace(LOIHI1, name="scheduled", schedule=True)
    falling = graph["two"].with_(threshold=np.linspace(300, 10, graph.timesteps).astype(int))
    graph = graph.with_(arithmetic=Loihi(profile)).replace({"two": falling})
    said = [finding for finding in NengoLoihi().check(graph) if finding.code == "SP636"]
    assert [finding.where for finding in said] == ["node 'two'"]
    assert "vary over time" in said[0].what
    theirs, ours = NengoLoihi().run(graph, samples, EVERYTHING), simulate(graph, samples, EVERYTHING)
    assert apart(theirs, ours) == {}
