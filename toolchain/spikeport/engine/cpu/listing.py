"""The events of a map as a list, place by place: which inputs are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.engine.cpu.moves import clear
from spikeport.engine.cpu.structures import Bytes, Lists, Plan
from spikeport.engine.cpu.vectors import ones_of, put
from spikeport.machine import compiled, part

MARGIN = 24  #: events that may be written beyond the last
BITS = np.zeros(256 * 8, np.uint8)  #: places of the bits that a byte has set, the lowest first, eight a byte
for _byte in range(256):
    _places = [place for place in range(8) if _byte >> place & 1]
    BITS[8 * _byte : 8 * _byte + len(_places)] = _places
HIGH = np.uint64(0x8080808080808080)  # the highest bit of each of eight bytes
ONES = np.uint64(0x0101010101010101)
GATHER = np.uint64(0x0102040810204080)  # times eight bytes of 0 or 1: their bits side by side in the highest byte
SEVEN, TOP = np.uint64(7), np.uint64(56)


@part
def graded(word: Any, high: int, channel: Any, lists: Lists, k: Any) -> Any:
    """List eight channels from ``k`` on, an input of size s as s events; where the list then ends."""
    for size in range(high):
        # bytes above `size`: those whose sum with 127 - size reaches the highest bit
        above = np.uint64(np.uint64(word + np.uint64(127 - size) * ONES) & HIGH) >> SEVEN
        put(lists.events, np.int64(k), channel, BITS, np.int64(np.uint64(above * GATHER) >> TOP) * 8)
        k += ones_of(above)
        if above == 0:
            break
    return k


@part
def listed(x: Any, plan: Plan, lists: Lists) -> None:
    """List the events of one map ``x`` [places * channels / 8], eight channels a word, for a plan's inputs.

    Where windows slide column by column, see `Lists`; the map is then read once in its own order, to be in the cache.
    """
    (height, width, channels), high, starts = plan.size, plan.high, lists.starts
    slides, each, k, p, something = plan.taps > 1, channels // 8, np.uint64(0), 0, np.uint64(0)
    for i in range(len(x) if slides else 0):
        something |= x[i]
    if slides and something == 0:
        clear(starts)
        return
    lines, places, apart = (width, height, width) if slides else (1, height * width, 1)
    for line in range(lines):
        for row in range(places):
            starts[p] = k
            p += 1
            first, number = (line + row * apart) * each, row * channels if slides else 0
            for q in range(each):
                word, channel = x[first + q], np.int32(number + 8 * q)
                if high == 1:
                    put(lists.events, np.int64(k), channel, BITS, np.int64(np.uint64(word * GATHER) >> TOP) * 8)
                    k += ones_of(word)
                else:
                    k = graded(word, high, channel, lists, k)
    starts[p] = k


@compiled
def sizes(x: Bytes, every: int) -> int:
    """The sum of one row of ``x`` in ``every``."""
    total: Any = 0
    for n in range(0, x.shape[0], every):
        for i in range(x.shape[1]):
            total += np.int64(x[n, i])
    return int(total)
