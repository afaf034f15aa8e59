"""Sums of the events of a map, row by row: of linear layers here, of convolutions by `windows`."""

from __future__ import annotations

from typing import Any

from spikeport.engine.cpu.structures import Lists, Plan, Scratch
from spikeport.engine.cpu.vectors import add_rows, unpair
from spikeport.engine.cpu.windows import by_place, sliding
from spikeport.machine import part


@part(forceinline=True)
def features(plan: Plan, weight: Any, lists: Lists, scratch: Scratch, out: Any) -> None:
    """`row` of a linear layer: all events of a map of one place, as they are listed."""
    number, pairs, together = lists.starts[1], scratch.pairs, plan.together
    for e in range(0, max(1, number), together):
        end = min(e + together, number)
        add_rows(pairs, weight, 0, lists.events, (e, end), plan.lanes)
        unpair(pairs, end - e, out, 0, e == 0, plan.lanes)


@part(forceinline=True)
def row(i: int, plan: Plan, weight: Any, lists: Lists, scratch: Scratch, out: Any) -> None:
    """The sums of output row ``i``: of place j to ``out[j * lanes : ... + lanes]``, int32.

    ``weight``: int16 [rows, lanes / 2], paired.
    """
    if plan.taps == 0:
        features(plan, weight, lists, scratch, out)
    elif plan.taps == 1:
        by_place(i, plan, weight, lists, scratch, out)
    else:
        sliding(i, plan, weight, lists, out)
