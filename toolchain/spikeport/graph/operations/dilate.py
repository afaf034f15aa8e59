"""Zeros between values: what a transposed convolution does before it sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikeport.findings import require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation


@dataclass(frozen=True, eq=False)
class Dilate(Operation):
    """``y[..., i * stride] = x[..., i]`` along each spatial axis, zeros elsewhere and ``after`` more behind the last.

    A transposed convolution is this and a `Conv` whose kernel is turned round, with padding
    ``dilation * (kernel - 1) - padding`` (Dumoulin and Visin, arXiv 1603.07285, relationship 14). A zero is no event.
    """

    moves = True

    stride: tuple[int, ...]  #: one a spatial axis, >= 1
    after: tuple[int, ...]  #: one a spatial axis, >= 0

    def output_shape(self, *sources: Shape) -> Shape:
        (source,) = sources
        fits = len(self.stride) == len(self.after) == len(source) - 1
        fits = fits and min(self.stride, default=1) >= 1 and min(self.after, default=0) >= 0
        require(fits, "SP106", f"puts zeros between values of {source}: stride {self.stride}, after {self.after}")
        sizes = zip(source[1:], self.stride, self.after, strict=True)
        return (source[0], *(stride * (n - 1) + 1 + after for n, stride, after in sizes))

    def compute(self, *x: Array) -> Array:
        (one,) = x
        y = np.zeros((*one.shape[:2], *self.output_shape(one.shape[2:])))
        places = (slice(0, s * (n - 1) + 1, s) for n, s in zip(one.shape[3:], self.stride, strict=True))
        y[(slice(None), slice(None), slice(None), *places)] = one
        return y

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return x[0].with_zero()
