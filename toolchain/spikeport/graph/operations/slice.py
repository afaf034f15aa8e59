"""A part of the features: some channels of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikeport.findings import require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation


@dataclass(frozen=True, eq=False)
class Slice(Operation):
    """``y = x[start:stop]`` along one axis of the features; queries, keys and values of one layer."""

    moves = True

    start: int  #: >= 0
    stop: int  #: start < stop <= length of the axis
    axis: int = 0  #: 0 <= axis < axes of the features

    def output_shape(self, *sources: Shape) -> Shape:
        (source,) = sources
        fits = 0 <= self.axis < len(source) and 0 <= self.start < self.stop <= source[self.axis]
        require(fits, "SP106", f"takes {self.start}:{self.stop} of axis {self.axis} of {source}")
        return (*source[: self.axis], self.stop - self.start, *source[self.axis + 1 :])

    def compute(self, *x: Array) -> Array:
        return x[0][(*(slice(None),) * (self.axis + 2), slice(self.start, self.stop))]

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return x[0]
