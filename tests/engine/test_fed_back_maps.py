"""Maps of neurons that feed back by convolutions, in one loop: the definition, in every bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equal_records import ALL, same
from spikeport.engine import simulate
from spikeport.engine.run import Engine
from spikeport.graph import LIF, LOIHI2, Conv, CubaLIF, Delay, Graph, Input, Loihi, Pool, Readout, Real, Scale
from spikeport.graph.definition import run

STEPS = 7
#: shapes of maps, kernels, and the windows that keep the shape
WINDOWS = {
    "three by three": ((5, 6, 4), (3, 3), {"padding": (1, 1)}),
    "dilated": ((17, 5, 7), (3, 5), {"padding": (2, 4), "dilation": (2, 2)}),
    "one place": ((8, 3, 3), (1, 1), {}),
    "larger than the map": ((1, 2, 3), (5, 7), {"padding": (2, 3)}),
    "wide": ((70, 3, 2), (3, 3), {"padding": (1, 1)}),
    "a line": ((9, 11), (3,), {"stride": (1,), "padding": (1,), "dilation": (1,)}),
}


def fed_back(windows, integers, *, kind=LIF, exponents=(0, 0), bias=False, **extra):
    """Two layers; each reads the other's spikes by a convolution, one of them a step later, and itself by a scale."""
    shape, kernel, options = windows
    rng, number = np.random.default_rng(3), np.int64 if integers else np.float32
    unit = 1 if integers else np.float32(1 / 64)

    def conv(exponent):
        weight = rng.integers(-68, 75, (shape[0], shape[0], *kernel))
        added = (rng.integers(-9, 9, shape[0]) * unit).astype(np.float32) if bias else None
        weight = weight.astype(np.int8) if integers else (weight * unit).astype(np.float32)
        return Conv(weight, added, exponent=exponent if integers else 0, **options)

    def neurons(**own):
        theta = (rng.integers(40, 200, (STEPS, *shape)) * unit).astype(number)
        own |= {"current_decay": number(1024 if integers else 0.25)} if kind is CubaLIF else {}
        return kind(shape, number(2048 if integers else 0.5), theta, compare=">", **own)

    nodes = {
        "in": Input(shape, "events", low=-90, high=200),
        "a": neurons(reset="subtract"),
        "b": neurons(**extra),
        "a.past": Delay(shape, 2),
        "b.past": Delay(shape, 1),
        "ab": conv(exponents[0]),
        "ba": conv(exponents[1]),
        "aa": Scale(number(-50 if integers else -0.5)),
        "out": Readout(shape, np.ones(STEPS, number)),
        "sums": Readout(shape, np.ones(STEPS, number)),
    }
    edges = [("in", "a"), ("ba", "a"), ("aa", "a"), ("a", "ab"), ("ab", "b"), ("a", "a.past"), ("a.past", "aa")]
    edges += [("b", "b.past"), ("b.past", "ba"), ("b", "out"), ("ab", "sums")]
    arithmetic = Loihi(LOIHI2) if integers else Real()
    return Graph(nodes, tuple(edges), STEPS, arithmetic=arithmetic, named_outputs=("out", "sums"))


def samples(graph, batch=5):
    low, high = (-90, 200) if isinstance(graph.arithmetic, Loihi) else (-1, 3)
    return np.random.default_rng(1).integers(low, high + 1, (STEPS, batch, *graph.entry.shape)).astype(np.float32)


def held(graph, asked=ALL, *, circuits=1):
    """What the engine does on the loop, which is what plain operations and the definition do."""
    x, engine = samples(graph), Engine(graph, kernels="fast")
    record, truth = engine.simulate(x, asked), run(graph, x)
    assert len(engine._program.circuits) == circuits
    same(record, simulate(graph, x, asked, kernels="plain"))
    for name in ("a", "b"):
        np.testing.assert_array_equal(record.trains[name].unpack(), truth.spikes(name))
        assert 0.02 < truth.spikes(name).mean() < 0.98


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("windows", WINDOWS)
def test_every_window(windows, integers):
    """Real weights are 64ths and decays halves, few steps: nothing rounds."""
    held(fed_back(WINDOWS[windows], integers))


@pytest.mark.parametrize("exponents", [(-2, 0), (1, -1)])
@pytest.mark.parametrize("kind", [LIF, CubaLIF])
def test_sums_are_shifted_as_a_matrix_of_integers_is(kind, exponents):
    held(fed_back(WINDOWS["three by three"], True, kind=kind, exponents=exponents, reset="zero"))


def test_a_bias_of_real_numbers():
    held(fed_back(WINDOWS["three by three"], False, bias=True))


@pytest.mark.parametrize("limit", [{"memory": 1 << 12}, {"batch": 2}, {"events": False}])
def test_blocks_go_on_where_the_last_one_was(limit):
    for integers in (True, False):
        held(fed_back(WINDOWS["three by three"], integers), replace(ALL, **limit))


@pytest.mark.parametrize("integers", [True, False])
def test_maps_that_are_no_single_spikes_run_step_by_step(integers):
    """A layer's scaled spikes; and pools."""
    graph = fed_back(WINDOWS["three by three"], integers)
    with_pool = graph.replace({"aa": Pool("sum", (3, 3), (1, 1), (1, 1))})
    edges = [edge for edge in graph.edges if edge != ("a", "ab")]
    scaled = {**graph.nodes, "big": Scale(graph["aa"].factor)}
    scaled = Graph(
        scaled,
        (*edges, ("a", "big"), ("big", "ab")),
        STEPS,
        arithmetic=graph.arithmetic,
        named_outputs=graph.named_outputs,
    )
    for other in (with_pool, scaled):
        x, engine = samples(other), Engine(other, kernels="fast")
        same(engine.simulate(x, ALL), simulate(other, x, ALL, kernels="plain"))
        assert not engine._program.circuits
