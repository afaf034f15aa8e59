"""What the page lets a reader drill down into: rasters of neurons that part, histograms of mantissas, the graph itself.

Everything is plain JSON, so that a report can be written again from files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikeport.graph import LIF, Graph, Loihi, Synapse, schedule_over_neurons
from spikeport.mapping.placement import Mapping as Placement
from spikeport.record import Record
from spikeport.reporting.cores import core_map
from spikeport.reporting.drawing import draw

A_STEP = 6  #: neurons shown of those that part at one step of one layer
BINS = 32  #: bars of a histogram of mantissas


def gather(
    pairs: Mapping[str, tuple[Record, Record]],
    *,
    graph: Graph | None = None,
    integer: Graph | None = None,
    placement: Placement | None = None,
) -> dict[str, Any]:
    """The figures of a run: ``pairs`` of records by stage (A, B), the trained graph, the integer one and its place."""
    figures: dict[str, Any] = {"rasters": {stage: rasters(a, b, integer or graph) for stage, (a, b) in pairs.items()}}
    if graph is not None:
        figures["graph"] = str(draw(graph))
    if integer is not None and isinstance(integer.arithmetic, Loihi):
        figures["histograms"] = histograms(integer)
    if placement is not None:
        figures["cores"] = str(core_map(placement))
    return figures


def rasters(a: Record, b: Record, graph: Graph | None = None) -> dict[str, list[dict[str, Any]]]:
    """For each layer some neurons whose spikes differ, with both of their spike trains and their thresholds."""
    by_layer = {}
    for name in b.trains:
        alike = name in a.trains and a.trains[name].shape == b.trains[name].shape
        if alike and (chosen := _of_layer(a, b, name, graph)):
            by_layer[name] = chosen
    return by_layer


def _of_layer(a: Record, b: Record, name: str, graph: Graph | None) -> list[dict[str, Any]]:
    shape = a.trains[name].shape
    x, y = (record.trains[name].unpack().reshape(*shape[:2], -1) for record in (a, b))
    places: dict[tuple[int, int], None] = {}
    for t in range(shape[0]):
        for sample, neuron in np.argwhere(x[t] != y[t])[:A_STEP]:
            places[int(sample), int(neuron)] = None
    thresholds = _thresholds(graph, name)
    return [
        {
            "sample": sample,
            "neuron": [int(i) for i in np.unravel_index(neuron, shape[2:])],
            "a": x[:, sample, neuron].astype(int).tolist(),
            "b": y[:, sample, neuron].astype(int).tolist(),
            **({} if thresholds is None else {"threshold": thresholds[:, neuron].tolist()}),
        }
        for sample, neuron in places
    ]


def _thresholds(graph: Graph | None, name: str) -> Any:
    node = None if graph is None else graph.nodes.get(name)
    if not isinstance(node, LIF):
        return None
    spread = schedule_over_neurons(node.threshold, node.shape)
    return np.broadcast_to(spread, (node.timesteps, *node.shape)).reshape(node.timesteps, -1)


def histograms(graph: Graph) -> dict[str, dict[str, Any]]:
    """How the mantissas of each synapse spread over the numbers that they can be."""
    assert isinstance(graph.arithmetic, Loihi)
    top = 2 ** (graph.arithmetic.profile.weight_bits - 1)
    by_synapse = {}
    for name, node in graph.nodes_of(Synapse).items():
        counts, edges = np.histogram(node.weight, bins=min(BINS, 2 * top), range=(-top, top))
        by_synapse[name] = {
            "counts": counts.tolist(),
            "edges": edges.tolist(),
            "exponent": node.exponent,
            "zero": float(np.mean(node.weight == 0)),
            "least": int(node.weight.min()),
            "most": int(node.weight.max()),
        }
    return by_synapse


def of_layers(histogram: Mapping[str, Any]) -> Sequence[str]:
    """The facts under a histogram."""
    return (
        f"{histogram['least']} … {histogram['most']}",
        f"{100 * histogram['zero']:.1f} % zero",
        f"\u00d7 2^{histogram['exponent']}",
    )
