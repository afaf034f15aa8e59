"""Readings under which a layer can never fire, whatever enters the network and however long it runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import Finding, fail
from spikeport.graph import LIF, Array, CubaLIF, Graph
from spikeport.graph.ranges import into, ranges

MEND = "--dt, --nir written_by=..., integrator=... or drive=... read it otherwise"


def never_firing(graph: Graph) -> list[Finding]:
    """The layers that can never fire, as a note. Raises SP222 where no layer can.

    With a drive of at most x, u stays below (gain x + bias) / (1 - decay), its limit under a constant x. What enters a
    layer behind feedback has no bound here; elsewhere a spike is at most 1.
    """
    bounds = None if graph.recurrent else ranges(graph)
    layers = graph.nodes_of(LIF)
    silent = []
    for name, node in layers.items():
        drive = None if bounds is None else into(graph, name, bounds)
        low, high = (-np.inf, np.inf) if drive is None else (float(drive.low), float(drive.high))
        if _silent(node, low, high):
            silent.append(name)
    if not silent:
        return []
    what = f"no neuron of {', '.join(map(repr, silent[:8]))} can ever fire as the file was read"
    if len(silent) == len(layers):
        fail("SP222", what, why="its membranes stay below their thresholds whatever enters.", mend=MEND)
    return [Finding("SP222", what, why="membranes there stay below their thresholds.", mend=MEND, severity="note")]


def _silent(node: LIF, low: float, high: float) -> bool:
    with np.errstate(all="ignore"):
        ends = [_axes(node.gain, node) * end for end in (low, high)]
        drive = np.maximum(*(np.nan_to_num(end, nan=0.0, posinf=np.inf, neginf=-np.inf) for end in ends))
        if isinstance(node, CubaLIF):
            drive = _limit(np.maximum(drive, 0), _axes(node.current_decay, node))
        top = _limit(drive + _axes(node.bias, node), _axes(node.decay, node))
    least = np.stack([_axes(threshold, node) for threshold in node.threshold]).min(0)
    top = np.maximum(top, 0)
    return bool((top <= least).all() if node.compare == ">" else (top < least).all())


def _limit(drive: NDArray[np.float64], decay: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a leaky sum of a constant drive goes, or its first value if it falls from there."""
    with np.errstate(all="ignore"):
        return np.where(drive > 0, np.maximum(drive, drive / (1 - decay)), np.minimum(drive, 0))


def _axes(value: Array, node: LIF) -> NDArray[np.float64]:
    """A field against the axes of the layer: one value a channel gets the axes behind it."""
    value = np.asarray(value, np.float64)
    return value.reshape(value.shape + (1,) * (len(node.shape) - 1)) if value.shape == node.shape[:1] else value
