"""Sums of a row of output places of a convolution, from the events of one map.

A map's events are listed place by place. Where windows do not slide, then for each row of output places the rows that
its windows touch, column by column. Windows side by side overlap, so each is one run of that list. One list serves
better than a run for each row of a window: the end of a run is mispredicted, and costs more than the copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.engine.cpu.structures import Band, Lists, Plan, Scratch
from spikeport.engine.cpu.vectors import add_rows, put, slide, unpair
from spikeport.machine import part


@part(forceinline=True)
def window_rows(i: int, plan: Plan, apart: Any, lists: Lists, scratch: Scratch) -> None:
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


@part(forceinline=True)
def sliding(i: int, plan: Plan, weight: Any, lists: Lists, out: Any) -> None:
    """`sums.row` where windows move by one place: an event adds to all places of its row, one slot each.

    Events are listed column by column, so that those of a column's rows are one run of the list.
    """
    (height, width, channels), first = plan.size, i * plan.stride[0] - plan.padding[0]
    top = min(max(first, 0), height)
    below = max(min(first + plan.kernel[0], height), top)
    band = Band(height, width, top, below, plan.padding[1])
    slide(weight, -first * channels, lists, band, out, plan.lanes, plan.taps)


@part(forceinline=True)
def by_place(i: int, plan: Plan, weight: Any, lists: Lists, scratch: Scratch, out: Any) -> None:
    """`sums.row`, each place by itself: any stride and dilation, and sums beyond 16 bits."""
    column = plan.kernel[0] * plan.size[2]
    window_rows(i, plan, column, lists, scratch)
    events, at, pairs = scratch
    width, columns, lanes = plan.size[1], plan.kernel[1], plan.lanes
    span = columns if plan.dilation[1] == 1 else 1
    for j in range(plan.leaving[1]):
        count, fresh = 0, True
        for k in range(0, columns, span):
            left = j * plan.stride[1] - plan.padding[1] + k * plan.dilation[1]
            e, high = at[min(max(left, 0), width)], at[min(max(left + span, 0), width)]
            while e < high:
                number = min(plan.together - count, high - e)
                add_rows(pairs, weight, (k - left) * column, events, (e, e + number), lanes)
                count, e = count + number, e + number
                if count == plan.together:
                    unpair(pairs, count, out, j * lanes, fresh, lanes)
                    count, fresh = 0, False
        if count > 0 or fresh:
            unpair(pairs, count, out, j * lanes, fresh, lanes)
