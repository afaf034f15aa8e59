"""Plots as inline SVG and plain HTML: small, sharp in print, coloured by the page's own light and dark variables.

Each mark carries ``data-tip``, which the page shows on hover, focus and touch, and a title for screen readers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from spikeport.reporting.numbers import plain

WIDTH, HEIGHT = 260, 150  #: of a small plot, in its own units; the page scales it
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 12, 26
NARROW, TINY = 1e-12, 1e-300  #: an interval is none below this share of its ends, and below this

Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Interval:
    """A bar from low to high with a mark at the value, placed on a common axis; positions in percent."""

    label: str
    text: str
    start: float
    width: float
    mark: float
    tip: str
    kind: str = ""


def ticks(low: float, high: float, count: int = 3) -> list[float]:
    """Round numbers that span an interval: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def line(
    values: Sequence[float],
    *,
    name: str,
    what: str,
    from_zero: bool = False,
    show: Show = plain,
    tick: Show = plain,
    over: tuple[str, int] = ("t = ", 0),
    kept: int | None = None,
) -> Markup:
    """One quantity over timesteps, as a small SVG; ``show`` writes its numbers, ``tick`` those on the axis.

    ``over`` is the word before the number of a place and the number of the first, ``kept`` a place that is marked.
    """
    low, high = min(values), max(values)
    if from_zero:
        low = min(low, 0.0)
    if high - low <= max(NARROW * max(abs(low), abs(high)), TINY):
        room = max(0.5, NARROW * abs(high))
        low, high = (low - room, high + room) if high else (0.0, 1.0)
    marks = ticks(low, high)
    low, high = marks[0], marks[-1]

    def x(t: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (t / (len(values) - 1) if len(values) > 1 else 0.5)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    texts = [tick(mark) for mark in marks]
    if len(set(texts)) < len(texts):  # a narrow interval far from zero
        texts = [f"{mark:.7g}" for mark in marks]
    parts = [_grid(y(mark), text) for mark, text in zip(marks, texts, strict=True)]
    every = max(1, math.ceil(len(values) / 8))
    parts += [
        f'<text class="tick" x="{x(t):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{t + over[1]}</text>'
        for t in range(0, len(values), every)
    ]
    points = " ".join(f"{x(t):.1f},{y(value):.1f}" for t, value in enumerate(values))
    if kept is not None:
        parts.append(f'<line class="kept" x1="{x(kept):.1f}" x2="{x(kept):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    parts.append(f'<polyline class="curve" points="{points}"/>')
    for t, value in enumerate(values):
        tip = escape(f"{name}, {over[0]}{t + over[1]}: {what} {show(value)}")
        parts.append(f'<circle class="dot" cx="{x(t):.1f}" cy="{y(value):.1f}" r="3.2"/>')
        parts.append(f'<circle class="hit" cx="{x(t):.1f}" cy="{y(value):.1f}" r="11" data-tip="{tip}"/>')
    alt = escape(f"{what} of {name} over {'timesteps' if over[1] == 0 else 'epochs'}: {', '.join(map(show, values))}")
    return _svg(alt, parts)


def bars(counts: Sequence[int], edges: Sequence[float], *, name: str) -> Markup:
    """A histogram as a small SVG; heights are square roots, so that rare values stay visible."""
    top = math.sqrt(max(counts, default=0)) or 1.0
    step = (WIDTH - 20) / len(counts)
    parts = []
    for i, count in enumerate(counts):
        high = (HEIGHT - TOP - BOTTOM) * math.sqrt(count) / top
        tip = escape(f"{name}: {count} mantissas from {plain(edges[i])} to below {plain(edges[i + 1])}")
        parts.append(
            f'<rect class="bar" x="{10 + i * step:.1f}" y="{HEIGHT - BOTTOM - high:.1f}" width="{step - 1:.1f}" '
            f'height="{high:.1f}" data-tip="{tip}"/>'
        )
    for place, text in ((10.0, edges[0]), (WIDTH / 2, (edges[0] + edges[-1]) / 2), (WIDTH - 10.0, edges[-1])):
        parts.append(
            f'<text class="tick" x="{place:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(plain(text))}</text>'
        )
    alt = escape(f"Histogram of the mantissas of {name}: {', '.join(map(str, counts))}")
    return _svg(alt, parts)


def _svg(alt: str, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{alt}">{"".join(parts)}</svg>'
    )


def _grid(height: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{height + 3.5:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def shades(rows: Mapping[str, Sequence[int]], totals: Mapping[str, float]) -> dict[str, list[float]]:
    """How strongly to shade each cell of a heat map, 0 ... 100: the square root of its share of the largest."""
    shares = {name: [count / totals[name] for count in counts] for name, counts in rows.items()}
    top = max((share for row in shares.values() for share in row), default=0.0)
    return {n: [100 * math.sqrt(share / top) if top else 0.0 for share in row] for n, row in shares.items()}


def linear_place(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis that shows low ... high with a little room, within 0 ... 1."""
    room = max(0.1 * (high - low), 0.005)
    return max(0.0, low - room), min(1.0, high + room)


def log_place(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis, whole powers of ten."""
    positive = [value for value in values if value > 0]
    if not positive:
        return 0.0, 1.0
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return float(low), float(max(high, low + 1))
