"""Values repeated along axes: upsampling by the nearest."""

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
class Repeat(Operation):
    """Each value ``counts`` times along each axis of the features, copies side by side: ``y[i] = x[i // count]``."""

    moves = True

    counts: tuple[int, ...]  #: one an axis of the features, >= 1

    def output_shape(self, *sources: Shape) -> Shape:
        (source,) = sources
        fits = len(self.counts) == len(source) and min(self.counts, default=1) >= 1
        require(fits, "SP106", f"repeats {source} by {self.counts}")
        return tuple(n * count for n, count in zip(source, self.counts, strict=True))

    def compute(self, *x: Array) -> Array:
        (y,) = x
        for axis, count in enumerate(self.counts):
            y = np.repeat(y, count, axis + 2)
        return y

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return x[0]
