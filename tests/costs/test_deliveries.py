"""On a chip each spike is an operation at every synapse that it reaches, however the function is written."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from random_graphs import random_graph
from spikeport.costs import Delivery, deliveries, estimate
from spikeport.costs.identities import sent_by
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Delay, Graph, Input, Linear, Pool, Readout, Scale
from spikeport.mapping import Mapping, work
from spikeport.mapping.fit import fit
from spikeport.target import Request

T, B = 3, 2
ONE = np.ones((1, 1), np.float32)


def lif(*shape):
    return LIF(shape, np.float32(0.5), np.ones(T, np.float32))


def ran(graph):
    x = (np.random.default_rng(1).random((T, B, *graph.shapes["input"])) < 0.4).astype(np.float32)
    return x, simulate(graph, x, Request(events=True, trains=True))


def pooled(kind, factor):
    """Spikes pooled over windows of 2 x 2, then a convolution with weights times ``factor``."""
    weight = np.random.default_rng(0).integers(-3, 4, (2, 2, 3, 3)).astype(np.float32) * np.float32(factor)
    nodes = {
        "input": Input((2, 8, 8), "events"),
        "in": Conv(np.ones((2, 2, 1, 1), np.float32)),
        "one": lif(2, 8, 8),
        "pool": Pool(kind, (2, 2), (2, 2)),
        "conv": Conv(weight, padding=(1, 1)),
        "two": lif(2, 4, 4),
    }
    return Graph.chain(nodes, T)


def test_an_average_pool_costs_what_the_same_sum_costs():
    average, total = (pooled(kind, factor) for kind, factor in (("average", 4), ("sum", 1)))
    (x, record), (_, other) = ran(average), ran(total)
    np.testing.assert_array_equal(record.outputs, other.outputs)
    chips = ["loihi1-davies2018", "loihi1-sanafe2025", "spinnaker2-hoeppner2019"]
    ours, theirs = (estimate(g, r, chips, samples=x) for g, r in ((average, record), (total, other)))
    assert {n: e.breakdown for n, e in ours.items()} == {n: e.breakdown for n, e in theirs.items()}
    by_hand = record.trains["one"].unpack().reshape(T, B, 2, 4, 2, 4, 2).sum((1, 2, 4, 6))  # windows' spikes, [T, 4, 4]
    line = np.asarray([2, 3, 3, 2])  # taps of a padded kernel of 3 that a place meets
    (into,) = (each for each in deliveries(average, record, x) if each.target == "conv")
    assert into.operations.tolist() == (2 * by_hand * np.outer(line, line)).sum((1, 2)).tolist()


def test_a_pool_behind_a_convolution_costs_what_the_wider_kernel_costs():
    """A kernel of 3 and windows of 2 at a stride of 2: a kernel of 4 at that stride, 4 operations a channel, not 9."""
    weight = np.random.default_rng(0).integers(-3, 4, (4, 1, 3, 3)).astype(np.float32)
    wide = sum(np.pad(weight, ((0, 0), (0, 0), (y, 1 - y), (x, 1 - x))) for y in (0, 1) for x in (0, 1))
    first = {"input": Input((2, 9, 9), "events")}
    narrow = {"conv": Conv(weight, padding=(1, 1), groups=2), "pool": Pool("sum", (2, 2), (2, 2))}
    last = {"lif": lif(4, 4, 4)}
    graphs = [
        Graph.chain(first | between | last, T)
        for between in (narrow, {"conv": Conv(wide, stride=(2, 2), padding=(1, 1), groups=2)})
    ]
    (x, record), (_, other) = map(ran, graphs)
    np.testing.assert_array_equal(record.trains["lif"].unpack(), other.trains["lif"].unpack())
    (narrow,), (wide,) = (deliveries(graph, run, x) for graph, run in zip(graphs, (record, other), strict=True))
    assert narrow.operations.tolist() == wide.operations.tolist()
    assert narrow.effective.tolist() == wide.effective.tolist()
    assert all(
        energy.breakdown == estimate(graphs[1], other, [n], samples=x)[n].breakdown
        for n, energy in estimate(graphs[0], record, ["loihi1-sanafe2025"], samples=x).items()
    )
    loads = [sum(each.sum(1) for each in work(Mapping(g, fit(g, "loihi1")), record, x).values()) for g in graphs]
    assert [load.tolist() for load in loads] == [narrow.operations.tolist()] * 2


def test_a_synapse_of_two_layers_is_held_twice():
    nodes = {"input": Input((1,), "events"), "fc": Linear(ONE), "one": lif(1), "two": lif(1)}
    edges = (("input", "fc"), ("fc", "one"), ("fc", "two"), ("one", "out"), ("two", "out"))
    graph = Graph(nodes | {"out": Readout((1,), np.ones(T, np.float32))}, edges, T)
    x, record = ran(graph)
    delivered = deliveries(graph, record, x)
    assert [each.operations.sum() for each in delivered if each.target == "fc"] == [x.sum(), x.sum()]
    total = sum(each.operations for each in delivered)
    np.testing.assert_array_equal(
        sum(each.sum(1) for each in work(Mapping(graph, fit(graph, "loihi1")), record, x).values()), total
    )


def test_deliveries_of_more_samples_add():
    one, two = (
        Delivery("in", "fc", np.asarray(a), np.asarray(b), spatial=False)
        for a, b in (([5, 7], [3, 4]), ([1, 2], [0, 2]))
    )
    both = one + two
    assert (both.operations.tolist(), both.effective.tolist(), both.target) == ([6, 9], [3, 6], "fc")


def test_what_an_input_sends_is_counted_step_by_step():
    graph = pooled("sum", 1)
    x, record = ran(graph)
    assert sent_by(graph, "input", record, x).tolist() == x.sum((1, 2, 3, 4)).tolist()


def test_a_loop_gets_the_spikes_of_the_last_step_too():
    """A neuron that fires at every step, and itself again one step later: as the chip's next step."""
    nodes = {"input": Input((1,)), "in": Linear(ONE), "lif": lif(1), "delay": Delay((1,), 1), "back": Linear(ONE)}
    edges = (("input", "in"), ("in", "lif"), ("lif", "delay"), ("delay", "back"), ("back", "lif"), ("lif", "out"))
    graph = Graph(nodes | {"out": Readout((1,), np.ones(T, np.float32))}, edges, T)
    x = np.ones((1, 1), np.float32)
    record = simulate(graph, x, Request(events=True, trains=True))
    assert {each.target: each.operations.tolist() for each in deliveries(graph, record, x)} == {
        name: [1] * T for name in ("in", "back", "out")
    }
    assert record.events["back"].fanout.tolist() == [0, 1, 1]


def test_two_ways_through_one_synapse_are_one_weight():
    """x and 2 x: one weight of three times the size. A delayed x is a synapse of its own."""
    nodes = {"input": Input((1,), "events"), "twice": Scale(np.float32(2)), "late": Delay((1,), 1), "fc": Linear(ONE)}
    edges = (("input", "twice"), ("input", "late"), ("input", "fc"), ("twice", "fc"), ("late", "fc"), ("fc", "lif"))
    graph = Graph(nodes | {"lif": lif(1)}, edges, T)
    x, record = ran(graph)
    assert [each.operations.sum() for each in deliveries(graph, record, x)] == [x.sum(), x.sum()]


@pytest.mark.parametrize("seed", [*range(2, 12, 2), 1, 3, 5])
def test_the_work_of_all_cores_is_what_is_delivered(seed):
    """Counted by tiles in the mapping, and by fan-out here: two ways to one number."""
    graph, x = random_graph(seed, integers=bool(seed % 2))
    mapping = Mapping(graph, fit(graph, "loihi1"))
    record = simulate(graph, x, Request(events=True, trains=True))
    total = sum(each.operations for each in deliveries(graph, record, x))
    np.testing.assert_array_equal(sum(each.sum(1) for each in work(mapping, record, x).values()), total)


def test_without_trains_the_events_say_the_same_and_behind_a_pool_nothing():
    graph = pooled("sum", 1)
    x, record = ran(graph)
    bare = dataclasses.replace(record, trains={})
    with pytest.raises(SpikeportError, match="SP704"):
        deliveries(graph, bare, x)
    nodes = {name: node for name, node in graph.nodes.items() if name not in ("pool", "two")}
    chain = Graph.chain(nodes | {"two": lif(2, 8, 8)}, T)
    x, record = ran(chain)
    known, told = (deliveries(chain, run) for run in (record, dataclasses.replace(record, trains={})))
    assert [each.operations.tolist() for each in known] == [each.operations.tolist() for each in told]
    assert [each.effective.tolist() for each in known] == [each.effective.tolist() for each in told]
