"""The core map: where the layers of a network lie on a chip, as a drawing and as the table behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from spikeport.mapping.placement import Mapping as Placement
from spikeport.reporting.numbers import times, whole

ACROSS = 4  #: chips drawn beside each other; more of them go into rows below
GAP = 1  #: between two chips, in cores
GOLDEN = 137.508  #: degrees: turning hues by it keeps neighbours apart however many there are


def colour(number: int) -> str:
    """The colour of a layer by its place in the network."""
    return f"hsl({number * GOLDEN % 360:.0f} 60% 55%)"


def core_map(placement: Placement) -> Markup:
    """Each core as a square in the colour of the layer that it holds, chip by chip, as SVG."""
    mesh, fit = placement.chip.mesh, placement.fit
    side = max(1, int(np.ceil(np.sqrt(mesh.cores_per_tile))))
    width, height = mesh.columns * side, mesh.rows * side
    core = np.arange(fit.cores)
    column, row = placement.position(core)
    chip, slot = column // mesh.columns, core % mesh.cores_per_tile
    x = chip % ACROSS * (width + GAP) + column % mesh.columns * side + slot % side
    y = chip // ACROSS * (height + GAP) + row * side + slot // side
    parts = [
        f'<rect class="chip" x="{i % ACROSS * (width + GAP)}" y="{i // ACROSS * (height + GAP)}" width="{width}" '
        f'height="{height}"/>'
        for i in range(fit.chips)
    ]
    for number, (name, layer) in enumerate(fit.layers.items()):
        numbers = range(placement.first[name], placement.first[name] + layer.tile.cores)
        path = "".join(f"M{x[i]} {y[i]}h.9v.9h-.9z" for i in numbers)
        tip = escape(f"{name}: {_cores(layer.tile.cores)}")
        parts.append(f'<path style="fill:{colour(number)}" d="{path}" data-tip="{tip}"/>')
    across = min(ACROSS, fit.chips) * (width + GAP)
    down = -(-fit.chips // ACROSS) * (height + GAP)
    holds = ", ".join(f"{name} on {_cores(layer.tile.cores)}" for name, layer in fit.layers.items())
    alt = escape(f"Core map of {placement.chip.title}: {holds}")
    box = f"-0.5 -0.5 {across} {down}"
    return Markup(f'<svg class="cores" viewBox="{box}" role="img" aria-label="{alt}">{"".join(parts)}</svg>')


@dataclass(frozen=True)
class Row:
    """What one layer takes of the chip."""

    layer: str
    colour: str
    neurons: str
    cores: tuple[str, ...]  #: a way to store convolutions each
    fullest: str  #: the limit nearest to full, where convolutions are shared


@dataclass(frozen=True)
class Cores:
    """Whether the network fits the chip, and where on it."""

    sentences: tuple[str, ...]
    ways: tuple[str, ...]  #: to store convolutions
    rows: tuple[Row, ...]


def cores(result: Mapping[str, Any]) -> Cores | None:
    """The facts under ``fit`` of a result; None where there are none."""
    facts = result.get("fit")
    if not facts:
        return None
    bounds: Mapping[str, Any] = facts.get("bounds", {})
    sentences = tuple(entry["sentence"] for entry in bounds.values()) + tuple(facts.get("notes", ()))
    first: Mapping[str, Any] = next(iter(bounds.values()), {"layers": {}})["layers"]
    rows = tuple(
        Row(
            name,
            colour(number),
            whole(layer["neurons"]),
            tuple(_count(entry["layers"].get(name)) for entry in bounds.values()),
            f"{layer['binding'].replace('_', ' ')} {times(layer['utilisation'][layer['binding']])}",
        )
        for number, (name, layer) in enumerate(first.items())
    )
    return Cores(sentences, tuple(bounds), rows)


def _count(layer: Mapping[str, Any] | None) -> str:
    return "none holds it" if layer is None else whole(layer["cores"])


def _cores(count: int) -> str:
    return f"{whole(count)} core{'s' if count > 1 else ''}"
