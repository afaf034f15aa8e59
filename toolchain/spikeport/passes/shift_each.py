"""Shift weights where a profile shifts each of them, so that what runs the graph need only know sums."""

from __future__ import annotations

from dataclasses import replace

from spikeport.graph import Graph, Loihi, Synapse


def shift_each(graph: Graph) -> Graph:
    """Put the mantissas that a chip adds in the place of those that it stores.

    1. A negative exponent e of a profile with ``weight_shift = "each"`` makes w' = floor(w * 2**e), and e' = 0.
    2. The profile says ``weight_shift = "sum"`` from then on, which is the same for exponents of at least 0.

    Requires: nothing; other graphs come back as they are. Ensures: every value as before.
    """
    arithmetic = graph.arithmetic
    if not isinstance(arithmetic, Loihi) or arithmetic.profile.weight_shift == "sum":
        return graph
    low, high = arithmetic.profile.weight_exponent
    profile = replace(arithmetic.profile, weight_shift="sum", weight_exponent=(min(low, 0), max(high, 0)))
    nodes = {name: arithmetic.summed(node) if isinstance(node, Synapse) else node for name, node in graph.nodes.items()}
    return graph.with_(nodes=nodes, arithmetic=Loihi(profile))
