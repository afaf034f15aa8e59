"""One sample's spikes on the page: who fires when, a small SVG a layer, in the page's own colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from spikeport.comparison import Divergence, first_divergence
from spikeport.graph import Graph
from spikeport.record import Record
from spikeport.reporting.numbers import whole
from spikeport.reporting.rasters import Raster, comparable, raster
from spikeport.reporting.svg import drawing

ROWS = 48  #: of a layer's raster; where it has more neurons, neighbours share a row
WIDE, HIGH, EDGE = 260, 150, 4  #: of a raster, in its own units; the page scales it
LEFT, BOTTOM = 46, 26  #: room for the ticks
LEVELS = (0.25, 0.5, 0.75, 1.0)  #: how dark a row is drawn of which some neurons fire


def spikes(a: Record, b: Record | None = None, names: tuple[str, str] = ("A", "B"), graph: Graph | None = None) -> Any:
    """The rasters of the sample of the first difference, or of the first sample; nothing where no spikes are known.

    ``names`` are those of the two runs, ``graph`` is B's network.
    """
    layers = [name for name in a.neurons if name in a.trains]
    if not layers or not a.samples:
        return {}
    first = None if b is None else first_divergence(a, b, graph)
    sample = 0 if first is None else first.sample
    plots = {}
    rasters = [raster(name, a.trains[name], comparable(a, b, name), sample, ROWS) for name in layers]
    for name, one in zip(layers, rasters, strict=True):
        here = first is not None and first.layer == name
        ring = (first.t, int(np.ravel_multi_index(first.neuron, a.trains[name].shape[2:]))) if first and here else None
        plots[name] = _drawn(one, ring)
    return {"plots": plots, "caption": _caption(sample, a.samples, b is not None, names, first, rasters)}


def _caption(
    sample: int, samples: int, two: bool, names: tuple[str, str], first: Divergence | None, drawn: Sequence[Raster]
) -> str:
    most = [f"{each.most} in {each.layer}" for each in drawn if each.most > 1]
    often = f"; the darkest cells stand for several spikes in a step, {', '.join(most)}" if most else ""
    text = (
        f"Sample {sample} of {whole(samples)}; a row is a neuron, or several where a layer has more than {ROWS}{often}"
    )
    if not two:
        return f"{text}."
    if first is None:
        return f"{text}. {names[0][:1].upper()}{names[0][1:]} and {names[1]} agree on every spike."
    return (
        f"{text}. Blue: fires only in {names[0]}, amber: only in {names[1]}; the ring is the first difference of all."
    )


def _drawn(spikes: Raster, ring: tuple[int, int] | None) -> Markup:
    """A layer; ``ring`` is the step and the neuron of the first difference."""
    rows, steps = spikes.fires.shape
    across, down = (WIDE - LEFT - EDGE) / steps, (HIGH - BOTTOM - EDGE) / rows
    levels = np.searchsorted(LEVELS, spikes.fires - 1e-9)  # rows of which fewer fire are lighter
    parts = [
        _cells((spikes.fires > 0) & (levels == number), "both", across, down, strength)
        for number, strength in enumerate(LEVELS)
    ]
    parts += [_cells(spikes.only_a > 0, "first", across, down), _cells(spikes.only_b > 0, "second", across, down)]
    if ring is not None:
        x, y = LEFT + (ring[0] + 0.5) * across, EDGE + (ring[1] // spikes.a_row + 0.5) * down
        parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="6"/>')
    every = max(1, -(-steps // 8))
    parts += [_tick(LEFT + (t + 0.5) * across, HIGH - 8, str(t), "middle") for t in range(0, steps, every)]
    parts += [_tick(LEFT - 6, EDGE + 9, "0", "end")]
    if rows > 1:
        parts += [_tick(LEFT - 6, HIGH - BOTTOM, whole((rows - 1) * spikes.a_row), "end")]
    alt = escape(f"spikes of {spikes.layer}, {whole(spikes.neurons)} neurons, {steps} steps")
    frame = f'<rect class="frame" x="{LEFT}" y="{EDGE}" width="{WIDE - LEFT - EDGE}" height="{HIGH - BOTTOM - EDGE}"/>'
    head = f'<svg class="plot raster" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{alt}">'
    return Markup(f"{head}{frame}{''.join(parts)}</svg>")


def _cells(fires: Any, kind: str, across: float, down: float, strength: float = 1.0) -> str:
    """One path for all rows and steps that are marked."""
    wide, high = max(across - 1, 0.6), max(down - 0.3, 0.4)
    marks = "".join(
        f"M{LEFT + t * across + (across - wide) / 2:.1f} {EDGE + row * down:.1f}h{wide:.1f}v{high:.1f}h-{wide:.1f}z"
        for row, t in np.argwhere(fires)
    )
    return f'<path class="{kind}" opacity="{strength}" d="{marks}"/>' if marks else ""


def _tick(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def panels(figures: Mapping[str, Any]) -> list[tuple[str, Markup]]:
    """Layer and plot of what `spikes` gathered."""
    return [(layer, drawing(plot)) for layer, plot in figures.get("plots", {}).items()]
