"""Prepared chains of real numbers give every bit of a batch, which is what an engine's first call runs."""

from __future__ import annotations

import gc
import importlib
import weakref

import numpy as np
import pytest
import torch

from guarded import Guarded
from random_graphs import random_graph
from spikeport.engine import Stream, simulate
from spikeport.engine.cpu import real_chain
from spikeport.engine.run import Engine
from spikeport.graph import ALIF, LIF, Conv, CubaLIF, Delay, Flatten, Graph, Input, Linear, Pool, Readout, Real, Scale
from spikeport.passes.extend import extend
from spikeport.target import Request

STEPS = 9


class Net:
    """Layers of real numbers one after the other, in the making; what of them feeds back comes besides."""

    def __init__(self, shape, coding, dtype="float32"):
        self.rng, self.number, self.shape = np.random.default_rng(0), np.dtype(dtype), shape
        self.nodes, self.edges = {"in": Input(shape, coding)}, []

    def add(self, name, node):
        self.edges.append((next(name for name in reversed(self.nodes) if "." not in name), name))
        self.nodes[name] = node
        self.shape = node.output_shape(self.shape)
        return self

    def weights(self, *shape):
        return (self.rng.normal(0, 1, shape) / shape[1] ** 0.5).astype(self.number)

    def neurons(self, name, kind=LIF, **options):
        shape, scheduled = self.shape, self.rng.uniform(0.1, 0.4, (STEPS, *self.shape[:1])).astype(self.number)
        told = {"compare": ">", "reset": "subtract", "bias": self.number.type(0.01)} | options
        return self.add(name, kind(shape, self.number.type(0.9), scheduled, **told))

    def fed_back(self, name):
        (size,) = self.shape
        self.nodes |= {f"{name}.past": Delay(self.shape, 1), f"{name}.back": Linear(self.weights(size, size))}
        self.edges += [(name, f"{name}.past"), (f"{name}.past", f"{name}.back"), (f"{name}.back", name)]
        return self

    def graph(self):
        return Graph(self.nodes, tuple(self.edges), STEPS, Real(self.number.name))


def features(dtype="float32"):
    net = Net((50,), "events", dtype)
    net.add("a", Linear(net.weights(70, 50))).neurons("one", CubaLIF, current_decay=net.number.type(0.7))
    net.add("b", Linear(net.weights(33, 70), net.weights(33, 1)[:, 0])).neurons("two", reset="zero")
    return net.add("c", Linear(net.weights(4, 33))).add("out", Readout((4,), net.rng.random(STEPS).astype(dtype)))


def still():
    net = Net((60,), "direct")
    net.add("a", Linear(net.weights(40, 60))).neurons("one")
    return net.add("b", Linear(net.weights(9, 40))).neurons("two")


def places():
    net = Net((2, 9, 8), "direct")
    net.add("a", Conv(net.weights(20, 2, 3, 3), padding=(1, 1))).neurons("one")
    net.add("pool", Pool("average", (2, 2), (2, 2), (0, 0))).add("scale", Scale(np.float32(1.5)))
    net.add("b", Conv(net.weights(16, 20, 3, 3), padding=(1, 1), stride=(2, 1))).neurons("two")
    net.add("flat", Flatten()).add("c", Linear(net.weights(5, net.shape[0]))).neurons("three")
    return net.add("d", Linear(net.weights(3, 5))).add("out", Readout((3,), np.ones(STEPS, np.float32)))


def maps_of_events():
    net = Net((8, 6, 7), "events")
    net.add("a", Conv(net.weights(24, 8, 3, 3), padding=(1, 1))).neurons("one")
    return net.add("b", Conv(net.weights(10, 24, 2, 3))).neurons("two")


def loops():
    net = Net((40,), "events")
    net.add("a", Linear(net.weights(64, 40))).neurons("one").fed_back("one")
    net.add("b", Linear(net.weights(30, 64))).neurons(
        "two", ALIF, adaptation=np.float32(0.1), adaptation_decay=np.float32(0.8)
    )
    return net.fed_back("two").add("c", Linear(net.weights(5, 30))).neurons("three")


NETS = [features, lambda: features("float64"), still, places, maps_of_events, loops]


def frames(graph, number, rate):
    rng, events = np.random.default_rng(number), graph.entry.coding == "events"
    size = (*([graph.timesteps] if events else []), number, *graph.entry.shape)
    return (rng.normal(0.5, 1, size) * (rng.random(size) < rate)).astype(np.float32)


def one_by_one(graph, x):
    return [x[:, n : n + 1] if graph.entry.coding == "events" else x[n : n + 1] for n in range(4)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("make", NETS)
def test_each_bit_is_that_of_a_batch(make, threads):
    """With few and with many inputs, for which matrices and convolutions have other ways."""
    graph, before = make().graph(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        engine, fired = Engine(graph), 0
        for rate in (0.05, 0.9):
            for one in one_by_one(graph, frames(graph, 4, rate)):
                batch, record = Engine(graph).simulate(one), engine.simulate(one)
                assert record.outputs.tobytes() == batch.outputs.tobytes()
                assert (record.outputs.dtype, record.outputs.shape) == (batch.outputs.dtype, batch.outputs.shape)
                assert list(record.spike_counts) == list(batch.spike_counts)
                for name, counts in batch.spike_counts.items():
                    np.testing.assert_array_equal(record.spike_counts[name], counts)
                    fired += counts.sum()
                assert (record.target, record.overflows, record.neurons) == ("reference", {}, batch.neurons)
        assert engine._chains._weights is not None
        assert 0.01 < fired / 8 / STEPS / sum(batch.neurons.values()) < 0.9
    finally:
        torch.set_num_threads(before)


def test_random_graphs_are_the_plain_definition():
    """Of every node; numbers of which nothing rounds, so that the order of sums is none of a bit."""
    chains = 0
    for seed in range(60):
        graph, x = random_graph(seed, integers=False, batch=1)
        plain, engine = simulate(graph, x, kernels="plain"), Engine(graph, kernels="fast")
        for _ in range(3):
            record = engine.simulate(x)
            np.testing.assert_array_equal(record.outputs, plain.outputs)
            for name, counts in plain.spike_counts.items():
                np.testing.assert_array_equal(record.spike_counts[name], counts)
        chains += engine._chains._weights is not None
    assert chains > 5


@pytest.mark.parametrize("make", [features, maps_of_events, loops])
@pytest.mark.parametrize("after_end", ["hold", "cycle"])
def test_short_blocks_of_a_stream_go_step_by_step_and_leave_the_state_to_long_ones(make, after_end):
    """Weights are whole numbers, so that no order of sums rounds."""
    graph = make().graph().with_(after_end=after_end)
    whole = {
        name: node.with_(weight=np.rint(8 * node.weight), **({} if node.bias is None else {"bias": None}))
        for name, node in graph.nodes.items()
        if isinstance(node, Linear | Conv)
    }
    graph = graph.replace(whole)
    x = (np.random.default_rng(1).random((60, 1, *graph.entry.shape)) < 0.2).astype(np.float32)
    running, blocks, stepped = Stream(graph), [], []
    for some in np.split(x, [1, 2, 3, 5, 12, 33, 34, 54]):
        blocks += running.feed(some)
        stepped.append(running._stepped._inside)
    assert stepped == [False, True, True, True, False, False, True, False, False]
    truth = list(Stream(graph, kernels="plain").feed(x))
    told, true = (np.concatenate([block.outputs for block in each]) for each in (blocks, truth))
    assert told.tobytes() == true.tobytes()
    assert told.dtype == true.dtype
    extended = simulate(extend(graph, 60), x, Request(), kernels="plain")
    for name, counts in extended.spike_counts.items():
        assert counts.sum() > 0
        np.testing.assert_array_equal(np.concatenate([block.record.spike_counts[name] for block in blocks]), counts)


@pytest.mark.parametrize("large", [True, False])
def test_large_networks_hold_nothing_for_all_their_steps(monkeypatch, large):
    """9 steps of 50 x 70 + 70 x 33 + 33 x 4 multiply-adds."""
    monkeypatch.setattr(real_chain, "MOST", 9 * (50 * 70 + 70 * 33 + 33 * 4) - large)
    graph = features().graph()
    engine, x = Engine(graph), frames(graph, 4, 0.3)
    for one in one_by_one(graph, x):
        engine.simulate(one)
    assert (engine._chains._weights is None) == large


def test_several_samples_are_a_batch():
    graph = features().graph()
    engine, x = Engine(graph), frames(graph, 4, 0.3)
    for _ in range(3):
        engine.simulate(x)
    assert engine._chains._weights is None


@pytest.mark.parametrize("make", NETS)
def test_nothing_is_written_beyond_an_array(monkeypatch, make):
    here = Guarded()
    for name in ("cycle", "fused", "kernels", "matrix", "real_chain"):
        monkeypatch.setattr(importlib.import_module(f"spikeport.engine.cpu.{name}"), "np", here)
    graph = make().graph()
    engine = Engine(graph)
    for one in one_by_one(graph, frames(graph, 4, 0.3)):
        engine.simulate(one)
        assert here.intact()
    assert len(here.arrays) > 10


def test_an_engine_that_nobody_holds_is_gone_at_once():
    graph = loops().graph()
    engine = Engine(graph)
    for one in one_by_one(graph, frames(graph, 4, 0.3)):
        engine.simulate(one)
    assert engine._chains._weights is not None
    gone = weakref.ref(engine)
    gc.disable()
    try:
        del engine
        assert gone() is None
    finally:
        gc.enable()
