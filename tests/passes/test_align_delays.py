"""The pipeline is the network: a simulation that delays every synapse by a step gives the layer-synchronous values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_graphs import random_graph
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Delay, Graph, Input, Linear, Loihi, Readout, Synapse, meaning
from spikeport.graph.definition import run
from spikeport.passes.align_delays import align_delays

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


class Pipelined:
    """The same equations in a pipeline: at each time a synapse hands on the sum that it formed a step before.

    ``at(name, time)`` is what leaves a node at a time; only what `align_delays` says decides what reaches whom.
    """

    def __init__(self, graph, samples):
        self.graph, self.pipeline = graph, align_delays(graph)
        self.frames = graph.arithmetic.entering(graph[graph.input], samples)
        self.seen, self.states = {}, {}

    def value(self, name, t):
        """What enters or leaves at logical step t, found at the time that the pipeline gives it."""
        return self.at(name, t + self.pipeline.depth[name] + isinstance(self.graph[name], Synapse))

    def at(self, name, time):
        if (name, time) not in self.seen:
            node = self.graph[name]
            step = time - isinstance(node, Synapse) - self.pipeline.depth[name]
            inside = 0 <= step < self.graph.timesteps
            self.seen[name, time] = self.compute(name, node, step) if inside else self.zeros(self.graph.shapes[name])
        return self.seen[name, time]

    def zeros(self, shape):
        return np.zeros((self.frames.shape[1], *shape))

    def compute(self, name, node, t):
        match node:
            case Input():
                return self.frames[min(t, len(self.frames) - 1)]
            case Delay() | Readout():
                return self.entering(name, t)
            case LIF():
                return self.neuron(name, node, t)
        return meaning.apply(node, self.entering(name, t)[None], self.graph.arithmetic)[0]

    def neuron(self, name, node, t):
        if t > 0:
            self.value(name, t - 1)
        arithmetic, empty = self.graph.arithmetic, self.zeros(node.shape)
        u, current, _ = arithmetic.charge(node, *self.states.get(name, (empty, empty)), self.entering(name, t))
        fired = arithmetic.fires(node, u, t)
        self.states[name] = arithmetic.after(node, u, fired, t), current
        return fired.astype(float)

    def entering(self, name, t):
        time = t + self.pipeline.depth[name]
        arriving = [self.zeros(self.graph.input_shape(name))]
        for link in self.pipeline.into(name):
            if t >= link.logical:
                arriving.append(self.at(link.source, time - link.steps))
        return sum(arriving)


@given(st.integers(0, 10**9))
@settings(max_examples=60)
def test_every_value_of_the_pipeline_is_the_networks(seed):
    graph, samples = random_graph(seed, integers=True, batch=2)
    plain, piped = run(graph, samples), Pipelined(graph, samples)
    for name in (*graph.nodes_of(LIF), graph.output):
        train = np.stack([piped.value(name, t) for t in range(graph.timesteps)])
        np.testing.assert_array_equal(train, plain.values[name])
