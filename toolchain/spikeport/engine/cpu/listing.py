"""The events of a map as lists: which inputs are not zero, place by place, and under a row of windows.

A map's events are listed place by place, then for each row of output places the rows that its windows touch, column by
column. Windows side by side overlap, so each is one run of that list. One list serves better than a run for each row of
a window: the end of a run is mispredicted, and costs more than the copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.engine.cpu.structures import Bytes, Lists, Plan, Scratch
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


@compiled
def listed(x: Any, each: int, high: int, lists: Lists) -> None:
    """List the events of one map ``x`` [places * each], eight channels a word, for inputs up to ``high``."""
    starts, k = lists.starts, np.uint64(0)
    for p in range(len(starts) - 1):
        starts[p] = k
        for q in range(each):
            word = x[p * each + q]
            for size in range(high):
                # bytes above `size`: those whose sum with 127 - size reaches the highest bit
                above = word if high == 1 else np.uint64(np.uint64(word + np.uint64(127 - size) * ONES) & HIGH) >> SEVEN
                mask = np.uint64(above * GATHER) >> TOP
                # of eight, those that are set stay
                put(lists.events, np.int64(k), np.int32(8 * q), BITS, np.int64(8 * mask))
                k = np.uint64(k + SET[mask])
                if high > 1 and mask == 0:
                    break
    starts[len(starts) - 1] = k


@compiled
def window_rows(i: int, plan: Plan, apart: int, lists: Lists, scratch: Scratch) -> None:
    """Events of the rows of a map that the windows of output row ``i`` touch, column by column, to ``scratch``.

    Event c of the kernel's row r and column x becomes ``x * apart + r * channels + c``.
    """
    (height, width, channels), rows = plan.size, plan.kernel[0]
    starts, events = lists.starts, scratch.events
    top, k = i * plan.stride[0] - plan.padding[0], 0
    for x in range(width):
        scratch.at[x] = k
        for r in range(rows):
            y = top + r * plan.dilation[0]
            if 0 <= y < height:
                first, offset = starts[y * width + x], np.int32(x * apart + r * channels)
                count = starts[y * width + x + 1] - first
                put(events, k, offset, lists.events, first)  # sixteen at once: most places have fewer
                put(events, k + 8, offset, lists.events, first + 8)
                for e in range(16, count, 8):
                    put(events, k + e, offset, lists.events, first + e)
                k += count
    scratch.at[width] = k


@compiled
def sizes(x: Bytes, every: int) -> int:
    """The sum of one row of ``x`` in ``every``."""
    total: Any = 0
    for n in range(0, x.shape[0], every):
        for i in range(x.shape[1]):
            total += np.int64(x[n, i])
    return int(total)
