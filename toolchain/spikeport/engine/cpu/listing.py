"""The events of a map as lists: which inputs are not zero, place by place, and under a row of windows.

A map's events are listed place by place, then for each row of output places the rows that its windows touch, column by
column. Windows side by side overlap, so each is one run of that list. One list serves better than a run for each row of
a window: the end of a run is mispredicted, and costs more than the copy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikeport.engine.cpu.kernels import Bytes, Integers
from spikeport.engine.cpu.vectors import put
from spikeport.machine import compiled

MARGIN = 24  #: events that may be written beyond the last
BITS = np.zeros(256 * 8, np.int32)  #: places of the bits that a byte has set, the lowest first, eight a byte
SET = np.zeros(256, np.uint64)  #: how many those are
for _byte in range(256):
    _places = [place for place in range(8) if _byte >> place & 1]
    BITS[8 * _byte : 8 * _byte + len(_places)], SET[_byte] = _places, len(_places)
HIGH = np.uint64(0x8080808080808080)  # the highest bit of each of eight bytes
ONES = np.uint64(0x0101010101010101)
GATHER = np.uint64(0x0102040810204080)  # times eight bytes of 0 or 1: their bits side by side in the highest byte
SEVEN, TOP = np.uint64(7), np.uint64(56)


class Plan(NamedTuple):
    """How windows lie on a map: (rows, columns) each, and of what enters also the channels, padded to eight."""

    size: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    leaving: tuple[int, int]


@compiled
def listed(x: Any, each: int, high: int, events: Integers, starts: Any) -> None:
    """Events of one map ``x`` [places * each], eight channels a word; those of place p begin at ``starts[p]``."""
    k = np.uint64(0)
    for p in range(len(starts) - 1):
        starts[p] = k
        for q in range(each):
            word = x[p * each + q]
            for size in range(high):
                # bytes above `size`: those whose sum with 127 - size reaches the highest bit
                above = word if high == 1 else np.uint64(np.uint64(word + np.uint64(127 - size) * ONES) & HIGH) >> SEVEN
                mask = np.uint64(above * GATHER) >> TOP
                put(events, np.int64(k), np.int32(8 * q), BITS, np.int64(8 * mask))  # of eight, those that are set stay
                k = np.uint64(k + SET[mask])
                if high > 1 and mask == 0:
                    break
    starts[len(starts) - 1] = k


@compiled
def window_rows(i: int, plan: Plan, apart: int, found: Integers, starts: Any, events: Integers, at: Any) -> None:
    """Events of the rows of a map that the windows of output row ``i`` touch, column by column.

    Event c of the kernel's row r and column x becomes ``x * apart + r * channels + c``; column x begins at ``at[x]``.
    """
    (height, width, channels), rows = plan.size, plan.kernel[0]
    top, k = i * plan.stride[0] - plan.padding[0], 0
    for x in range(width):
        at[x] = k
        for r in range(rows):
            y = top + r * plan.dilation[0]
            if 0 <= y < height:
                first, offset = starts[y * width + x], np.int32(x * apart + r * channels)
                count = starts[y * width + x + 1] - first
                put(events, k, offset, found, first)  # sixteen at once: most places have fewer
                put(events, k + 8, offset, found, first + 8)
                for e in range(16, count, 8):
                    put(events, k + e, offset, found, first + e)
                k += count
    at[width] = k


@compiled
def sizes(x: Bytes, every: int) -> int:
    """The sum of one row of ``x`` in ``every``."""
    total: Any = 0
    for n in range(0, x.shape[0], every):
        for i in range(x.shape[1]):
            total += np.int64(x[n, i])
    return int(total)
