"""What came of many points: ``sweep``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spikeport.terminal import console, show
from spikeport.terminal.results import Shown

if TYPE_CHECKING:
    from spikeport.verbs.sweep import Swept

SHOWN_ROWS = 12  #: best points that are printed


def _sweep(result: Swept, values: Mapping[str, Any]) -> None:
    from spikeport.reporting.sweep import seeds_done, with_spread  # every verb imports this file

    best = result.best[:SHOWN_ROWS]
    axes = list(dict.fromkeys(name for row in best for name in row.point))
    seeds = ["seeds"] if any(row.asked > 1 for row in best) else []
    rows = [
        (
            row.number,
            *(row.point.get(name, "") for name in axes),
            *(with_spread(row, goal) for goal in result.goals),
            *(seeds_done(row) for _ in seeds),
        )
        for row in best
    ]
    if rows:
        show.table(f"{result.name}: best under the constraints", ("point", *axes, *result.goals, *seeds), rows)
    states = [row.state for row in result.rows]
    show.table("points", ("state", "points"), [(state, states.count(state)) for state in dict.fromkeys(states)])
    console.say(f"wrote {result.place / 'report.html'}")


def _status(result: Swept) -> int:
    """1 where a point failed."""
    return int(any(row.state != "done" for row in result.rows))


SHOWN = {"sweep": Shown(_sweep, status=_status, unit="jobs")}
