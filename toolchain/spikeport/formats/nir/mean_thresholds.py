"""What it costs to write the mean of a schedule: the network that a tool runs which ignores the metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import LIF, Array, Graph
from spikeport.record import Record

Run = Callable[[Graph, Array], Record]


def varying(graph: Graph) -> dict[str, LIF]:
    """The layers whose thresholds change over time."""
    return {name: node for name, node in graph.nodes_of(LIF).items() if (node.threshold != node.threshold[:1]).any()}


def averaged(graph: Graph) -> Graph:
    """The graph with each schedule replaced by its mean over time, as `write` rounds it."""
    changes: dict[str, Any] = {}
    for name, node in varying(graph).items():
        mean = node.threshold.mean(0, dtype=np.float64)
        mean = np.rint(mean) if node.threshold.dtype.kind in "iu" else mean
        steps = (node.timesteps, *node.threshold.shape[1:])
        changes[name] = node.with_(threshold=np.broadcast_to(mean, steps).astype(node.threshold.dtype))
    return graph.replace(changes)


def cost(graph: Graph, samples: Array | None, run: Run | None) -> list[Finding]:
    """What the means change: on ``samples`` where there are some to run, else how far the schedules lie from them."""
    layers = varying(graph)
    if not layers:
        return []
    worst = max(_spread(node.threshold) for node in layers.values())
    what = f"{len(layers)} layers are written with their mean threshold, up to {worst:.1%} off"
    if samples is not None and run is not None:
        exact, mean = run(graph, samples), run(averaged(graph), samples)
        kept = np.mean([a.argmax() == b.argmax() for a, b in zip(exact.outputs, mean.outputs, strict=True)])
        spikes = [sum(int(counts.sum()) for counts in record.spike_counts.values()) for record in (exact, mean)]
        change = spikes[1] / max(spikes[0], 1) - 1
        what += f"; on {exact.samples} samples {kept:.1%} keep their class and there are {change:+.1%} spikes"
    return [
        Finding(
            "SP209",
            what,
            where=", ".join(map(repr, list(layers)[:8])),
            why="tools that ignore the metadata run this other network.",
            mend='thresholds="guard" writes what nobody can mistake'
            + ("" if run else "; pass a calibration batch to see what the means cost"),
            severity="substituted",
        )
    ]


def _spread(threshold: Array) -> float:
    """Largest distance of a threshold from its mean over time, as a share of the layer's largest mean."""
    mean = threshold.mean(0, dtype=np.float64)
    top = float(np.abs(mean).max(initial=0.0))
    return float(np.abs(threshold - mean).max()) / top if 0 < top < np.inf else np.inf
