"""Folding changes no spike of any graph: random ones, recurrent, residual, with every neuron and every reset."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Norm, Pool, Synapse
from spikeport.passes.fold_gain import fold_gain
from spikeport.passes.fold_norm import fold_norm
from spikeport.passes.fold_pool import fold_pool
from spikeport.passes.move_bias import move_bias
from spikeport.passes.raise_thresholds import raise_thresholds
from spikeport.target import Request
from strategies import graphs, samples

PASSES = {
    "norm": [fold_norm],
    "pool": [fold_pool],
    "gain": [fold_gain],
    "bias": [move_bias],
    "thresholds": [raise_thresholds],
    "all": [fold_norm, fold_pool, fold_gain, move_bias, raise_thresholds],
}
REFUSALS = {"SP351", "SP352", "SP353"}

few = settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def folded(graph, passes):
    """The graph after all passes; a graph that a pass refuses by its code is no example."""
    for change in passes:
        try:
            graph = change(graph)
        except SpikeportError as error:
            if not {finding.code for finding in error.findings} <= REFUSALS:
                raise
            assume(False)
    return graph


@few
@pytest.mark.parametrize("name", PASSES)
@given(graph=graphs(arithmetic="float64", outputs=True), seed=st.integers(0, 99))
def test_folding_changes_no_spike(name, graph, seed):
    """Where float64's own rounding decides a tie otherwise, the membrane lies within that rounding of its threshold."""
    changed = folded(graph, PASSES[name])
    x = samples(graph, seed)
    before, after = (simulate(g, x, Request(trains=True)) for g in (graph, changed))
    same = all((before.trains[n].bits == train.bits).all() for n, train in after.trains.items())
    assert set(before.trains) == set(after.trains)
    if same:
        assert list(after.further) == list(before.further)
        for end in changed.outputs:
            np.testing.assert_allclose(after.output_of(end), before.output_of(end), rtol=1e-9, atol=1e-9)
        return
    judged = margins(changed, x, before)
    for layer, train in before.trains.items():
        assert not judged[layer].above_rounding(train).any(), layer


@few
@given(graph=graphs(arithmetic="float64"))
def test_what_the_passes_ensure(graph):
    changed = folded(graph, PASSES["all"])
    assert not changed.nodes_of(Norm)
    assert all(node.bias is None for node in changed.nodes_of(Synapse).values())
    assert all((node.gain == 1).all() for node in changed.nodes_of(LIF).values())
    assert all(node.kind == "sum" for node in changed.nodes_of(Pool).values())


@few
@given(graph=graphs(arithmetic="float32"))
def test_a_folded_graph_is_not_folded_again(graph):
    once = folded(graph, PASSES["all"])
    assert folded(once, PASSES["all"]) == once


@few
@given(graph=graphs(arithmetic="float32"))
def test_folds_round_to_the_graphs_type(graph):
    """Computed in float64 and rounded once: nothing a pass touched is wider than the graph."""
    changed = folded(graph, PASSES["all"])
    for name, node in changed.nodes.items():
        for part in node.arrays:
            value = getattr(node, part)
            if value is not None and name in graph.nodes and value is not getattr(graph[name], part, None):
                assert value.dtype in (np.float32, np.float64)
                assert value.dtype == np.float32 or value.dtype == getattr(graph[name], part).dtype
