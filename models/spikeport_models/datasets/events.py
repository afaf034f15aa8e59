"""Events, and the frames that a network takes: one frame a timestep, two polarities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport.reading import affordable


@dataclass(frozen=True)
class Events:
    """One recording; all fields [events], in the order of time."""

    t: NDArray[np.int64]  #: microseconds
    x: NDArray[np.int64]  #: column, from 0
    y: NDArray[np.int64]  #: row, from 0
    p: NDArray[np.int64]  #: polarity, 0 or 1

    def __len__(self) -> int:
        return len(self.t)


def frames(events: Events, timesteps: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Events counted a pixel and polarity in ``timesteps`` equal parts of the recording's time: [T, 2, H, W].

    Counts are whole numbers and are neither clipped nor scaled. An empty recording gives empty frames.
    Raises SP362 where they do not fit in memory.
    """
    height, width = size
    try:
        affordable(24 * timesteps * 2 * height * width)
    except ValueError as error:
        fail("SP362", f"frames of {timesteps} x 2 x {height} x {width} do not fit in memory ({error})")
    if len(events) == 0:
        return np.zeros((timesteps, 2, height, width), np.float32)
    start = events.t.min()
    span = events.t.max() - start + 1
    step = (events.t - start) * timesteps // span
    flat = ((step * 2 + events.p) * height + events.y) * width + events.x
    counts = np.bincount(flat, minlength=timesteps * 2 * height * width)
    return counts.reshape(timesteps, 2, height, width).astype(np.float32)
