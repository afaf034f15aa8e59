"""Thresholds near zero or below are raised, and no spike changes."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, CubaLIF, Graph, Input, Linear, Readout, Real, definition
from spikeport.passes.raise_thresholds import raise_thresholds
from spikeport.quantisation import quantize
from spikeport.target import Request, target


def network(timesteps=2, kind=LIF, theta=None, decay=0.5, **options):
    rng = np.random.default_rng(5)
    theta = np.asarray([-0.06, 0.01, -0.04, 0.02, 0.5, 0.001], np.float64)[:timesteps] if theta is None else theta
    neurons = kind((20,), np.float64(decay), theta, **options)
    nodes = {
        "input": Input((10,), "events"),
        "fc": Linear(rng.normal(0, 0.5, (20, 10))),
        "lif": neurons,
        "last": Linear(rng.normal(0, 0.5, (3, 20))),
        "out": Readout((3,), np.full(timesteps, 1 / timesteps)),
    }
    graph = Graph.chain(nodes, timesteps=timesteps, arithmetic=Real("float64"))
    return graph, rng.normal(0, 1, (timesteps, 400, 10))


RAISED = {
    "two steps": network(),
    "one step": network(1),
    "bias and a reset to a value": network(reset="value", reset_value=np.float64(0.1), bias=np.float64(-0.05)),
    "a current": network(kind=CubaLIF, current_decay=np.float64(0.75)),
    "no reset": network(6, reset="none"),
    "no memory": network(6, decay=0.0),
    "strictly above": network(compare=">"),
    "a threshold a channel": network(theta=np.linspace(-0.2, 0.6, 40).reshape(2, 20)),
}


@pytest.mark.parametrize("name", RAISED)
def test_no_spike_changes_and_all_thresholds_are_above_zero(name):
    graph, x = RAISED[name]
    raised = raise_thresholds(graph)
    assert graph["lif"].threshold.min() <= 0.001
    unit = np.abs(graph["fc"].weight).max()
    assert raised["lif"].threshold.min() >= unit / 16 - 1e-12
    a, b = (definition.run(each, x).values["lif"] for each in (graph, raised))
    np.testing.assert_array_equal(a, b)
    assert 0.05 < a.mean() < 0.95


@pytest.mark.parametrize("options", [{"reset": "none"}, {"reset": "value", "reset_value": np.float64(0.1)}])
def test_whatever_is_raised_is_said(options):
    graph, x = network(**options)
    graph = graph.with_(arithmetic=Real("float32"), nodes={name: _single(node) for name, node in graph.nodes.items()})
    result = quantize(graph, x.astype(np.float32), profile=LOIHI2, run=simulate)
    assert [finding.where for finding in result.findings if finding.code == "SP440"] == ["node 'lif'"]


@pytest.mark.parametrize(
    "graph",
    [
        network(3)[0],
        network(reset="subtract")[0],
        network(theta=np.float64([0.3, 0.4]))[0],
        network(lower_bound=np.float64(-1))[0],
        network(decay=1.0)[0],
    ],
)
def test_others_stay_as_they_are(graph):
    assert raise_thresholds(graph) == graph


def test_integers_take_such_networks_and_say_so():
    """The resets and biases are the integers' own: their spikes are the real network's, on Lava too."""
    graph, x = network()
    graph = graph.with_(arithmetic=Real("float32"), nodes={name: _single(node) for name, node in graph.nodes.items()})
    x = x.clip(0, 2).astype(np.float32)
    result = quantize(graph, x, profile=LOIHI2, run=simulate)
    (note,) = (finding for finding in result.findings if finding.code == "SP440")
    assert note.where == "node 'lif'"
    assert "down to -0.06;" in note.what
    assert result.graph["lif"].threshold.min() >= 1
    real, whole = (simulate(each, x, Request(trains=True)).trains["lif"].unpack() for each in (graph, result.graph))
    assert (real != whole).mean() < 0.01
    with pytest.raises(SpikeportError, match="SP414"):
        quantize(_three(graph), np.concatenate([x, x[:1]]), profile=LOIHI2, run=simulate)
    errors = [finding for finding in target("lava").check(result.graph) if finding.severity == "error"]
    assert errors == []


def _single(node):
    arrays = {name: value.astype(np.float32) for name in node.arrays if (value := getattr(node, name)) is not None}
    return node.with_(**arrays)


def _three(graph):
    lif, out = graph["lif"], graph["out"]
    nodes = {
        "lif": lif.with_(threshold=np.concatenate([lif.threshold, lif.threshold[:1]])),
        "out": out.with_(weight=np.full(3, 1 / 3, np.float32)),
    }
    return graph.with_(nodes={**graph.nodes, **nodes}, timesteps=3)
