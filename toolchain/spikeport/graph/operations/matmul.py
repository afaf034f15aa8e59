"""The product of two matrices of values: queries, keys and values of attention without softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikeport.findings import require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation, summed, times


@dataclass(frozen=True, eq=False)
class MatMul(Operation):
    """``y[..., i, j] = sum_k a[..., i, k] * b[..., k, j]``; axes before the last two are heads, the same in both.

    Of spikes every product is 0 or 1 and y counts. Spikformer's attention is two of these and a scale, which neurons
    take into their thresholds (Zhou et al., ICLR 2023, eq. 6-8).
    """

    least = 2
    most = 2
    multiplies = True

    def output_shape(self, *sources: Shape) -> Shape:
        a, b = sources
        fits = len(a) == len(b) >= 2 and a[:-2] == b[:-2] and a[-1] == b[-2]
        require(fits, "SP106", f"multiplies matrices {a} and {b}")
        return (*a[:-1], b[-1])

    def compute(self, *x: Array) -> Array:
        a, b = x
        return a @ b

    def additions(self, *nonzero: Array) -> Array:
        """One for each pair of values that meet."""
        a, b = (each.astype(np.int64) for each in nonzero)
        pairs = a.sum(-2) * b.sum(-1)
        return np.asarray(pairs.reshape(len(pairs), -1).sum(1))

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return summed(times(*x), shapes[0][-1])
