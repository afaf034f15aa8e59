"""What the page lets a reader drill down into: rasters of neurons that part, histograms of mantissas, the graph itself.

Everything is plain JSON, so that a report can be written again from files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikeport.comparison import threshold_at, unit_of
from spikeport.graph import LIF, Array, Graph, Loihi, Synapse, schedule_over_neurons
from spikeport.mapping.placement import Mapping as Placement
from spikeport.record import Record
from spikeport.reporting.cores import core_map
from spikeport.reporting.drawing import draw
from spikeport.reporting.numbers import short_percent
from spikeport.reporting.spikes import spikes

A_STEP = 6  #: neurons shown of those that part at one step of one layer
BINS = 32  #: bars of a histogram of mantissas


def gather(
    pairs: Mapping[str, tuple[Record, Record]],
    *,
    graph: Graph | None = None,
    integer: Graph | None = None,
    placement: Placement | None = None,
    names: tuple[str, str] = ("A", "B"),
) -> dict[str, Any]:
    """The figures of a run: ``pairs`` of records by stage (A, B), the trained graph, the integer one and its place.

    ``names`` are those of the first pair, whose spikes are drawn.
    """
    figures: dict[str, Any] = {"rasters": {stage: rasters(a, b, integer or graph) for stage, (a, b) in pairs.items()}}
    for a, b in list(pairs.values())[:1]:
        figures["spikes"] = spikes(a, b, names, graph)
    if graph is not None:
        figures["graph"] = str(draw(graph))
    if integer is not None and isinstance(integer.arithmetic, Loihi):
        figures["histograms"] = histograms(integer)
        figures["mantissas"] = mantissas(integer)
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
            **{what: _finite(values[:, neuron]) for what, values in thresholds.items()},
        }
        for sample, neuron in places
    ]


def _thresholds(graph: Graph | None, name: str) -> dict[str, Array]:
    """[T, neurons]: the thresholds in real units, and the integers that stand for them where the graph holds such."""
    node = None if graph is None else graph.nodes.get(name)
    if graph is None or not isinstance(node, LIF):
        return {}
    unit = unit_of(graph, node)
    real = np.stack([np.broadcast_to(threshold_at(graph, node, t) * unit, node.shape) for t in range(node.timesteps)])
    values = {"threshold": real.reshape(node.timesteps, -1)}
    if not isinstance(graph.arithmetic, Loihi):
        return values
    spread = np.broadcast_to(schedule_over_neurons(node.threshold, node.shape), real.shape)
    return values | {"mantissa": spread.reshape(node.timesteps, -1)}


def mantissas(graph: Graph) -> dict[str, dict[str, list[float | None]]]:
    """The thresholds of a network in integers, means over neurons: themselves, and in units of the layer's input."""
    by_layer = {}
    for name in graph.nodes_of(LIF):
        values = _thresholds(graph, name)
        by_layer[name] = {what: _finite(each.mean(1)) for what, each in values.items()}
    return by_layer


def _finite(values: Array) -> list[float | None]:
    """For JSON, which has no infinity: None is a threshold that nothing reaches."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


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
        f"{short_percent(histogram['zero'])} zero",
        f"\u00d7\u202f2^{histogram['exponent']}",
    )
