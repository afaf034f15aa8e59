"""What came of a sweep: a row a point, the spread over seeds, the bounds that hold, and the Pareto front."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.files import replacing, write_json, write_text
from spikeport.jobs.axes import SEED, Point

Bounds = Mapping[str, tuple[str, float]]


@dataclass(frozen=True)
class Row:
    """A point, or several that differ in their seed alone."""

    number: int
    point: Point
    state: str  #: done, waiting, or the code of what failed
    figures: Mapping[str, Any]  #: by name; of several points the means
    jobs: Mapping[str, str] = field(default_factory=dict)  #: the keys of its jobs, by verb
    spread: Mapping[str, float] = field(default_factory=dict)  #: standard deviation over seeds, of several points
    seeds: int = 1  #: how many points
    asked: int = 1  #: how many of them the plan has; the others wait or failed

    def meets(self, bounds: Bounds) -> bool:
        """Whether it is done and every bound holds."""
        return self.state == "done" and all(
            (value := self.figures.get(name)) is not None and (value <= most if sign == "<=" else value >= most)
            for name, (sign, most) in bounds.items()
        )


def over_seeds(rows: Iterable[Row]) -> list[Row]:
    """Rows that differ in their seed alone as one, of those that are done: means, deviations (n - 1), number."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(repr({name: value for name, value in row.point.items() if name != SEED}), []).append(row)
    return [_together(group) for group in groups.values()]


def _together(group: Sequence[Row]) -> Row:
    done = [row for row in group if row.state == "done"] or [group[0]]
    numbers = {
        name: [row.figures[name] for row in done]
        for name in done[0].figures
        if all(isinstance(row.figures.get(name), int | float) for row in done)
    }
    point = {name: value for name, value in group[0].point.items() if name != SEED}
    means = {name: values[0] if len(set(values)) == 1 else statistics.fmean(values) for name, values in numbers.items()}
    spread = {
        name: statistics.stdev(values)
        for name, values in numbers.items()
        if len(values) > 1 and not isinstance(values[0], bool)
    }
    return Row(group[0].number, point, done[0].state, means, done[0].jobs, spread, len(done), len(group))


def counts(rows: Sequence[Row]) -> str:
    """How many are done, wait and failed: ``204 of 630 points are done, 425 waiting, 1 failed``."""
    states = [row.state for row in rows]
    done, waiting = states.count("done"), states.count("waiting")
    failed = len(states) - done - waiting
    parts = [f"{done} of {len(states)} points are done"]
    return ", ".join(parts + [f"{waiting} waiting"] * bool(waiting) + [f"{failed} failed"] * bool(failed))


def front(rows: Sequence[Row], goals: Sequence[str], largest: Collection[str]) -> list[Row]:
    """The rows that no other beats: as good in every goal and better in one. Sorted by the first goal, best first."""
    known = [row for row in rows if row.state == "done" and all(row.figures.get(goal) is not None for goal in goals)]
    if not known or not goals:
        return []
    costs = np.array([[(-1 if goal in largest else 1) * row.figures[goal] for goal in goals] for row in known])
    beaten = [((costs <= cost).all(1) & (costs < cost).any(1)).any() for cost in costs]
    kept = [(tuple(cost), row) for cost, row, worse in zip(costs, known, beaten, strict=True) if not worse]
    return [row for _, row in sorted(kept, key=lambda pair: (pair[0], pair[1].number))]


def columns(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """The names of all axes and of all figures, in the order in which they occur."""
    axes, figures = dict[str, None](), dict[str, None]()
    for row in rows:
        axes |= dict.fromkeys(row.point)
        figures |= dict.fromkeys(row.figures)
    return list(axes), list(figures)


def flat(rows: Sequence[Row], bounds: Bounds, best: Collection[int]) -> list[dict[str, Any]]:
    """The rows as plain values: one column an axis, a figure, and what is known of the point."""
    axes, figures = columns(rows)
    return [
        {
            "point": row.number,
            **{name: row.point.get(name) for name in axes},
            "state": row.state,
            **{name: row.figures.get(name) for name in figures},
            "meets": row.meets(bounds),
            "front": row.number in best,
        }
        for row in rows
    ]


def write(rows: Sequence[Mapping[str, Any]], place: Path) -> None:
    """Write ``table.csv``, ``table.json`` and, where pyarrow is installed, ``table.parquet``."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_text(place / "table.csv", text.getvalue())
    write_json(place / "table.json", list(rows))
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        return
    names = list(rows[0]) if rows else []
    table = arrow.table({name: _column([row[name] for row in rows]) for name in names})
    with replacing(place / "table.parquet") as part:
        parquet.write_table(table, part)


def _column(values: list[Any]) -> list[Any]:
    """A column has one type: numbers as they are, all else as text where there are several."""
    kinds = {
        bool if isinstance(v, bool) else float if isinstance(v, int | float) else type(v)
        for v in values
        if v is not None
    }
    return values if len(kinds) <= 1 else [None if value is None else str(value) for value in values]
