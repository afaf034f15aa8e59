"""``spikeport export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport import console
from spikeport.cli import show


def export(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    out: Annotated[Path, typer.Option("--out", help="model.nir or model.onnx.")],
) -> None:
    """Write a model as NIR or ONNX, thresholds of every timestep included.

    Examples:

        spikeport export build/demo/model.safetensors --out model.nir

        spikeport export model.int.nir --out model.int.onnx
    """
    from spikeport.api.export import export as write

    show.findings(write(model, out))
    console.say(f"wrote {out} ({out.stat().st_size:,} bytes)")
