"""``spikeport quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport import console
from spikeport.cli import show


def quantize(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    data: Annotated[str, typer.Option("--data", help="Data set; its training split calibrates.")],
    out: Annotated[Path, typer.Option("--out", help="model.int.nir or model.int.onnx.")],
    weight_bits: Annotated[int, typer.Option("--weight-bits", min=1, max=8, help="Bits of a weight's mantissa.")] = 8,
    calibration: Annotated[int, typer.Option("--calibration", min=1, help="Calibration samples.")] = 512,
) -> None:
    """Turn a trained model into Loihi's integers, calibrated on training data.

    Examples:

        spikeport quantize build/demo/model.safetensors --data digits --out model.int.nir

        spikeport quantize model.nir --data digits --weight-bits 4 --out model.int.nir
    """
    from spikeport.api.quantize import quantize as make

    made = make(model, data=data, weight_bits=weight_bits, out=out, calibration=calibration)
    show.findings(made.findings)
    console.say(f"wrote {out} ({out.stat().st_size:,} bytes)")
