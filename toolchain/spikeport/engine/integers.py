"""How large the engine's integers get, and in which type of PyTorch they are kept."""

from __future__ import annotations

import torch

from spikeport.findings import fail
from spikeport.graph import Graph, Range
from spikeport.graph.ranges import ranges, sums

EXACT = 2**53  #: float64 holds every whole number up to here


def exact_ranges(graph: Graph, entering: Range) -> dict[str, Range]:
    """The range of what leaves each node, for whole numbers in ``entering``; of a synapse after its exponent.

    Raises SP509 where a sum could leave the whole numbers that float64 holds.
    """
    bounds = ranges(graph, entering)
    for name in graph.order:
        if max(bounds[name].size, sums(graph, name, bounds).size) >= EXACT:
            fail(
                "SP509",
                f"its values may reach {bounds[name].size:.3g}, more than the engine computes exactly",
                where=f"node {name!r}",
                mend="smaller weights, a smaller exponent, or a neuron in the loop",
            )
    return bounds


def holding(x: Range) -> torch.dtype:
    """The smallest type that holds whole numbers in a range: uint8, int32 or int64."""
    if x.low >= 0 and x.high <= 255:
        return torch.uint8
    return torch.int32 if x.size < 2**31 else torch.int64
