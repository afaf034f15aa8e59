"""``spikeport export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console, show


def export(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    out: Annotated[Path, typer.Option("--out", help="model.nir or model.onnx.")],
    thresholds: Annotated[str, typer.Option("--thresholds", help="NIR schedules: guard (exact), or approx.")] = "guard",
    data: Annotated[str | None, typer.Option("--data", help="Where approx measures what it costs.")] = None,
    time: Annotated[str, typer.Option("--time", help="ONNX: scan (any T if schedules allow), unroll, step.")] = "scan",
    inline: Annotated[bool, typer.Option("--inline", help="ONNX: for readers without functions.")] = False,
    dt: show.Dt = None,
    nir: show.Nir = None,
) -> None:
    """Write a model as NIR or ONNX, thresholds of every timestep included.

    Examples:

        spikeport export build/demo/model.safetensors --out model.nir

        spikeport export digits-conv --thresholds approx --data digits --out approximate.nir
    """
    from spikeport.verbs.export import export as write
    from spikeport.verbs.load import load_model

    loaded = load_model(model, dt=dt, nir=show.pairs(nir))
    options = {"thresholds": thresholds} if out.suffix.lower() == ".nir" else {"time": time, "inline": inline}
    show.findings(write(loaded, out, data=data, **options))
    console.say(f"wrote {out} ({out.stat().st_size:,} bytes)")
