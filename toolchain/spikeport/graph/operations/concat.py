"""Concatenation: operands side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikeport.findings import require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation, united


@dataclass(frozen=True, eq=False)
class Concat(Operation):
    """``y = [a, b, ...]`` along one axis of the features: by default the first, channels. Operands keep their order."""

    least = 2
    most = 2**16
    moves = True

    axis: int = 0  #: 0 <= axis < axes of the features

    def output_shape(self, *sources: Shape) -> Shape:
        first = sources[0]
        require(0 <= self.axis < len(first), "SP106", f"concatenates along axis {self.axis} of {first}")
        rests = {(*shape[: self.axis], *shape[self.axis + 1 :]) for shape in sources}
        require(len(rests) == 1, "SP106", f"concatenates {', '.join(map(str, sources))} along axis {self.axis}")
        return (*first[: self.axis], sum(shape[self.axis] for shape in sources), *first[self.axis + 1 :])

    def compute(self, *x: Array) -> Array:
        steps = max(each.shape[0] for each in x)
        alike = [np.broadcast_to(each, (steps, *each.shape[1:])) for each in x]
        return np.concatenate(alike, axis=self.axis + 2)

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return united(x)
