"""The page of a sweep: the best under its constraints, the Pareto front, parallel coordinates, every point."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from spikeport.files import write_text
from spikeport.jobs.plan import BOUND, Plan
from spikeport.jobs.table import Bounds, Row, columns, counts
from spikeport.reporting.charts import BOTTOM, LEFT, RIGHT, TOP, ticks
from spikeport.reporting.numbers import percent, plain, si, whole
from spikeport.text import printable

WIDTH, HEIGHT = 420, 260  #: of a plot of two goals, in its own units
WIDE, TALL, HEAD, FOOT = 1000, 320, 56, 28  #: of the parallel coordinates; their names and ends stand above and below
FEW = 8  #: values of an option that are all written beside its axis
MANY = 2000  #: lines of the parallel coordinates at most, evenly picked; the front is always whole


def write(
    plan: Plan,
    bounds: Bounds,
    points: Sequence[Row],
    rows: Sequence[Row],
    best: Sequence[Row],
    front: Sequence[Row],
    largest: Collection[str],
    place: Path,
) -> None:
    """Write ``report.html`` of a sweep's points into its folder; in ``rows`` seeds are together, some may wait."""
    axes, figures = columns(rows)
    shown = [*dict.fromkeys([*plan.goals, *(name for name in figures if name in bounds), *_usual(figures)])]
    kinds = {row.number: "front" for row in front} | {row.number: "best" for row in best}
    head = ["point", *axes, *(["seeds"] if any(row.asked > 1 for row in rows) else []), *shown, "state"]

    def lines(some: Sequence[Row]) -> list[dict[str, Any]]:
        return [{"kind": kinds.get(row.number, ""), "cells": _cells(row, axes, shown, "seeds" in head)} for row in some]

    pairs = [(plan.goals[0], other) for other in plan.goals[1:]]
    done = [row for row in rows if row.state == "done"]
    page = _template().render(
        title=plan.name,
        subtitle=f"{len(axes)} axes · goals: {', '.join(plan.goals) or 'none'}",
        sentence=_sentence(plan, points, best),
        bounds=_bounds(plan.constraints),
        said="± is the standard deviation over seeds." if "seeds" in head else "",
        head=head,
        best=lines(best),
        rows=lines(rows),
        plots=[(f"{a} against {b}", _scatter(done, b, a, kinds)) for a, b in pairs] if done else [],
        parallel=_parallel(done, axes, plan.goals, kinds) if len(done) > 1 else "",
        style=Markup(_text("style.css")),
        script=Markup(_text("sweep.js")),
    )
    write_text(place / "report.html", printable(page))


def _bounds(constraints: Mapping[str, Any]) -> str:
    """The constraints in words: ``drop <= 0.5. ``"""
    told = [f"{name} {text}" if BOUND.match(str(text)) else f"{name}: {text}" for name, text in constraints.items()]
    return "; ".join(told).replace("<=", "≤").replace(">=", "≥") + ". " * bool(told)


def _usual(figures: Sequence[str]) -> list[str]:
    """What a table shows besides goals and bounds."""
    return [name for name in figures if name in ("accuracy", "real_accuracy", "drop", "cores", "latency")]


def _sentence(plan: Plan, points: Sequence[Row], best: Sequence[Row]) -> str:
    text = counts(points) + "."
    if best:
        row = best[0]
        goals = ", ".join(f"{goal} {show(goal, row.figures[goal])}" for goal in plan.goals)
        point = _point(row) + (f"; seeds: {seeds_done(row)}" if row.asked > 1 else "")
        return f"{text} Best {plan.goals[0]}{' within the constraints' if plan.constraints else ''}: {goals} ({point})."
    return text + (
        " None is within the constraints." if plan.goals and any(row.state == "done" for row in points) else ""
    )


def show(name: str, value: Any) -> str:
    """A figure as people write it: shares of samples in percent, energies and times with their unit."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if name.endswith("accuracy") or name in ("agreement", "firing_rate"):
        return percent(value)
    if name == "drop":
        return f"{value:.2f} points"
    if name.startswith("energy.") or name == "latency":
        return si(value, "J" if name.startswith("energy.") else "s")
    return plain(value) if isinstance(value, float) else whole(value)


def with_spread(row: Row, name: str) -> str:
    """A figure of a row with its deviation over seeds: ``98.06 % ± 0.79 %``."""
    text, around = show(name, row.figures.get(name)), row.spread.get(name)
    return text if around is None else f"{text} ± {show(name, around)}"


def seeds_done(row: Row) -> str:
    """``3``, or ``2 of 3`` where one waits or failed."""
    done = row.seeds if row.state == "done" else 0
    return str(done) if done == row.asked else f"{done} of {row.asked}"


def _cells(row: Row, axes: Sequence[str], figures: Sequence[str], seeds: bool) -> list[tuple[Any, str, str]]:
    last = list(row.jobs.values())[-1] if row.jobs else None
    link = "" if last is None or row.state == "waiting" else f"results/{last[:2]}/{last}/result.json"
    cells: list[tuple[Any, str, str]] = [(row.number, str(row.number), link)]
    for name in axes:
        value = row.point.get(name)
        cells.append(("" if value is None else value, "" if value is None else str(value), ""))
    cells += [(row.seeds, seeds_done(row), "")] if seeds else []
    for name in figures:
        value = row.figures.get(name)
        cells.append(("" if value is None else value, with_spread(row, name), ""))
    return [*cells, (row.state, row.state, "")]


@dataclass(frozen=True)
class Scale:
    """Where a value lies on an axis, 0 ... 1: its logarithm where all are positive and far apart."""

    low: float
    high: float
    log: bool
    counts: bool = False  #: whether its values are whole, as cores are, so that there is nothing between

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale:
        low, high = min(values), max(values)
        log = low > 0 and high / low >= 20
        ends = (math.log10(low), math.log10(high)) if log else (low, high)
        room = 0.04 * (ends[1] - ends[0]) or 0.5
        return cls(ends[0] - room, ends[1] + room, log, all(isinstance(value, int) for value in values))

    def at(self, value: float) -> float:
        return ((math.log10(value) if self.log else value) - self.low) / (self.high - self.low)

    def marks(self) -> list[float]:
        """Round values within it."""
        marks = [m for m in ticks(self.low, self.high, 4) if self.low <= m <= self.high]
        marks = [10.0**m for m in marks] if self.log else marks
        return [m for m in marks if m == round(m)] if self.counts else marks


def _scatter(rows: Sequence[Row], across: str, up: str, kinds: Mapping[int, str]) -> Markup:
    known = [row for row in rows if row.figures.get(across) is not None and row.figures.get(up) is not None]
    if not known:
        return Markup("")
    x, y = (Scale.of([row.figures[name] for row in known]) for name in (across, up))
    left, right, top, bottom = LEFT + 14, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    place: Callable[[Row], tuple[float, float]] = lambda row: (  # noqa: E731
        left + (right - left) * x.at(row.figures[across]),
        bottom - (bottom - top) * y.at(row.figures[up]),
    )
    parts = []
    for mark in y.marks():
        height = bottom - (bottom - top) * y.at(mark)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{height:.1f}" y2="{height:.1f}"/>')
        parts.append(_tick(left - 6, height + 3.5, show(up, mark), "end"))
    parts += [_tick(left + (right - left) * x.at(mark), HEIGHT - 8, show(across, mark), "middle") for mark in x.marks()]
    for row in sorted(known, key=lambda row: row.number in kinds):
        a, b = place(row)
        kind = {"front": "on", "best": "best"}.get(kinds.get(row.number, ""), "off")
        tip = escape(f"{_point(row)}: {up} {show(up, row.figures[up])}, {across} {show(across, row.figures[across])}")
        parts.append(
            f'<circle class="{kind}" cx="{a:.1f}" cy="{b:.1f}" r="3.6" data-tip="{tip}"><title>{tip}</title></circle>'
        )
    return _svg(WIDTH, HEIGHT, f"{up} against {across} of {len(known)} points", parts)


def _parallel(rows: Sequence[Row], axes: Sequence[str], goals: Sequence[str], kinds: Mapping[int, str]) -> Markup:
    """A vertical axis for each option and goal; values that are no numbers are spread evenly."""
    names = [*axes, *goals]
    values = {name: [row.point.get(name) if name in axes else row.figures.get(name) for row in rows] for name in names}
    names = [name for name in names if len({str(value) for value in values[name]}) > 1]
    if len(names) < 2:
        return Markup("")
    scales = {name: _scale(values[name]) for name in names}
    at = {name: 70 + (WIDE - 140) * i / (len(names) - 1) for i, name in enumerate(names)}
    every = max(1, len(rows) // MANY)
    parts: list[str] = []
    drawn = [(i, row) for i, row in enumerate(rows) if row.number in kinds or i % every == 0]
    for i, row in sorted(drawn, key=lambda pair: pair[1].number in kinds):
        line = " ".join(f"{at[n]:.0f},{_height(scales[n](values[n][i])):.1f}" for n in names)
        tip = escape(_point(row))
        kind = {"front": "thick", "best": "thick within"}.get(kinds.get(row.number, ""), "thin")
        parts.append(f'<polyline class="{kind}" points="{line}" data-tip="{tip}"/>')
    for number, name in enumerate(names):
        parts.append(f'<line class="grid" x1="{at[name]:.0f}" x2="{at[name]:.0f}" y1="{HEAD}" y2="{TALL - FOOT}"/>')
        known = [value for value in values[name] if value is not None]
        ends = sorted(known) if all(_number(value) for value in known) else sorted(known, key=str)
        parts.append(_tick(at[name], 12 + 14 * (number % 2), name, "middle"))  # neighbours on two lines
        if name in axes and len(each := dict.fromkeys(ends)) <= FEW:
            parts += [
                _tick(at[name] + 6, _height(scales[name](value)) - 3, show(name, value), "start") for value in each
            ]
            continue
        parts.append(_tick(at[name], TALL - FOOT + 16, show(name, ends[0]), "middle"))
        parts.append(_tick(at[name], HEAD - 8, show(name, ends[-1]), "middle"))
    return _svg(WIDE, TALL, f"Parallel coordinates of {len(rows)} points over {', '.join(names)}", parts)


def _height(share: float) -> float:
    """Where a share of an axis lies, from its lower end."""
    return TALL - FOOT - (TALL - FOOT - HEAD) * share


def _scale(values: Sequence[Any]) -> Callable[[Any], float]:
    if all(_number(value) for value in values):
        return Scale.of([float(value) for value in values]).at
    words = sorted({str(value) for value in values})
    return lambda value: words.index(str(value)) / max(1, len(words) - 1)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _point(row: Row) -> str:
    return ", ".join(f"{name.partition('.')[2]} {value}" for name, value in row.point.items()) or f"point {row.number}"


def _tick(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, height: int, alt: str, parts: Sequence[str]) -> Markup:
    head = f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}">'
    return Markup(f"{head}{''.join(parts)}</svg>")


def _text(name: str) -> str:
    return files("spikeport.reporting").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_text("sweep.html.j2"))
