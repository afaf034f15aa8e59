"""The product of values at one place: spikes that let others through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul

import numpy as np

from spikeport.findings import require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation, times


@dataclass(frozen=True, eq=False)
class Gate(Operation):
    """``y = a * b * ...`` place by place; an axis of length 1 stands for all places along it.

    Of spikes it is AND: SEW's AND is ``Gate`` (Fang et al., NeurIPS 2021, table 1), its IAND ``b - a * b``, that is a
    `Scale` of -1 behind it beside an edge from b. QKFormer lets keys through where the sum of a token's queries fires
    (Zhou et al., NeurIPS 2024, eq. 5-7).
    """

    least = 2
    most = 2
    multiplies = True

    def output_shape(self, *sources: Shape) -> Shape:
        a, b = sources
        fits = len(a) == len(b) and all(m == n or 1 in (m, n) for m, n in zip(a, b, strict=True))
        require(fits, "SP106", f"multiplies {a} and {b} place by place")
        return tuple(np.broadcast_shapes(a, b))

    def compute(self, *x: Array) -> Array:
        return np.asarray(reduce(mul, x))

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return times(*x)
