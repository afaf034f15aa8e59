"""How large the integers of a graph can become, from its weights and the range of its input.

Every value of an integer graph lies in a `Range` that holds for all inputs within the input's own range, all steps and
all samples. It is found by interval arithmetic, one node after the other:

1. A neuron sends 0 or 1. An edge sum adds the ranges; a pool adds as many as its window has places.
2. A synapse's sum is ``sum w x`` over the inputs under the kernel, or over some of them at a border. Each term lies in
   ``[min(0, w low, w high), max(0, w low, w high)]``, an interval that holds zero. So the sum, *and every partial sum
   in whatever order and grouping*, lies between the sum of the terms' lower ends and the sum of their upper ends. That
   is why floating point with p bits of significand computes such a sum exactly if both ends are at most ``2**p``.
3. A delay sends zero before its first step, and what it got before. Where a loop contains no neuron, the ranges of
   step t follow from those of step t - 1, so repeating the whole graph T times bounds every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from spikeport.findings import fail
from spikeport.graph import LIF, Array, Delay, Graph, Input, Node, Pool, Scale, Synapse

EXACT = 2**53  #: float64 holds every whole number up to here


@dataclass(frozen=True)
class Range:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int

    @property
    def size(self) -> int:
        """The largest magnitude."""
        return max(-self.low, self.high)

    @property
    def dtype(self) -> torch.dtype:
        """The smallest type that holds them: uint8, int32 or int64."""
        if self.low >= 0 and self.high <= 255:
            return torch.uint8
        return torch.int32 if self.size < 2**31 else torch.int64

    def with_zero(self) -> Range:
        """The range and zero."""
        return Range(min(self.low, 0), max(self.high, 0))

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __or__(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))

    def shifted(self, exponent: int) -> Range:
        """Both ends times ``2**exponent``, rounded down."""
        if exponent >= 0:
            return Range(self.low << exponent, self.high << exponent)
        return Range(self.low >> -exponent, self.high >> -exponent)


def ranges(graph: Graph, entering: Range) -> dict[str, Range]:
    """The range of what leaves each node; of a synapse after its exponent.

    Raises SP509 where a sum could leave the whole numbers that float64 holds.
    """
    bounds: dict[str, Range] = {name: Range(0, 0) for name in graph.nodes_of(Delay)}
    for _ in range(graph.timesteps if graph.recurrent else 1):
        before = dict(bounds)
        for name in graph.order:
            node = graph.nodes[name]
            if isinstance(node, Delay) and graph.recurrent:
                continue  # its sources may come later
            bounds[name] = entering if isinstance(node, Input) else leaving(node, into(graph, name, bounds))
            if max(bounds[name].size, sums(node, bounds, graph, name).size) >= EXACT:
                fail(
                    "SP509",
                    f"its values may reach {bounds[name].size:.3g}, more than the engine computes exactly",
                    where=f"node {name!r}",
                    mend="smaller weights, a smaller exponent, or a neuron in the loop",
                )
        for name in graph.nodes_of(Delay) if graph.recurrent else ():
            bounds[name] = bounds[name] | into(graph, name, bounds)
        if bounds == before:
            break
    return bounds


def into(graph: Graph, name: str, bounds: Mapping[str, Range]) -> Range:
    """The range of what enters a node: the sum over its edges."""
    first, *others = (bounds[source] for source in graph.sources(name))
    return sum(others, first)


def sums(node: Node, bounds: Mapping[str, Range], graph: Graph, name: str) -> Range:
    """The range of a synapse's sums and partial sums before its exponent; of other nodes zero."""
    return product(node.weight, into(graph, name, bounds)) if isinstance(node, Synapse) else Range(0, 0)


def product(weight: Array, x: Range) -> Range:
    """The range of every sum and partial sum of ``weight`` [out, ...] with inputs in ``x`` (rule 2)."""
    flat = weight.reshape(len(weight), -1).astype(np.int64)
    positive, negative = np.maximum(flat, 0).sum(1), np.minimum(flat, 0).sum(1)
    x = x.with_zero()
    high = max(int(p) * x.high + int(n) * x.low for p, n in zip(positive, negative, strict=True))
    low = min(int(p) * x.low + int(n) * x.high for p, n in zip(positive, negative, strict=True))
    return Range(low, high)


def leaving(node: Node, x: Range) -> Range:
    """The range of what leaves a node that ``x`` enters; of a synapse after its exponent."""
    if isinstance(node, LIF):
        return Range(0, 1)
    if isinstance(node, Synapse):
        return product(node.weight, x).shifted(node.exponent)
    if isinstance(node, Pool):
        area, x = int(np.prod(node.kernel)), x.with_zero()
        return Range(area * x.low, area * x.high)
    if isinstance(node, Scale):
        ends = [int(f) * end for f in (node.factor.min(), node.factor.max()) for end in (x.low, x.high)]
        return Range(min(ends), max(ends))
    return x.with_zero() if isinstance(node, Delay) else x
