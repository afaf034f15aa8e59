"""What a training did to its neurons, as a picture: a row a quantity, over layers, timesteps and epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from spikeport.reporting.plots import DPI, INK, RULE, Picture
from spikeport.reporting.views import AMBER, BLUE
from spikeport.text import as_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spikeport.training.probe import Activity

Layers = Mapping[str, "Activity"]
#: field, what it is, and the factor by which it is drawn
QUANTITIES = (
    ("inside", "membranes that get a gradient, %", 100.0),
    ("rate", "neurons that fire, %", 100.0),
    ("threshold", "threshold", 1.0),
    ("width", "surrogate width", 1.0),
)
COLOURS = (BLUE, AMBER)  #: of the first training and of the second
APART = 0.08  #: of the height of a panel, between two names
FEW = 8  #: layers up to which each has its own name at a line
PANEL = (4.4, 2.3)  #: inches


def picture(runs: Mapping[str, tuple[Layers, Mapping[int, Layers]]], head: str) -> Picture:
    """``runs``: for each training by name its layers, and those of the epochs that it kept.

    Left, a bar a layer: the mean over timesteps, with a line from the least to the largest of them. Middle, over
    timesteps: each layer, and the mean over layers in bold. Right, where epochs are known: each layer's mean over
    timesteps, and in bold the mean over layers.
    """
    from matplotlib.figure import Figure

    columns = 3 if any(epochs for _, epochs in runs.values()) else 2
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * len(QUANTITIES) + 1.2), dpi=DPI, layout="constrained")
    grid = figure.subplots(len(QUANTITIES), columns, squeeze=False)
    for row, (field, what, factor) in zip(grid, QUANTITIES, strict=True):
        row[0].set_ylabel(what, fontsize=9)
        for number, (layers, epochs) in enumerate(runs.values()):
            steps = {name: [factor * value for value in getattr(each, field)] for name, each in layers.items()}
            _by_layer(row[0], steps, number, len(runs))
            _lines(row[1], range(len(next(iter(steps.values())))), steps, number, len(runs))
            if epochs:
                over = {name: [factor * fmean(getattr(at[name], field)) for at in epochs.values()] for name in layers}
                _lines(row[2], list(epochs), over, number, len(runs))
        for axes in row:
            _plain(axes)
    _titles(grid)
    figure.suptitle(as_label(head), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    if len(runs) > 1:
        from matplotlib.patches import Patch

        patches = [Patch(color=colour, label=as_label(name)) for name, colour in zip(runs, COLOURS, strict=False)]
        figure.legend(handles=patches, loc="outside lower left", ncols=2, fontsize=8, frameon=False)
    return Picture(figure, head)


def _by_layer(axes: Axes, steps: Mapping[str, Sequence[float]], number: int, runs: int) -> None:
    width = 0.8 / runs
    places = [at + width * (number - (runs - 1) / 2) for at in range(len(steps))]
    means = [fmean(values) for values in steps.values()]
    spans = [
        [mean - min(values) for mean, values in zip(means, steps.values(), strict=True)],
        [max(values) - mean for mean, values in zip(means, steps.values(), strict=True)],
    ]
    axes.bar(places, means, 0.9 * width, yerr=spans, color=COLOURS[number], ecolor=INK, error_kw={"linewidth": 1})
    axes.set_xticks(
        range(len(steps)),
        [name.removesuffix(".neuron") for name in steps],
        rotation=0 if len(steps) <= 4 else 60,
        fontsize=8,
    )


def _lines(axes: Axes, at: Sequence[int], lines: Mapping[str, Sequence[float]], number: int, runs: int) -> None:
    """A line a layer, from light to dark with its depth, and their mean in bold."""
    for depth, values in enumerate(lines.values()):
        shade = 0.25 + 0.5 * depth / max(1, len(lines) - 1)
        axes.plot(at, values, color=COLOURS[number], alpha=shade, linewidth=1, marker="o", markersize=2.5)
    mean = [fmean(values) for values in zip(*lines.values(), strict=True)]
    axes.plot(at, mean, color=COLOURS[number], linewidth=2.4)
    if runs == 1 and len(lines) <= FEW:
        _names(axes, at[-1], {name.removesuffix(".neuron"): values[-1] for name, values in lines.items()})


def _names(axes: Axes, at: int, ends: Mapping[str, float]) -> None:
    """Names at the ends of lines, pushed down where they would lie upon each other."""
    room = APART * (max(line.get_ydata().max() for line in axes.lines) or 1.0)  # type: ignore[union-attr]
    height = math.inf
    for name, end in sorted(ends.items(), key=lambda each: -each[1]):
        height = min(end, height - room)
        place = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
        axes.annotate(as_label(name), (at, height), (4, 0), fontsize=7, **place)  # type: ignore[arg-type]


def _plain(axes: Axes) -> None:
    if axes.dataLim.ymin >= 0:
        axes.set_ylim(0, None)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)


def _titles(grid: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    words = ("a layer: mean over timesteps, and their span", "over timesteps: layers and their mean", "over epochs")
    for axes, title in zip(grid[0], words, strict=False):
        axes.set_title(as_label(title), loc="left", fontsize=9, color=INK)
    for row in grid:
        for axes in row[1:]:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    for axes, name in zip(grid[-1][1:], ("timestep", "epoch"), strict=False):
        axes.set_xlabel(as_label(name), fontsize=9)
