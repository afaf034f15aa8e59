"""The pipeline is the network: a simulation that delays every synapse by a step gives the layer-synchronous values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_graphs import random_graph
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Delay, Graph, Input, Linear, Loihi, Readout, Synapse
from spikeport.passes.align_delays import align_delays
from stepwise import Stepwise

STEPS = 3


def linear(out=2):
    return Linear(np.ones((out, 2), np.int8))


def lif():
    return LIF((2,), decay=np.asarray(4096), threshold=np.full(STEPS, 9), bias=np.asarray(0), compare=">")


def graph(nodes, *edges):
    return Graph(nodes, edges, STEPS, Loihi(LOIHI2))


def residual():
    """Two layers on the main path, none on the skip."""
    nodes = {
        "in": Input((2,), low=0, high=1),
        "a": linear(),
        "n1": lif(),
        "b": linear(),
        "n2": lif(),
        "c": linear(),
        "n3": lif(),
        "d": linear(),
        "out": Readout((2,), np.ones(STEPS, int)),
    }
    return graph(nodes, *pairwise(nodes), ("n1", "d"))


def test_depth_is_the_number_of_synapses_on_the_longest_way():
    depth = align_delays(residual()).depth
    assert [depth[name] for name in ("in", "n1", "n2", "n3", "out")] == [0, 1, 2, 3, 4]


def test_the_skip_waits_for_as_many_synapses_as_the_main_path_has_more():
    waits = {(link.source, link.target): link.steps for link in align_delays(residual()).links}
    assert waits.pop(("n1", "d")) == 2
    assert set(waits.values()) == {0}


def recurrent(steps, synapses):
    nodes = {"in": Input((2,), low=0, high=1), "a": linear(), "n": lif(), "late": Delay((2,), steps)}
    back = [f"back{i}" for i in range(synapses)]
    nodes |= {name: linear() for name in back} | {"out": Readout((2,), np.ones(STEPS, int))}
    loop = ["n", "late", *back, "n"]
    return graph(nodes, ("in", "a"), ("a", "n"), *pairwise(loop), ("n", "out"))


@pytest.mark.parametrize(("steps", "left"), [(1, 0), (2, 1), (5, 4)])
def test_the_synapse_of_a_feedback_is_one_step_of_its_delay(steps, left):
    pipeline = align_delays(recurrent(steps, 1))
    (link,) = [link for link in pipeline.links if link.target == "back0"]
    assert (link.source, link.logical) == ("n", steps)
    after = [link for link in pipeline.links if link.source == "back0"]
    assert link.steps + after[0].steps == left


def test_a_feedback_with_more_synapses_than_delay_is_refused():
    with pytest.raises(SpikeportError) as caught:
        align_delays(recurrent(1, 2))
    assert caught.value.code == "SP612"


def test_delays_in_a_row_add_up():
    nodes = {
        "in": Input((2,), low=0, high=1),
        "d1": Delay((2,), 2),
        "d2": Delay((2,), 3),
        "a": linear(),
        "out": Readout((2,), np.ones(STEPS, int)),
    }
    pipeline = align_delays(Graph.chain(nodes, STEPS, arithmetic=Loihi(LOIHI2)))
    assert {(link.source, link.target): (link.logical, link.steps) for link in pipeline.links} == {
        ("in", "a"): (5, 5),
        ("a", "out"): (0, 0),
    }


class Pipelined(Stepwise):
    """The same equations in a pipeline: at each time a synapse hands on the sum that it formed a step before.

    ``at(name, time)`` is what leaves a node at a time; only what `align_delays` says decides what reaches whom.
    """

    def __init__(self, graph, samples):
        super().__init__(graph, samples)
        self.pipeline = align_delays(graph)
        self.seen = {}

    def value(self, name, t):
        """What enters or leaves at logical step t, found at the time that the pipeline gives it."""
        return self.at(name, t + self.pipeline.depth[name] + isinstance(self.graph[name], Synapse))

    def at(self, name, time):
        if (name, time) not in self.seen:
            node = self.graph[name]
            formed = time - isinstance(node, Synapse)
            step = formed - self.pipeline.depth[name]
            inside = 0 <= step < self.graph.timesteps
            self.seen[name, time] = self.compute(name, node, step) if inside else self.like(self.graph.shapes[name])
        return self.seen[name, time]

    def compute(self, name, node, t):
        return self.entering(name, t) if isinstance(node, Delay) else super().compute(name, node, t)

    def entering(self, name, t):
        time = t + self.pipeline.depth[name]
        arriving = [self.like(self.graph.input_shape(name))]
        for link in self.pipeline.into(name):
            if t >= link.logical:
                arriving.append(self.at(link.source, time - link.steps))
        return sum(arriving)


@given(st.integers(0, 10**9))
@settings(max_examples=60)
def test_every_spike_of_the_pipeline_is_the_networks(seed):
    graph, samples = random_graph(seed, integers=True, batch=2)
    plain, piped = Stepwise(graph, samples), Pipelined(graph, samples)
    trains, other = plain.trains(), piped.trains()
    for name, train in trains.items():
        np.testing.assert_array_equal(other[name], train)
    np.testing.assert_array_equal(piped.output(), plain.output())
