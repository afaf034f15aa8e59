"""``spikeport inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console, show


def inspect(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw the graph into this .svg file.")] = None,
    json: show.Json = False,
) -> None:
    """A model as a table: nodes, thresholds over time, scales, size, and where it comes from.

    Examples:

        spikeport inspect model.int.nir

        spikeport inspect model.onnx --svg build/model.svg
    """
    from spikeport.verbs.inspect import inspect as look

    found = look(model, svg=svg)
    if json:
        show.as_json(found.as_dict())
        return
    title = f"{found.model}: {found.kind}, {found.arithmetic}, {found.timesteps} timesteps, {found.neurons:,} neurons"
    head = ("node", "what", "shape", "numbers", "thresholds over time", "scale")
    rows = [(r.name, r.what, r.shape, f"{r.parameters:,}", r.thresholds, r.scale) for r in found.rows]
    show.table(title, head, rows)
    show.table("provenance", ("fact", "value"), list(found.provenance.items()))
    if svg is not None:
        console.say(f"wrote {svg}")
