"""How large the integers between the nodes of a Loihi graph can get, from its weights and its input's bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from spikeport.findings import fail
from spikeport.graph import LIF, Delay, Graph, Input, Pool, Readout, Scale, Synapse

LARGEST = 2**31 - 1  #: integers run as int32 between nodes


class Range(NamedTuple):
    """Smallest and largest value, both possible or beyond what is possible."""

    low: int
    high: int

    @property
    def size(self) -> int:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))

    @property
    def byte(self) -> bool:
        """Whether it fits 8 bits, signed or unsigned."""
        return (self.low >= 0 and self.high <= 255) or (self.low >= -128 and self.high <= 127)


def ranges(graph: Graph) -> dict[str, Range]:
    """The range of what leaves each node. Raises SP206 where one is beyond 32 bits or unknown."""
    known: dict[str, Range] = {}
    waiting = [name for name in graph.nodes if not isinstance(graph.nodes[name], Readout)]
    while waiting:
        left = [name for name in waiting if not _known(graph, name, known)]
        if len(left) == len(waiting):
            fail(
                "SP206",
                f"a loop without neurons passes through {', '.join(map(repr, left))}",
                mend="integers could grow there without end: put a neuron into the loop",
            )
        waiting = left
    return known


def _known(graph: Graph, name: str, known: dict[str, Range]) -> bool:
    node = graph.nodes[name]
    if isinstance(node, LIF):
        known[name] = Range(0, 1)
    elif isinstance(node, Input):
        if not (np.isfinite(node.low) and np.isfinite(node.high)):
            fail(
                "SP206", "the input has no bounds", where=f"node {name!r}", mend="quantise again: calibration sets them"
            )
        known[name] = Range(int(np.floor(node.low)), int(np.ceil(node.high)))
    elif all(source in known for source in graph.sources(name)):
        known[name] = _leaving(graph, name, entering(graph, name, known))
    else:
        return False
    if known[name].size > LARGEST:
        fail(
            "SP206",
            f"its values may reach {known[name].size}, beyond 32 bits",
            where=f"node {name!r}",
            mend="quantise with fewer bits",
        )
    return True


def entering(graph: Graph, name: str, known: Mapping[str, Range]) -> Range:
    """The range of the sum that enters a node."""
    parts = [known[source] for source in graph.sources(name)]
    return Range(sum(part.low for part in parts), sum(part.high for part in parts))


def _leaving(graph: Graph, name: str, x: Range) -> Range:
    node = graph.nodes[name]
    if isinstance(node, Synapse):
        total = sums(node, x)
        shift = node.exponent
        if shift >= 0:
            return Range(total.low << shift, total.high << shift)
        return Range(total.low >> -shift, total.high >> -shift)
    if isinstance(node, Pool):
        area = int(np.prod(node.kernel))
        return Range(min(x.low, 0) * area, max(x.high, 0) * area)
    if isinstance(node, Scale):
        ends = [int(end) * bound for end in (node.factor.min(), node.factor.max()) for bound in x]
        return Range(min(ends), max(ends))
    return Range(min(x.low, 0), max(x.high, 0)) if isinstance(node, Delay) else x


def sums(node: Synapse, x: Range) -> Range:
    """The range of a synapse's sums, before the exponent; padding counts as zero."""
    flat = node.weight.reshape(node.channels, -1).astype(np.int64)
    up, down = np.maximum(flat, 0).sum(1), np.minimum(flat, 0).sum(1)
    low, high = min(x.low, 0), max(x.high, 0)
    return Range(int((up * low + down * high).min(initial=0)), int((up * high + down * low).max(initial=0)))
