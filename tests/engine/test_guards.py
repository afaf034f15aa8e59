"""Loops that are built by hand check no index: what lies on either side of their arrays stays as it was."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

from conformance.cases import KINDS, case
from equal_records import ALL
from guarded import Guarded
from layer_chains import features, fed_back, lines, maps
from spikeport.engine import chains, simulate
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, Delay, Graph, Input, Linear, Loihi, Readout, Real, Scale

LOOPS = {
    "cycle": "fed_back",
    "fused": "",
    "kernels": "neurons",
    "matrix": "all_sums",
    "circuit": "around",
    "convolution": "_convolve",
    "maps": "",
    "pair": "fire",
}


@pytest.fixture
def guards(monkeypatch):
    """Guards around the arrays of all loops; they are looked at after each call."""
    here = Guarded()
    here.calls = 0
    for name, loop in LOOPS.items():
        module = importlib.import_module(f"spikeport.engine.cpu.{name}")
        monkeypatch.setattr(module, "np", here)
        if loop:
            monkeypatch.setattr(module, loop, _looked_at(here, getattr(module, loop), name))
    return here


def _looked_at(guards, loop, name):
    def call(*told):
        loop(*told)
        guards.calls += 1
        assert guards.intact(), f"{name} writes beyond an array"
        guards.arrays.clear()

    return call


@pytest.mark.parametrize("kind", ["float32", "float64", "integers", "float32, operations", "integers, operations"])
def test_random_graphs(guards, kind):
    assert kind in KINDS
    for seed in range(60):
        drawn = case(kind, seed)
        try:
            simulate(drawn.graph, drawn.samples, replace(ALL, batch=drawn.batch), kernels="fast")
        except SpikeportError:
            continue
    assert guards.calls > 50


def wide(integers, size, *, back, steps=3):
    """Neurons that feed back by a matrix, or by a scale: more of them than the loops keep in the first cache."""
    rng, number = np.random.default_rng(size), (np.int64 if integers else np.float32)
    one = np.int8 if integers else np.float32
    lif = LIF((size,), number(2048 if integers else 0.5), rng.integers(1, 9, (steps, size)).astype(number), compare=">")
    nodes = {"": Input((2,), "events", low=0, high=1), "fc": Linear(rng.integers(-9, 9, (size, 2)).astype(one))}
    nodes |= {"lif": lif, "past": Delay((size,), 1), "out": Readout((size,), np.ones(steps, number))}
    nodes["back"] = Linear(rng.integers(-1, 2, (size, size)).astype(one)) if back == "matrix" else Scale(number(2))
    edges = [("", "fc"), ("fc", "lif"), ("lif", "past"), ("past", "back"), ("back", "lif"), ("lif", "out")]
    return Graph(nodes, tuple(edges), steps, arithmetic=Loihi(LOIHI2) if integers else Real())


@pytest.mark.parametrize("size", [1, 15, 17, 2047, 2049])
@pytest.mark.parametrize("back", ["matrix", "scale"])
@pytest.mark.parametrize("integers", [True, False])
def test_layers_of_any_width(guards, integers, back, size):
    """A node without a name, too; whole numbers are exact in any order."""
    graph = wide(integers, size, back=back)
    x = (np.random.default_rng(1).random((3, 3, 2)) < 0.5).astype(np.float32)
    engine = Engine(graph, kernels="fast")
    record = engine.simulate(x, ALL)
    assert len(engine._program.cycles) + len(engine._program.circuits) == 1
    plain = simulate(graph, x, ALL, kernels="plain")
    np.testing.assert_array_equal(record.outputs, plain.outputs)
    np.testing.assert_array_equal(record.membranes["lif"], plain.membranes["lif"])
    assert guards.calls > 0


def fed_back_map(integers, shape, kernel, steps=3):
    """Two layers, of which one feeds back by a convolution, and a third that a convolution of spikes alone reaches."""
    rng, number = np.random.default_rng(shape[0]), (np.int64 if integers else np.float32)

    def conv(inputs, outputs):
        weight = rng.integers(-9, 20, (outputs, inputs, kernel, kernel))
        return Conv(weight.astype(np.int8 if integers else np.float32), padding=(kernel // 2, kernel // 2))

    def neurons(*size):
        theta = rng.integers(1, 60, (steps, *size)).astype(number)
        return LIF(size, number(2048 if integers else 0.5), theta, compare=">")

    more = (shape[0] + 1, *shape[1:])
    nodes = {"in": Input(shape, "events", low=0, high=1), "fc": conv(shape[0], shape[0]), "a": neurons(*shape)}
    nodes |= {"past": Delay(shape, 1), "back": conv(shape[0], shape[0]), "on": conv(shape[0], more[0])}
    nodes |= {"b": neurons(*more), "out": Readout(more, np.ones(steps, number))}
    edges = [("in", "fc"), ("fc", "a"), ("a", "past"), ("past", "back"), ("back", "a"), ("a", "on"), ("on", "b")]
    return Graph(nodes, (*edges, ("b", "out")), steps, arithmetic=Loihi(LOIHI2) if integers else Real())


@pytest.mark.parametrize("channels", [1, 8, 15, 33, 70])
@pytest.mark.parametrize(("size", "kernel"), [((1, 1), 5), ((3, 2), 3), ((4, 9), 1)])
@pytest.mark.parametrize("integers", [True, False])
def test_maps_of_any_size(guards, integers, size, kernel, channels):
    graph = fed_back_map(integers, (channels, *size), kernel)
    x = (np.random.default_rng(1).random((3, 3, channels, *size)) < 0.3).astype(np.float32)
    engine = Engine(graph, kernels="fast")
    record = engine.simulate(x, ALL)
    assert len(engine._program.circuits) == 1
    plain = simulate(graph, x, ALL, kernels="plain")
    np.testing.assert_array_equal(record.outputs, plain.outputs)
    np.testing.assert_array_equal(record.membranes["b"], plain.membranes["b"])
    assert guards.calls > 0


@pytest.mark.parametrize("channels", [1, 7, 24, 65])
@pytest.mark.parametrize("make", [lines, maps, features, fed_back])
def test_prepared_chains(monkeypatch, make, channels):
    """Their arrays stay: guards are looked at behind every block of samples."""
    here, inside = Guarded(), chains.Hand
    for name in ("WORTH", "WAKE"):  # one thread, and no batch
        monkeypatch.setattr(chains, name, np.inf)
    monkeypatch.setattr(chains.Chains, "_faster", lambda *_: True)
    for name in ("chain", "cycle", "fused", "kernels", "maps", "matrix", "sparse", "wires"):
        monkeypatch.setattr(importlib.import_module(f"spikeport.engine.cpu.{name}"), "np", here)
    net, blocks = make(channels), []

    def looked_at(self, frames, call=inside.__call__):
        told = call(self, frames)
        assert here.intact(), "a chain writes beyond an array"
        blocks.extend(told)
        return told

    monkeypatch.setattr(inside, "__call__", looked_at)
    engine = Engine(net.graph(), kernels="fast")
    for number in (21, 21, 16, 4, 1):
        samples = net.samples(number)
        np.testing.assert_array_equal(engine.simulate(samples).outputs, simulate(net.graph(), samples).outputs)
    assert len(blocks) == 6
    assert len(here.arrays) > 10
