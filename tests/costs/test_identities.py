"""Spikes that enter a layer without a synapse cost something in every model, and are counted to the last one."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.costs import deliveries, estimate, identities, shipped
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Delay, Flatten, Graph, Input, Linear, MatMul, Pool, Readout, Reshape, Sum
from spikeport.target import Request
from spikeport.verbs.energy import energy

T, B = 3, 4


def lif(*shape):
    return LIF(shape, decay=np.float32(0.5), threshold=np.linspace(0.6, 0.4, T, dtype=np.float32))


def network(pool=None, late=0):
    """A convolution, and beside it the spikes themselves, through a pool or a delay if asked."""
    rng = np.random.default_rng(0)
    inner = (5, 5) if pool else (6, 6)
    kernel, padding = ((2, 2), (0, 0)) if pool else ((3, 3), (1, 1))
    nodes = {
        "input": Input((2, 6, 6), "events"),
        "a": Conv(rng.normal(size=(2, 2, 3, 3)).astype(np.float32), padding=(1, 1)),
        "one": lif(2, 6, 6),
        "b": Conv(rng.normal(size=(2, 2, *kernel)).astype(np.float32), padding=padding),
        "two": lif(2, *inner),
        "flat": Flatten(),
        "c": Linear(rng.normal(size=(3, 2 * inner[0] * inner[1])).astype(np.float32)),
        "out": Readout((3,), np.ones(T, np.float32)),
    }
    edges = [("input", "a"), ("a", "one"), ("one", "b"), ("b", "two"), ("two", "flat"), ("flat", "c"), ("c", "out")]
    way = "one"
    if pool:
        nodes["pool"] = pool
        edges.append((way, "pool"))
        way = "pool"
    if late:
        nodes["late"] = Delay(nodes["one"].shape, late)
        edges.append((way, "late"))
        way = "late"
    return Graph(nodes, (*edges, (way, "two")), T)


def ran(graph, trains=True):
    x = (np.random.default_rng(1).random((T, B, *graph.shapes["input"])) < 0.4).astype(np.float32)
    return x, simulate(graph, x, Request(events=True, trains=trains))


def test_what_reshapes_spikes_delays_none():
    """Spikes through a Flatten into neurons are added at the step at which they were sent."""
    nodes = {
        "input": Input((1, 2, 2), "events"),
        "a": Conv(np.ones((1, 1, 1, 1), np.float32)),
        "one": lif(1, 2, 2),
        "flat": Flatten(),
        "two": lif(4),
    }
    graph = Graph.chain(nodes, T)
    x, record = ran(graph)
    (way,) = identities(graph, record, x)
    assert way.operations.tolist() == record.spike_counts["one"].tolist()
    assert len(set(way.operations.tolist())) > 1


def test_each_spike_is_an_addition():
    graph = network()
    x, record = ran(graph)
    (way,) = identities(graph, record, x)
    assert (way.source, way.layer, way.dense) == ("one", "two", 72)
    assert way.operations.tolist() == record.spike_counts["one"].tolist()
    assert way.operations.sum() > 0


def test_a_pool_without_border_multiplies_a_spike_by_its_windows():
    """2 x 2 windows at every place: 1 in a corner, 2 at an edge, 4 inside."""
    graph = network(Pool("sum", (2, 2), (1, 1)))
    x, record = ran(graph)
    (way,) = identities(graph, record, x)
    line = np.asarray([1, 2, 2, 2, 2, 1])
    per_step = (record.trains["one"].unpack() * np.outer(line, line)).reshape(T, -1).sum(1)
    assert way.operations.tolist() == per_step.tolist()
    assert way.dense == 2 * 5 * 5 * 4
    with pytest.raises(SpikeportError, match="SP704"):
        identities(graph, ran(graph, trains=False)[1], x)


def test_a_delay_makes_them_late():
    graph = network(late=1)
    x, record = ran(graph)
    (way,) = identities(graph, record, x)
    assert way.operations.tolist() == [0, *record.spike_counts["one"][:-1].tolist()]


def test_an_input_that_enters_neurons_directly_is_counted_from_the_samples():
    graph = Graph.chain({"input": Input((4,)), "one": lif(4)}, T)
    x = np.asarray([[0, 1, 0.5, 0], [1, 1, 1, 0]], np.float32)
    record = simulate(graph, x, Request(events=True, trains=True))
    (way,) = identities(graph, record, x)
    assert way.operations.tolist() == [5] * T
    with pytest.raises(SpikeportError, match="SP704"):
        estimate(graph, record)
    assert estimate(graph, record, samples=x)["45nm-fp32"].nominal == pytest.approx(5 * T / 2 * 0.9e-12)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_model_but_the_dense_one_prices_them(name):
    """The same run, priced with and without the spikes' own way; the difference is theirs alone."""
    graph = network()
    record = ran(graph)[1]
    model = shipped()[name]
    rest = [each for each in deliveries(graph, record) if each.target != "two"]
    ways = ({}, {"enter": (), "delivered": rest})
    whole, without = (estimate(graph, record, [model], **way)[name] for way in ways)
    spikes = float(record.spike_counts["one"].sum()) / B
    price = {"arithmetic": "ac", "chip": "synapse_conv", "bracket": "operation"}.get(model.function)
    if model.function == "dense":
        assert whole.nominal == without.nominal
    elif price is not None:
        assert whole.nominal - without.nominal == pytest.approx(spikes * model[price].nominal)
    else:
        assert whole.nominal > without.nominal + spikes * model["add"].nominal


def test_the_ann_pays_its_additions_too():
    graph = network()
    record = ran(graph)[1]
    whole, without = (estimate(graph, record, ["45nm-fp32"], enter=ways)["45nm-fp32-ann"] for ways in (None, ()))
    assert whole.nominal - without.nominal == pytest.approx(72 * 0.9e-12)


def test_parts_of_a_long_run_add_up(monkeypatch):
    graph = network()
    x, _ = ran(graph)
    whole = energy(graph, samples=x).as_dict()
    monkeypatch.setattr("spikeport.verbs.events.PART", 3)
    parts = energy(graph, samples=x).as_dict()
    assert parts["events"] == whole["events"]
    assert parts["events"]["identities"][0]["source"] == "one"
    for one, other in zip(parts["latency"]["step_seconds_each"], whole["latency"]["step_seconds_each"], strict=True):
        assert one == pytest.approx(other)


def test_operations_that_add_are_counted_pair_by_pair():
    """A product of spike matrices adds where two spikes meet, a sum over an axis where there is one."""
    nodes = {
        "input": Input((2, 3), "events"),
        "turned": Reshape((1, 0), (3, 2)),
        "product": MatMul(operands=("input", "turned")),
        "sum": Sum((1,)),
        "one": lif(2, 1),
    }
    edges = (("input", "turned"), ("input", "product"), ("turned", "product"), ("product", "sum"), ("sum", "one"))
    graph = Graph(nodes, edges, T)
    x, record = ran(graph)
    into, product, total = identities(graph, record, x)
    pairs = [sum(x[t, b, i, k] * x[t, b, j, k] for b in range(B) for i, j, k in np.ndindex(2, 2, 3)) for t in range(T)]
    assert product.operations.tolist() == pairs
    meet = np.einsum("tbik,tbjk->tbij", x, x) != 0
    assert total.operations.tolist() == meet.reshape(T, -1).sum(1).tolist()
    assert into.operations.tolist() == meet.any(3).reshape(T, -1).sum(1).tolist()
    assert [each.dense for each in (into, product, total)] == [2, 12, 4]
    assert [each.layer for each in (into, product, total)] == ["one", "product", "sum"]
