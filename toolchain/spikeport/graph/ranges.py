"""How large values can get, from the bounds of the input, of spikes and of weights."""

from __future__ import annotations

import numpy as np

from spikeport.graph.graph import Graph
from spikeport.graph.neurons import LIF
from spikeport.graph.node import Node
from spikeport.graph.plumbing import Delay, Input, Pool, Scale
from spikeport.graph.synapses import Synapse


def value_ranges(graph: Graph, *, leaving: bool = False) -> dict[str, tuple[float, float]]:
    """Smallest and largest value that can enter (or leave) a node, from the bounds of the input and of the spikes."""
    delays = len(graph.nodes_of(Delay))
    leaves: dict[str, tuple[float, float]] = dict.fromkeys(graph.nodes, (0.0, 0.0))
    enters: dict[str, tuple[float, float]] = {}
    for _ in range(1 + delays):  # more passes for what the delays hand back
        for name in graph.order:
            node = graph.nodes[name]
            sums = [leaves[source] for source in graph.sources(name)]
            enters[name] = (sum(low for low, _ in sums), sum(high for _, high in sums))
            leaves[name] = _leaving(node, enters[name])
    return leaves if leaving else enters


def _leaving(node: Node, entering: tuple[float, float]) -> tuple[float, float]:
    low, high = entering
    if isinstance(node, Input):
        return float(node.low), float(node.high)
    if isinstance(node, LIF):
        return 0.0, 1.0
    if isinstance(node, Pool):
        area = float(np.prod(node.kernel)) if node.kind == "sum" else 1.0
        return min(low * area, 0.0), max(high * area, 0.0)
    if isinstance(node, Scale):
        ends = [float(f) * e if f else 0.0 for f in node.factor.flat for e in entering]  # 0 of an unknown bound is 0
        return min(ends), max(ends)
    if isinstance(node, Delay):
        return min(low, 0.0), max(high, 0.0)
    if isinstance(node, Synapse):
        flat = node.weight.reshape(node.channels, -1).astype(np.float64)
        up, down = np.maximum(flat, 0).sum(1), np.minimum(flat, 0).sum(1)
        with np.errstate(invalid="ignore"):
            worst = np.nan_to_num(np.stack([up * high + down * low, up * low + down * high]), nan=0.0)
        factor = 2.0**node.exponent
        return min(float(worst.min()) * factor, 0.0), max(float(worst.max()) * factor, 0.0)
    return low, high
