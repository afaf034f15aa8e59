"""Numbers of a channel laid out as the compiled loops walk over a layer: repeated along the memory of one block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCK = 1024  #: elements that stay in the first cache levels through all timesteps


@dataclass(frozen=True, slots=True)
class Rows:
    """What belongs to a channel, repeated to one block of memory: the neurons get ``x * scale + shift``."""

    channels: int
    scale: Array  #: [T, block], or [1, block] for all steps
    shift: Array
    mean: Array  #: [block]

    @classmethod
    def of(cls, scale: Array | float, shift: Array | float, mean: Array, dtype: Any) -> Rows:
        """From one number a channel, or a step and channel; one channel serves every order of memory."""
        repeated = max(1, BLOCK // len(mean))

        def row(values: Array | float) -> Array:
            if isinstance(values, float):
                return np.full((1, repeated * len(mean)), values, dtype)
            each = np.asarray(values, dtype)
            steps = len(each) if each.ndim == 2 else 1
            out = np.empty((steps, repeated, len(mean)), dtype)  # a tenth of np.tile's time, which tiny layers notice
            out[:] = each.reshape(steps, 1, -1)
            return out.reshape(steps, -1)

        return cls(len(mean), row(scale), row(shift), row(mean)[0])

    @property
    def block(self) -> int:
        """Elements of a row."""
        return len(self.mean)

    def sums(self, *shape: int) -> Array:
        """Zeros to add to, place by place of a block: few numbers meet in one, so single precision keeps its digits."""
        return np.zeros((*shape, self.block), self.scale.dtype)

    def by_channel(self, parts: list[Array]) -> Array:
        """The sums [..., block] of all threads as sums of each channel [..., C], float64."""
        total = np.add.reduce(parts, axis=0, dtype=np.float64)
        sums: Array = total.reshape(*total.shape[:-1], -1, self.channels).sum(-2)
        return sums
