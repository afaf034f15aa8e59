"""Sums of a row of output places of a convolution, from the events of one map.

A map's events are listed place by place, then for each row of output places the rows that its windows touch, column by
column. Windows side by side overlap, so each is one run of that list. One list serves better than a run for each row of
a window: the end of a run is mispredicted, and costs more than the copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.engine.cpu.structures import Lists, Plan, Scratch
from spikeport.engine.cpu.vectors import EXACT, add_rows, put, unpair
from spikeport.machine import part


@part
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


@part
def sliding(
    i: int,
    plan: Plan,
    weight: Any,  # int16 [rows, lanes / 2], paired
    lists: Lists,
    scratch: Scratch,
    out: Any,  # int16
    first: int,
    apart: int,
    units: Any,
    taps: Any,
) -> None:
    """`sums.row` where windows move by one place: an event adds to all places of its row, one slot each."""
    window_rows(i, plan, 0, lists, scratch)
    events, at, pairs, unwanted = scratch
    width, pad, columns = plan.size[1], plan.padding[1], len(taps)
    for x in range(min(0, columns - 1 - pad), width + pad):
        if 0 <= x < width:
            add_rows(pairs, weight, 0, events, (at[x], at[x + 1]), units, taps)
        j = x + pad - columns + 1  # the place whose window ends with this column
        count = at[min(max(x + 1, 0), width)] - at[min(max(x + 1 - columns, 0), width)]
        if j < 0:
            unpair(pairs, count, unwanted, 0, units, taps)
        else:
            unpair(pairs, count, out, first + j * apart, units, taps)


@part
def by_place(
    i: int,
    plan: Plan,
    weight: Any,  # int16 [rows, lanes / 2], paired
    lists: Lists,
    scratch: Scratch,
    out: Any,  # int16, or int32 and zero
    first: int,
    apart: int,
    units: Any,
    taps: Any,
) -> None:
    """`sums.row`, each place by itself: any stride and dilation, and sums beyond 16 bits."""
    column = plan.kernel[0] * plan.size[2]
    window_rows(i, plan, column, lists, scratch)
    events, at, pairs, _ = scratch
    width, columns = plan.size[1], plan.kernel[1]
    span = columns if plan.dilation[1] == 1 else 1
    for j in range(plan.leaving[1]):
        count = 0
        for k in range(0, columns, span):
            left = j * plan.stride[1] - plan.padding[1] + k * plan.dilation[1]
            low, high = at[min(max(left, 0), width)], at[min(max(left + span, 0), width)]
            base = (k - left) * column
            if out.itemsize == 2:
                add_rows(pairs, weight, base, events, (low, high), units, taps)
                count += high - low
            else:
                for e in range(low, high, EXACT):
                    number = min(EXACT, high - e)
                    add_rows(pairs, weight, base, events, (e, e + number), units, taps)
                    unpair(pairs, number, out, first + j * apart, units, taps)
        if out.itemsize == 2:
            unpair(pairs, count, out, first + j * apart, units, taps)
