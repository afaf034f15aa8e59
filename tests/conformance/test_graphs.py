"""What the random graphs hold: otherwise that targets agree on them would say little."""

from __future__ import annotations

import numpy as np
import pytest

from exact_sums import SIGNIFICAND, significand
from graph_maker import Wish
from random_graphs import draw, random_graph, samples
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Readout, Real, Synapse
from spikeport.graph.definition import run


@pytest.mark.parametrize("integers", [True, False])
def test_the_random_graphs_fire_stay_silent_saturate_and_reach_every_node(integers):
    kinds, rates, saturated, beyond, recurrent = set(), [], 0, 0, 0
    for seed in range(150):
        graph, x = random_graph(seed, integers=integers)
        assert not integers or graph.arithmetic.profile == LOIHI2
        truth = run(graph, x)
        kinds |= {type(node).__name__ for node in graph.nodes.values()}
        rates += [truth.spikes(name).mean() for name in graph.nodes_of(LIF)]
        saturated += sum(kinds.get("membrane saturated", 0) for kinds in truth.overflows.values())
        beyond += sum(kinds.get("sum beyond 24 bits", 0) for kinds in truth.overflows.values())
        recurrent += graph.recurrent
    wanted = {"Input", "Conv", "Linear", "Pool", "Flatten", "Scale", "LIF", "CubaLIF", "Delay", "Readout"}
    assert kinds == (wanted if integers else wanted | {"Norm"})
    assert np.mean([0.05 < rate < 0.95 for rate in rates]) > 0.4
    assert recurrent > 10
    assert (saturated > 0 and beyond > 0) or not integers


@pytest.mark.parametrize("integers", [True, False])
def test_branches_add_straight_into_every_kind_of_node(integers):
    """A sum of several edges is not always a node of its own: ResNet adds in front of synapses, pools and readouts."""
    graphs = [random_graph(seed, integers=integers)[0] for seed in range(200)]
    met = {type(graph[name]).__name__ for graph in graphs for name in graph if len(graph.sources(name)) > 1}
    assert met >= {"Conv", "Linear", "Pool", "Flatten", "Readout", "LIF", "CubaLIF", "Scale", "Delay"}
    plain = [
        graph
        for graph in graphs
        for name in graph.nodes_of(LIF)
        if sum(isinstance(graph[source], Synapse) for source in graph.sources(name)) > 1
    ]
    assert len(plain) > 20


def test_the_bits_that_sums_need_are_counted():
    """Sixteenths up to 2 times 3/8 + 1/2: seven places, below 2; then a bias of 1/4 and two leaks by a half."""
    f4 = np.float32
    nodes = {
        "in": Input((2,)),
        "fc": Linear(np.asarray([[0.375, 0.5]], f4)),
        "lif": LIF((1,), f4(0.5), np.ones(3, f4), f4(0.25)),
        "out": Readout((1,), np.ones(3, f4)),
    }
    graph = Graph.chain(nodes, 3)
    # 9 places; (1.75 + 0.25) (1 + 1/2 + 1/4) + 1 = 4.5
    assert significand(graph) == 9 + 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_real_graphs_round_nowhere(dtype):
    """Their membranes in the graph's own type are the definition's in float64."""
    wide = SIGNIFICAND[dtype]
    graphs = [draw(np.random.default_rng(seed), Wish(dtype, timesteps=40)) for seed in range(40)]
    assert max(significand(graph) for graph in graphs) in range(wide - 8, wide + 1)
    for graph in graphs:
        assert graph.arithmetic == Real(dtype)
        for membranes in run(graph, samples(graph)).membranes.values():
            assert np.array_equal(membranes.astype(dtype), membranes)
