"""The engine computes what the equations say: every spike, membrane and output against a step-by-step reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.graph import LIF, Synapse
from spikeport.graph.definition import run
from spikeport.target import Request

SEEDS = st.integers(0, 2**32 - 1)
ALL = Request(trains=True, membranes=True, events=True)


def agree(graph, samples, record):
    """Assert that a record is what the equations give, to the bit."""
    truth = run(graph, samples)
    for name in graph.nodes_of(LIF):
        spikes = truth.spikes(name)
        np.testing.assert_array_equal(record.trains[name].unpack(), spikes, err_msg=name)
        np.testing.assert_array_equal(record.membranes[name], truth.after[name], err_msg=name)
        np.testing.assert_array_equal(record.spike_counts[name], spikes.reshape(len(spikes), -1).sum(1), err_msg=name)
        np.testing.assert_array_equal(record.events[name].active, truth.active[name], err_msg=name)
    assert record.overflows == truth.overflows
    np.testing.assert_array_equal(record.outputs, truth.outputs)


@settings(max_examples=200)
@given(SEEDS)
def test_integers_agree_with_the_equations_on_every_bit(seed):
    graph, samples = random_graph(seed, integers=True)
    agree(graph, samples, simulate(graph, samples, ALL))


@settings(max_examples=200)
@given(SEEDS)
def test_real_numbers_agree_with_the_equations_where_nothing_rounds(seed):
    graph, samples = random_graph(seed, integers=False)
    agree(graph, samples, simulate(graph, samples, ALL))


@settings(max_examples=30)
@given(SEEDS, st.booleans())
def test_results_do_not_depend_on_the_batch_size(seed, integers):
    graph, samples = random_graph(seed, integers=integers, batch=5)
    whole = simulate(graph, samples, ALL)
    parts = simulate(graph, samples, Request(trains=True, membranes=True, events=True, batch=2))
    np.testing.assert_array_equal(whole.outputs, parts.outputs)
    for name in graph.nodes_of(LIF):
        np.testing.assert_array_equal(whole.membranes[name], parts.membranes[name])
        np.testing.assert_array_equal(whole.trains[name].bits, parts.trains[name].bits)
    for name, events in whole.events.items():
        for field in ("spikes", "active", "inputs", "synops", "fanout", "dense", "payload"):
            np.testing.assert_array_equal(getattr(events, field, 0), getattr(parts.events[name], field, 0))


@pytest.mark.parametrize("integers", [True, False])
def test_the_random_graphs_fire_stay_silent_saturate_and_reach_every_node(integers):
    """Otherwise the equality above would say little."""
    kinds, rates, saturated, beyond, recurrent = set(), [], 0, 0, 0
    for seed in range(150):
        graph, samples = random_graph(seed, integers=integers)
        record = simulate(graph, samples)
        kinds |= {type(node).__name__ for node in graph.nodes.values()}
        rates += [float(rate.mean()) for rate in record.rates().values()]
        saturated += sum(kinds.get("membrane saturated", 0) for kinds in record.overflows.values())
        beyond += sum(kinds.get("sum beyond 24 bits", 0) for kinds in record.overflows.values())
        recurrent += graph.recurrent
    wanted = {"Input", "Conv", "Linear", "Pool", "Flatten", "Scale", "LIF", "CubaLIF", "Delay", "Readout"}
    assert kinds == wanted
    assert np.mean([0.05 < rate < 0.95 for rate in rates]) > 0.4
    assert recurrent > 10
    assert (saturated > 0 and beyond > 0) or not integers


@pytest.mark.parametrize("integers", [True, False])
def test_branches_add_straight_into_every_kind_of_node(integers):
    """A sum of several edges is not always a node of its own: ResNet adds in front of synapses, pools and readouts."""
    graphs = [random_graph(seed, integers=integers)[0] for seed in range(200)]
    met = {type(graph[name]).__name__ for graph in graphs for name in graph if len(graph.sources(name)) > 1}
    assert met >= {"Conv", "Linear", "Pool", "Flatten", "Readout", "LIF", "CubaLIF", "Scale"}
    plain = [
        graph
        for graph in graphs
        for name in graph.nodes_of(LIF)
        if sum(isinstance(graph[source], Synapse) for source in graph.sources(name)) > 1
    ]
    assert len(plain) > 20
