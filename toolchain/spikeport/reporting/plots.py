"""What a run did, as a picture: spikes over time a layer, firing rates, membranes with their thresholds."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeport.comparison import Divergence, first_divergence
from spikeport.files import output, replacing
from spikeport.findings import Finding, fail
from spikeport.graph import Array, Graph
from spikeport.nearest import choose
from spikeport.record import Record
from spikeport.reporting.numbers import whole
from spikeport.reporting.rasters import comparable, raster, sample_of
from spikeport.reporting.views import AMBER, BLUE, Run, View
from spikeport.text import as_label
from spikeport.told import Told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, RULE = "#1d2126", "#d5d2ca"  #: as on the page
COLOURS = (BLUE, AMBER, "#14632f")  #: of neurons beside each other
NEURONS = 3  #: whose membranes are drawn, unless a second run takes the room
WIDTH, HIGH = 4.2, 2.3  #: inches of a panel
DPI = 150
ALIKE = 0.01  #: relative difference up to which two schedules are one line: integers round
APART = 40  #: steps up to which a gap parts them in a raster


@dataclass(frozen=True, repr=False)
class Picture(Told):
    """A drawn run: `save` writes it as PNG or SVG, and a notebook shows it."""

    figure: Figure = field(repr=False)
    caption: str  #: what is drawn, and what is not and why
    first: Divergence | None = None  #: the first difference from the second run
    path: Path | None = None  #: where it was written
    findings: tuple[Finding, ...] = ()  #: what the reader of a model chose

    def save(self, path: Path | str) -> Path:
        """Write it as .png or .svg and return the path. Raises SP906 for another ending."""
        place = output(path, ".png", ".svg")
        with replacing(place) as part:
            self.figure.savefig(part, format=place.suffix[1:].lower(), dpi=DPI)
        return place

    def _repr_html_(self) -> str:
        """For notebooks."""
        data = io.BytesIO()
        self.figure.savefig(data, format="png", dpi=DPI)
        text = base64.b64encode(data.getvalue()).decode()
        return f'<img style="max-width:100%" alt="Spikes over time" src="data:image/png;base64,{text}">'


def plot(
    a: Record,
    b: Record | None = None,
    *,
    graph: Graph | None = None,
    graph_b: Graph | None = None,
    sample: int | None = None,
    layers: Sequence[str] = (),
    names: tuple[str, str] = ("A", "B"),
) -> Picture:
    """Draw one sample of a run, a row of panels a layer: spikes, firing rate, membranes with thresholds.

    With a second record ``b`` of the same samples spikes that only one run has are coloured, and the first
    difference is marked; its sample is drawn unless ``sample`` (from 0) says another. ``graph`` and ``graph_b`` are
    the networks of the two, where they are known: they give the threshold schedules and what a membrane is worth in
    real units (for integers: times the membrane's unit); membranes of unknown networks are in their target's own unit.
    Rates are means over all samples. ``layers`` are all unless named; ``names`` those of the two runs.

    Raises SP821 for a sample or a layer that there is not, or nothing to draw.
    """
    first = None if b is None else first_divergence(a, b, graph_b)
    at = sample if sample is not None else first.sample if first else 0
    chosen = _layers(a, layers)
    if not 0 <= at < a.samples:
        fail("SP821", f"there is no sample {at}", mend=f"the record has samples 0 to {a.samples - 1}")
    runs = [Run(a, graph, names[0], BLUE)] + ([] if b is None else [Run(b, graph_b, names[1], AMBER)])
    view = View(tuple(runs), at, first)
    return Picture(_figure(view, chosen), view.caption(), first)


def _layers(record: Record, layers: Sequence[str]) -> list[str]:
    for layer in layers:
        if layer not in record.neurons:
            fail("SP821", f"no spiking layer is called {layer!r}", mend=choose(layer, record.neurons))
    chosen = list(layers) or [name for name in record.neurons if name in record.spike_counts or name in record.trains]
    if not chosen:
        fail("SP821", "the record has neither spikes nor counts to draw", mend="write it with spikeport simulate")
    return chosen


def _figure(view: View, layers: Sequence[str]) -> Figure:
    from matplotlib.figure import Figure

    known = any(run.node(layer) or layer in run.record.membranes for run in view.runs for layer in layers)
    columns = 3 if known else 2
    figure = Figure(figsize=(WIDTH * columns, HIGH * len(layers) + 0.9), dpi=DPI, layout="constrained")
    grid = figure.subplots(len(layers), columns, squeeze=False)
    for row, layer in zip(grid, layers, strict=True):
        _raster(row[0], view, layer)
        _rates(row[1], view, layer)
        if known:
            _membranes(row[2], view, layer)
        for axes in row:
            _over_time(axes, view, layer)
    for axes in grid[-1]:
        axes.set_xlabel("timestep", fontsize=9)
    if view.other is not None:
        _legend(figure, view)
    head = "\n".join(view.caption().split("; ")[:2] if view.other is not None else [view.caption().split("; ")[0]])
    figure.suptitle(as_label(head[0].upper() + head[1:]), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    return figure


def _legend(figure: Figure, view: View) -> None:
    from matplotlib.patches import Patch

    kinds = [("fires in both", INK), *((f"only in {run.name}", run.colour) for run in view.runs)]
    patches = [Patch(color=colour, label=as_label(name)) for name, colour in kinds]
    figure.legend(handles=patches, loc="outside lower left", ncols=3, fontsize=8, frameon=False)


def _over_time(axes: Axes, view: View, layer: str) -> None:
    """What the panels of a row share: the axis of time, and the moment of the first difference."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(-0.5, _steps(view.record, layer) - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    if first := view.first(layer):
        axes.axvline(first.t, color=AMBER, linewidth=1, linestyle=(0, (2, 2)), zorder=0)


def _steps(record: Record, layer: str) -> int:
    return record.trains[layer].shape[0] if layer in record.trains else len(record.spike_counts[layer])


def _raster(axes: Axes, view: View, layer: str) -> None:
    """Spikes over time, a row a neuron; a difference always shows, also where neurons share a row."""
    if layer not in view.record.trains:
        axes.set_title(as_label(f"{layer}: spikes"), loc="left", fontsize=9, color=INK)
        axes.text(0.5, 0.5, "no spike train in the record", ha="center", transform=axes.transAxes, fontsize=8)
        axes.set_yticks([])
        return
    spikes = raster(layer, view.record.trains[layer], comparable(view.record, view.other, layer), view.sample)
    axes.set_title(as_label(f"{layer}: spikes{spikes.scale}"), loc="left", fontsize=9, color=INK)
    rows = len(spikes.fires)
    image = np.ones((rows, spikes.steps, 3))
    for shares, colour, least in ((spikes.fires, INK, 0.25), (spikes.only_b, AMBER, 1.0), (spikes.only_a, BLUE, 1.0)):
        weight = np.where(shares > 0, np.maximum(shares, least), 0.0)[..., None]
        image = image * (1 - weight) + _rgb(colour) * weight
    axes.imshow(image, aspect="auto", interpolation="nearest", extent=(-0.5, spikes.steps - 0.5, rows - 0.5, -0.5))
    if spikes.steps <= APART:
        for t in range(1, spikes.steps):
            axes.axvline(t - 0.5, color="white", linewidth=2.5)
    axes.set_ylabel(spikes.axis, fontsize=8)
    ticks = np.unique(np.linspace(0, rows - 1, min(rows, 4)).round().astype(int))
    axes.set_yticks(ticks, [whole(tick * spikes.a_row) for tick in ticks])
    if first := view.first(layer):
        neuron = int(np.ravel_multi_index(first.neuron, view.record.trains[layer].shape[2:]))
        axes.plot(first.t, neuron // spikes.a_row, "o", markersize=11, mfc="none", mec=AMBER, mew=1.6)


def _rgb(colour: str) -> Array:
    from matplotlib.colors import to_rgb

    return np.asarray(to_rgb(colour))


def _rates(axes: Axes, view: View, layer: str) -> None:
    axes.set_title("firing rate, mean over all samples", loc="left", fontsize=9, color=INK)
    rates = [(run, run.record.rates()[layer]) for run in view.runs if layer in run.record.spike_counts]
    several = any(run.record.several(layer) for run, _ in rates)
    rates = rates if several else [(run, 100 * rate) for run, rate in rates]
    for run, rate in rates:
        axes.plot(rate, color=run.colour, linestyle=run.line, marker="o", markersize=3, label=as_label(run.name))
    axes.set_ylabel("spikes of a neuron" if several else "neurons that fire, %", fontsize=8)
    axes.set_ylim(0, 1.1 * max((float(rate.max()) for _, rate in rates), default=0.0) or 1.0)
    axes.grid(axis="y", color=RULE, linewidth=0.6)


def _membranes(axes: Axes, view: View, layer: str) -> None:
    """Membranes after the reset as lines, thresholds as steps, spikes as triangles at the threshold passed."""
    neurons = _neurons(view, layer)
    one = " of neuron " + _name(neurons[0]) if len(neurons) == 1 else ""
    what = "membrane after the reset, threshold" if layer in _with_membranes(view) else "threshold"
    axes.set_title(as_label(f"{what}{one}"), loc="left", fontsize=9, color=INK)
    known = all(run.node(layer) for run in view.runs)
    axes.set_ylabel("in units of the layer's input" if known else "in each target's own unit", fontsize=8)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    drawn: list[Array] = []
    for place, neuron in enumerate(neurons):
        for run in view.runs:
            colour = run.colour if len(view.runs) > 1 else COLOURS[place]
            name = run.name if len(view.runs) > 1 else f"neuron {_name(neuron)}"
            membrane, thresholds = run.membrane(layer, view.sample, neuron), run.thresholds(layer, neuron)
            if membrane is not None:
                axes.plot(membrane, color=colour, linestyle=run.line, marker="o", markersize=3, label=as_label(name))
            if thresholds is None:
                continue
            if not any(np.allclose(thresholds, each, rtol=ALIKE) for each in drawn):
                _thresholds(axes, thresholds, colour if drawn else INK, name if drawn else "")
                drawn.append(thresholds)
            fires = run.fires(layer, view.sample, neuron)
            size, fill = (5, colour) if run is view.runs[0] else (9, "none")
            axes.plot(fires, thresholds[fires], "^", color=colour, mfc=fill, markersize=size, zorder=4)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, framealpha=0.85, edgecolor="none", loc="best")


def _thresholds(axes: Axes, thresholds: Array, colour: str, whose: str) -> None:
    """A schedule, each value from half a step before its time to half a step after."""
    times, steps = np.arange(len(thresholds) + 1) - 0.5, np.append(thresholds, thresholds[-1])
    label = f"threshold, {whose}" if whose else "threshold"
    axes.step(times, steps, where="post", color=colour, linewidth=1.3, linestyle=(0, (1, 1)), label=as_label(label))


def _with_membranes(view: View) -> set[str]:
    return {layer for run in view.runs for layer in run.record.membranes}


def _name(neuron: tuple[int, ...]) -> str:
    return ", ".join(map(str, neuron))


def _neurons(view: View, layer: str) -> list[tuple[int, ...]]:
    """Of the first difference, or else those that fire at about half of the steps: several of one run, one of two."""
    if first := view.first(layer):
        return [first.neuron]
    count = NEURONS if view.other is None else 1
    train = view.record.trains.get(layer)
    node = view.runs[0].node(layer)
    if train is not None:
        fires = sample_of(train, view.sample).unpack().sum((0, 1)).reshape(-1)
        order, shape = np.argsort(-fires * (train.shape[0] - fires), kind="stable")[:count], train.shape[2:]
    else:
        shape = (view.record.neurons[layer],) if node is None else node.shape
        shape = view.record.membranes[layer].shape[2:] if layer in view.record.membranes else shape
        order = np.arange(min(count, view.record.neurons[layer]))
    return [tuple(int(i) for i in np.unravel_index(n, shape)) for n in order]
