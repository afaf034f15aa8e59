"""Sums of the events of many maps, map by map and row by row: of linear layers here, of convolutions by `windows`."""

from __future__ import annotations

from typing import Any

from spikeport.engine.cpu.listing import listed
from spikeport.engine.cpu.structures import Lists, Plan, Scratch
from spikeport.engine.cpu.vectors import EXACT, add_rows, unpair
from spikeport.engine.cpu.windows import by_place, sliding
from spikeport.machine import compiled, part
from spikeport.machine.llvm import UNIT

ONE = (0,)  #: slots of sums


@part
def features(weight: Any, lists: Lists, scratch: Scratch, out: Any, first: int, units: Any) -> None:
    """`row` of a linear layer: all events of a map of one place, as they are listed."""
    number, pairs = lists.starts[1], scratch.pairs
    together = EXACT if out.itemsize > 2 else max(1, number)
    for e in range(0, max(1, number), together):
        end = min(e + together, number)
        add_rows(pairs, weight, 0, lists.events, (e, end), units, ONE)
        unpair(pairs, end - e, out, first, units, ONE)


@part
def row(
    i: int,
    plan: Plan,
    weight: Any,  # int16 [rows, lanes / 2], paired
    lists: Lists,
    scratch: Scratch,
    out: Any,  # int16, or int32 and zero
    first: int,
    apart: int,
    units: Any,
    taps: Any,  # none for a linear layer
) -> None:
    """The sums of output row ``i``: of place j to ``out[first + j * apart : ... + lanes]``.

    The length of ``taps`` is known when this is compiled, so that of three ways one is.
    """
    if len(taps) == 0:
        features(weight, lists, scratch, out, first, units)
    elif len(taps) == 1:
        by_place(i, plan, weight, lists, scratch, out, first, apart, units, taps)
    else:
        sliding(i, plan, weight, lists, scratch, out, first, apart, units, taps)


@compiled
def add(
    x: Any,  # uint64 [maps, places * channels / 8], channels last, padded to a multiple of eight
    weight: Any,  # int16 [tiles, rows, lanes / 2], paired
    plan: Plan,
    out: Any,  # int16, or int32 and zero: [maps, rows * columns * tiles * lanes]
    lists: Lists,  # of as many maps as are listed together
    scratch: Scratch,
    units: Any,
    taps: Any,
    begin: int,
    end: int,
) -> None:
    """The sums of the maps ``begin`` ... ``end - 1``."""
    lanes, (events, starts) = UNIT * len(units), lists
    apart, group = lanes * len(weight), len(events)
    for a in range(begin, end, group):
        for n in range(a, min(a + group, end)):
            listed(x[n], plan.size[2] // 8, plan.high, Lists(events[n - a], starts[n - a]))
        for tile in range(len(weight)):
            rows = weight[tile]
            for n in range(a, min(a + group, end)):
                of_map, sums = Lists(events[n - a], starts[n - a]), out[n]
                for i in range(plan.leaving[0]):
                    place = i * plan.leaving[1] * apart + tile * lanes
                    row(i, plan, rows, of_map, scratch, sums, place, apart, units, taps)
