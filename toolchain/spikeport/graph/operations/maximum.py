"""The largest value in each window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from spikeport.findings import require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation
from spikeport.graph.synapses import window_count


@dataclass(frozen=True, eq=False)
class Maximum(Operation):
    """``y = max over a window of x``, a channel; what lies beyond the border does not count.

    Of spikes a sum pool and a threshold say the same, which every chip has; of sums only this does.
    """

    moves = True

    kernel: tuple[int, ...]  #: one a spatial axis, >= 1
    stride: tuple[int, ...]  #: one a spatial axis, >= 1
    padding: tuple[int, ...] = (0, 0)  #: one a spatial axis, 0 <= padding < kernel, the same on both sides

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = (self.kernel, self.stride, self.padding)
        ok = len({len(size) for size in sizes}) == 1 and min((*self.kernel, *self.stride), default=0) >= 1
        ok = ok and all(0 <= p < k for p, k in zip(self.padding, self.kernel, strict=True))
        require(ok, "SP105", f"kernel {self.kernel}, stride {self.stride} and padding {self.padding} are no window")

    def output_shape(self, *sources: Shape) -> Shape:
        (source,) = sources
        require(len(source) == len(self.kernel) + 1, "SP106", f"pools over {len(self.kernel)} axes, gets {source}")
        return (source[0], *window_count(source[1:], self.kernel, self.stride, self.padding, (1,) * len(self.kernel)))

    def compute(self, *x: Array) -> Array:
        (one,) = x
        borders = [(0, 0)] * 3 + [(p, p) for p in self.padding]
        padded = np.pad(one, borders, constant_values=-np.inf)
        size = self.output_shape(one.shape[2:])[1:]
        parts = []
        for tap in np.ndindex(*self.kernel):
            ends = zip(tap, self.stride, size, strict=True)
            cuts = tuple(slice(k, k + s * (n - 1) + 1, s) for k, s, n in ends)
            parts.append(padded[(slice(None), slice(None), slice(None), *cuts)])
        return np.asarray(reduce(np.maximum, parts))

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        return x[0]
