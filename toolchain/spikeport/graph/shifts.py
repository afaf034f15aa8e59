"""Shift weights where a profile shifts each of them, so that whatever runs the graph need only know sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.graph.graph import Graph
from spikeport.graph.hosted import by_host
from spikeport.graph.loihi import Loihi
from spikeport.graph.node import Node
from spikeport.graph.synapses import Synapse


def shift_each(graph: Graph) -> Graph:
    """Put the mantissas that a chip adds in the place of those that it stores.

    1. A negative exponent e of a profile with ``weight_shift = "each"`` makes w' = floor(w * 2**e), and e' = 0
       (Loihi 1: nengo-loihi 1.1, emulator; Brian2Loihi 0.5).
    2. A synapse whose sums a host forms (`by_host`) keeps its mantissas and exponent: the host shifts the sum.
    3. The profile says ``weight_shift = "sum"`` from then on, which is the same for exponents of at least 0.

    Requires: nothing; other graphs come back as they are. Ensures: every value as before.
    """
    arithmetic = graph.arithmetic
    if not isinstance(arithmetic, Loihi) or arithmetic.profile.weight_shift == "sum":
        return graph
    low, high = arithmetic.profile.weight_exponent
    profile = replace(arithmetic.profile, weight_shift="sum", weight_exponent=(min(low, 0), max(high, 0)))
    nodes = {name: node if by_host(graph, name) else _shifted(node) for name, node in graph.nodes.items()}
    return graph.with_(nodes=nodes, arithmetic=Loihi(profile))


def _shifted(node: Node) -> Node:
    if not isinstance(node, Synapse) or node.exponent >= 0:
        return node
    weight = (node.weight.astype(np.int64) >> -node.exponent).astype(node.weight.dtype)
    return node.with_(weight=weight, exponent=0)
