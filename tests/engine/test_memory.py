"""A memory budget: the samples at once obey it, and no bit changes with it. And what a record keeps on request."""

from __future__ import annotations

import numpy as np
import pytest

from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, Graph, Input, Linear, Loihi, Readout
from spikeport.target import Request, target

STEPS, SIDE = 4, 16


def maps(channels=8, layers=3):
    """Feature maps of one size: what a sample's values take can be counted by hand."""
    rng = np.random.default_rng(1)
    nodes = {"input": Input((channels, SIDE, SIDE), "events", low=0, high=1)}
    for index in range(layers):
        nodes[f"conv{index}"] = Conv(rng.integers(-20, 30, (channels, channels, 3, 3)).astype(np.int8), padding=(1, 1))
        nodes[f"lif{index}"] = LIF(
            (channels, SIDE, SIDE), np.asarray(3000), np.asarray([300, 500, 400, 350]), compare=">"
        )
    return Graph.chain(nodes, STEPS, arithmetic=Loihi(LOIHI2))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Blocks that run at the same time share a budget: see test_threads.py."""
    monkeypatch.setattr("spikeport.engine.run.available", lambda: 1)


def at_once(graph, samples, request):
    """How many samples the engine ran at once, from what it told of its progress."""
    seen = [0]
    simulate(graph, samples, Request(**request, progress=lambda done, _: seen.append(done)))
    return max(np.diff(seen))


def test_samples_at_once_obey_the_budget():
    """A map of spikes takes 4 * 8 * 256 bytes, its sums four times that: at most five such maps wait together."""
    graph, map_bytes = maps(), STEPS * 8 * SIDE * SIDE
    samples = (np.random.default_rng(2).random((STEPS, 64, 8, SIDE, SIDE)) < 0.3).astype(np.uint8)
    for count in (1, 2, 4, 8, 16):
        budget = count * 8 * map_bytes
        size = at_once(graph, samples, {"memory": budget})
        assert count <= size  # no more is set aside than is needed
        assert size * 2 * map_bytes <= budget  # the spikes that enter a layer and those that leave it at the least
        kept = at_once(graph, samples, {"memory": budget, "trains": True, "membranes": True})
        assert kept * 3 * 9 * map_bytes <= max(budget, 3 * 9 * map_bytes)  # three layers of a byte and of eight
    assert at_once(graph, samples, {"memory": 1}) == 1
    assert at_once(graph, samples, {"memory": 10**9}) == 64


@pytest.mark.parametrize("seed", range(12))
def test_no_bit_changes_with_the_budget(seed):
    graph, samples = random_graph(seed, integers=True, batch=9)
    wish = {"trains": True, "membranes": True, "events": True}
    whole = simulate(graph, samples, Request(**wish))
    for memory in (1, 3000, 20_000, 10**9):
        part = simulate(graph, samples, Request(**wish, memory=memory))
        np.testing.assert_array_equal(part.outputs, whole.outputs)
        for name in graph.nodes_of(LIF):
            np.testing.assert_array_equal(part.trains[name].bits, whole.trains[name].bits)
            np.testing.assert_array_equal(part.membranes[name], whole.membranes[name])
            np.testing.assert_array_equal(part.events[name].active, whole.events[name].active)
        assert part.overflows == whole.overflows


@pytest.mark.parametrize(("seed", "name"), [(4, "integer"), (4, "onnxruntime"), (4, "reference")])
def test_trains_of_named_layers_are_those_of_all(seed, name):
    graph, samples = random_graph(seed, integers=name == "integer", feed_back=False)
    graph = graph if name != "onnxruntime" else maps(2, 3)
    samples = samples if name != "onnxruntime" else np.ones((STEPS, 2, 2, SIDE, SIDE), np.float32)
    layers = tuple(graph.nodes_of(LIF))[:1]
    whole = target(name).run(graph, samples, Request(trains=True))
    part = target(name).run(graph, samples, Request(trains=layers))
    assert (set(whole.trains), set(part.trains)) == (set(graph.nodes_of(LIF)), set(layers))
    np.testing.assert_array_equal(part.trains[layers[0]].bits, whole.trains[layers[0]].bits)
    np.testing.assert_array_equal(part.outputs, whole.outputs)
    assert target(name).run(graph, samples, Request()).trains == {}


def test_membranes_of_named_layers_are_those_of_all():
    graph, samples = random_graph(9, integers=True)
    name = tuple(graph.nodes_of(LIF))[-1]
    whole, part = (simulate(graph, samples, Request(membranes=which)) for which in (True, (name,)))
    assert set(part.membranes) == {name}
    np.testing.assert_array_equal(part.membranes[name], whole.membranes[name])


@pytest.mark.parametrize("name", ["integer", "lava", "onnxruntime", "sanafe"])
def test_a_layer_that_there_is_not_is_refused_before_anything_runs(name):
    nodes = {
        "input": Input((3,), "events", low=0, high=1),
        "fc": Linear(np.eye(3, dtype=np.int8)),
        "lif": LIF((3,), np.asarray(4096), np.full(2, 5), compare=">"),
        "out": Readout((3,), np.ones(2, int)),
    }
    graph = Graph.chain(nodes, 2, arithmetic=Loihi(LOIHI2))
    if not target(name).availability().ready:
        pytest.skip(target(name).availability().why)
    for wish in (Request(trains=("fc",)), Request(membranes=("lif", "lif2"))):
        with pytest.raises(SpikeportError) as caught:
            target(name).run(graph, np.ones((2, 1, 3)), wish)
        assert caught.value.code == "SP515"
        assert "lif" in caught.value.findings[0].mend


def test_the_samples_at_once_are_those_that_fit_by_hand(monkeypatch):
    """Plain kernels take 9 bytes a value. Most waits behind the neurons: 10 sums and 10 spikes at each of 5 steps."""
    monkeypatch.setenv("SPIKEPORT_KERNELS", "plain")
    nodes = {"input": Input((4,), "events"), "fc": Linear(np.ones((10, 4), np.int8))}
    nodes["lif"] = LIF((10,), np.asarray(3000), np.full(5, 300), compare=">")
    graph = Graph.chain(nodes, 5, arithmetic=Loihi(LOIHI2))
    each = 5 * (10 + 10) * 9
    assert at_once(graph, np.ones((5, 60, 4), np.float32), {"memory": 12 * each}) == 12
    assert at_once(graph, np.ones((5, 60, 4), np.float32), {"memory": 12 * each - 1}) == 10  # six blocks, all as large
