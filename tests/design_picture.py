"""The picture of a design space: accuracy against energy a method, and what bits cost at each number of steps."""

from __future__ import annotations

import statistics
from pathlib import Path

from matplotlib.figure import Figure

T, METHOD, F_C, BITS = "train.timesteps", "train.method", "train.method_options.f_c", "quantize.weight_bits"
ENERGY = "energy.loihi1-davies2018"
COLOURS = ("#1f6fd0", "#c2410c", "#14632f", "#7a3e9d", "#8a6d00", "#33808c")
MARKS = "osD^vX"


def write(rows: list[dict], path: Path) -> None:
    """Draw means over seeds: at the most bits on the left, over all methods on the right."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    most = max(row[BITS] for row in rows)
    methods = sorted({_method(row) for row in rows})
    for name, colour, mark in zip(methods, COLOURS, MARKS, strict=False):
        by_steps: dict[int, list[dict]] = {}
        for row in rows:
            if _method(row) == name and row[BITS] == most:
                by_steps.setdefault(row[T], []).append(row)
        spots = [(1e6 * _mean(some, ENERGY), 100 * _mean(some, "accuracy"), t) for t, some in sorted(by_steps.items())]
        left.plot([x for x, _, _ in spots], [y for _, y, _ in spots], color=colour, marker=mark, label=name)
        for x, y, t in spots:
            left.annotate(str(t), (x, y), textcoords="offset points", xytext=(4, 4), fontsize=7, color=colour)
    left.set(xlabel="energy a sample, µJ", ylabel="accuracy of the integers, %", title=f"{most} bits; numbers: steps")
    left.legend(fontsize=8, frameon=False)
    for t, colour, mark in zip(sorted({row[T] for row in rows}), COLOURS, MARKS, strict=False):
        bits = sorted({row[BITS] for row in rows if row[T] == t})
        drops = [_mean([row for row in rows if row[T] == t and row[BITS] == b], "drop") for b in bits]
        right.plot(bits, drops, color=colour, marker=mark, label=f"T = {t}")
    right.set(
        xlabel="weight bits", ylabel="accuracy that the integers lose, points", title="mean over methods and seeds"
    )
    right.legend(fontsize=8, frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#d5d2ca", linewidth=0.5)
    figure.savefig(path, dpi=110)


def _method(row: dict) -> str:
    return row[METHOD] if row.get(F_C) is None else f"{row[METHOD]}, f_c {row[F_C]:g}"


def _mean(rows: list[dict], figure: str) -> float:
    return statistics.fmean(row[figure] for row in rows)
