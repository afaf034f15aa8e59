"""Sums over axes of the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeport.findings import require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation, summed


@dataclass(frozen=True, eq=False)
class Sum(Operation):
    """``y = x.sum(axes)`` over some axes of the features, which get the length 1: spikes in all channels."""

    axes: tuple[int, ...]  #: each 0 <= axis < axes of the features, once

    def output_shape(self, *sources: Shape) -> Shape:
        (source,) = sources
        fits = self.axes and sorted(set(self.axes) & set(range(len(source)))) == sorted(self.axes)
        require(bool(fits), "SP106", f"sums over axes {self.axes} of {source}")
        return tuple(1 if axis in self.axes else n for axis, n in enumerate(source))

    def compute(self, *x: Array) -> Array:
        return np.asarray(x[0].sum(tuple(axis + 2 for axis in self.axes), keepdims=True))

    def additions(self, *nonzero: Array) -> Array:
        return np.asarray(nonzero[0].reshape(len(nonzero[0]), -1).sum(1, dtype=np.int64))

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return summed(x[0], prod(shapes[0][axis] for axis in self.axes))
