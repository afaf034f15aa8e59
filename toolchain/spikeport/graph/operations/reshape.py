"""Another order and another grouping of the features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from spikeport.findings import require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation


@dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """``y = x.transpose(order).reshape(shape)``, both of the features, the last axis running fastest."""

    moves = True

    order: tuple[int, ...]  #: the axes of what enters, in the order in which they leave
    shape: Shape  #: of what leaves

    def output_shape(self, *sources: Shape) -> Shape:
        (source,) = sources
        fits = sorted(self.order) == list(range(len(source))) and prod(source) == prod(self.shape)
        require(fits, "SP106", f"orders {source} by {self.order} into {self.shape}")
        return self.shape

    def compute(self, *x: Array) -> Array:
        (one,) = x
        return np.transpose(one, (0, 1, *(axis + 2 for axis in self.order))).reshape(*one.shape[:2], *self.shape)

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return x[0]
