"""No integer leaves the range that was computed for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LOIHI2, Delay, Graph, Input, Loihi, Range, Readout, Scale, bounds
from spikeport.graph.bounds import product
from spikeport.graph.definition import run
from spikeport.graph.ranges import ranges


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_no_value_leaves_its_range(seed):
    graph, samples = random_graph(seed, integers=True)
    node = graph[graph.input]
    bound = ranges(graph, Range(int(node.low), int(node.high)))
    for name, value in run(graph, samples).values.items():
        assert bound[name].low <= value.min()
        assert value.max() <= bound[name].high


def test_a_synapses_range_is_reached():
    weight = np.asarray([[3, -5, 0], [7, 7, 7]])
    assert product(weight, Range(0, 4)) == Range(-20, 84)
    assert product(weight, Range(-2, 4)) == Range(-42, 84)  # 3 * 7 * -2
    assert product(weight, Range(2, 4)) == Range(-20, 84)  # at a border only some of the inputs count


def test_a_loop_without_neurons_is_bounded_by_its_steps_or_refused():
    def loop(steps, factor):
        nodes = {
            "input": Input((1,), low=0, high=1),
            "sum": Scale(np.asarray(1)),
            "delay": Delay((1,)),
            "grow": Scale(np.asarray(factor)),
            "out": Readout((1,), np.ones(steps, int), bias=np.asarray(0)),
        }
        edges = (("input", "sum"), ("sum", "delay"), ("delay", "grow"), ("grow", "sum"), ("sum", "out"))
        return Graph(nodes, edges, steps, Loihi(LOIHI2))

    assert ranges(loop(3, 2), Range(0, 1))["sum"].high >= 1 + 2 + 4
    x = np.ones((1, 1))
    assert simulate(loop(3, 2), x).outputs.item() == 64 * (1 + 3 + 7)
    with pytest.raises(SpikeportError, match=r"SP509"):
        simulate(loop(10, 1000), x)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32])
def test_sums_of_weights_are_those_of_all_pieces(dtype, monkeypatch):
    """-128 is the byte without a counterpart."""
    monkeypatch.setattr(bounds, "PIECE", 40)
    weight = np.random.default_rng(0).integers(-128, 128, (7, 3, 5)).astype(dtype)
    weight[0], weight[1] = -128, 127
    positive, negative = bounds.sums(weight)
    rows = weight.reshape(7, -1).astype(np.int64)
    assert positive.tolist() == rows.clip(min=0).sum(1).tolist()
    assert negative.tolist() == rows.clip(max=0).sum(1).tolist()
