"""The fast kernels are the plain definition, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equal_records import ALL, same
from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.engine.build import kernels_here
from spikeport.engine.run import Engine
from spikeport.graph import ALIF, LIF, LOIHI2, CubaLIF, Graph, Input, Linear, Loihi


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reset", ["zero", "subtract", "value", "none"])
@pytest.mark.parametrize("compare", [">", ">="])
@pytest.mark.parametrize("kind", [LIF, CubaLIF, ALIF])
def test_real_neurons_round_alike_in_both_kernels(dtype, reset, kind, compare):
    """Numbers with full significands, where another order, or a fused multiply-add, would show."""
    rng = np.random.default_rng(5)
    shape, steps = (3, 11, 7), 6

    def numbers(*size):
        return rng.standard_normal(size).astype(dtype)

    extra = {"current_decay": rng.random(3).astype(dtype)} if kind is CubaLIF else {}
    if kind is ALIF:
        extra = {"adaptation": numbers(3), "adaptation_decay": rng.random(shape).astype(dtype)}
    node = kind(
        shape,
        decay=rng.random(shape).astype(dtype),
        threshold=np.abs(numbers(steps, *shape)),
        bias=numbers(3),
        gain=numbers(),
        reset=reset,
        reset_value=numbers(),
        compare=compare,
        **extra,
    )
    graph = Graph({"input": Input(shape, "events"), "lif": node}, (("input", "lif"),), steps)
    graph = graph.with_(arithmetic=type(graph.arithmetic)(np.dtype(dtype).name))
    samples = numbers(steps, 40, *shape)
    engine = Engine(graph, kernels="fast")
    record, plain = engine.simulate(samples, ALL), simulate(graph, samples, ALL, kernels="plain")
    assert hasattr(engine.ready(None).neurons["lif"], "parameters"), "on the loops"
    same(record, plain)
    same(engine.simulate(samples, replace(ALL, memory=1 << 14)), plain)


def test_the_environment_forces_the_plain_kernels(monkeypatch):
    assert kernels_here("cpu") == "fast"
    monkeypatch.setenv("SPIKEPORT_KERNELS", "plain")
    assert Engine(random_graph(0, integers=True)[0]).kernels == "plain"


def test_a_layer_too_wide_for_32_bits_runs_in_64():
    """127 x 127 x 64 x 2**7 x 64 leaves 32 bits; the sums are counted as beyond 24 bits, the spikes are right."""
    nodes = {
        "input": Input((64,), low=-128, high=127),
        "fc": Linear(np.full((2, 64), 127, np.int8), exponent=7),
        "lif": LIF((2,), np.asarray(4096), np.full(2, 5), compare=">"),
    }
    graph = Graph.chain(nodes, timesteps=2, arithmetic=Loihi(LOIHI2))
    samples = np.asarray([[127] * 64, [-128] * 64])
    record = simulate(graph, samples, ALL)
    assert record.trains["lif"].unpack()[:, :, 0].tolist() == [[True, False], [True, False]]
    assert record.overflows["lif"]["sum beyond 24 bits"] == 8
    same(record, simulate(graph, samples, ALL, kernels="plain"))


def test_more_bits_of_state_move_the_saturation():
    nodes = {
        "input": Input((1,), low=0, high=127),
        "fc": Linear(np.asarray([[127]], np.int8), exponent=4),
        "lif": LIF((1,), np.asarray(4096), np.full(2, 2**17 - 1), compare=">", reset="none"),
    }
    graph = Graph.chain(nodes, timesteps=2, arithmetic=Loihi(LOIHI2))
    more_bits = graph.with_(arithmetic=Loihi(type(LOIHI2)("48 bits", state_bits=48)))
    x = np.full((1, 1), 127)
    step = 127 * 127 * 16 * 64
    assert simulate(graph, x, ALL).membranes["lif"].ravel().tolist() == [2**23 - 1] * 2
    assert simulate(more_bits, x, ALL).membranes["lif"].ravel().tolist() == [step, 2 * step]
