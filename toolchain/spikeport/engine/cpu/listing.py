"""The events of a map as a list, place by place: which inputs are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.engine.cpu.structures import Bytes, Lists
from spikeport.engine.cpu.vectors import put
from spikeport.machine import compiled, part

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


@part
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
def sizes(x: Bytes, every: int) -> int:
    """The sum of one row of ``x`` in ``every``."""
    total: Any = 0
    for n in range(0, x.shape[0], every):
        for i in range(x.shape[1]):
            total += np.int64(x[n, i])
    return int(total)
