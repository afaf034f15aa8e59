"""``spikeport import-checkpoint``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from spikeport.terminal import console, show


def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="A .pth, .pt or .safetensors file; no code in it is run.")],
    layout: Annotated[str, typer.Option("--layout", help="mpd-agl or ds-atgo: whose code wrote it.")],
    arch: Annotated[str, typer.Option("--arch", help="resnet19, vggsnn or mlp.")],
    timesteps: Annotated[int, typer.Option("--timesteps", "-T", min=1, help="As it was trained; no file says it.")],
    out: Annotated[Path, typer.Option("--out", help="The checkpoint to write, .safetensors.")],
    calibrate: Annotated[
        str | None, typer.Option("--calibrate", help="Data set to re-estimate a lost threshold table on.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="Data set to measure the accuracy on.")] = None,
    compare: Annotated[str, typer.Option("--compare", help='">" for MPD-AGL\'s first two public revisions.')] = ">=",
    v_threshold: Annotated[float | None, typer.Option("--v-threshold", help="MPD-AGL's --Vth, if not 0.5.")] = None,
    normalise: Annotated[
        str,
        typer.Option("--normalise", help="How samples were prepared in training: authors, none, or MEAN,.../STD,..."),
    ] = "authors",
    f_c: Annotated[float, typer.Option("--f-c", help="DS-ATGO's firing-rate factor, if not 1.")] = 1.0,
    json: show.Json = False,
) -> None:
    """Read a checkpoint of the authors' public MPD-AGL or DS-ATGO code, and write it as one of spikeport's.

    Examples:

        spikeport import-checkpoint best_model.pth --layout mpd-agl --arch resnet19 -T 2 --out resnet19.safetensors

        spikeport import-checkpoint n.pth --layout ds-atgo --arch resnet19 -T 2 --calibrate cifar10 --out r.safetensors
    """
    from spikeport.verbs.import_checkpoint import import_checkpoint as run

    made = run(
        file,
        cast(Any, layout),
        cast(Any, arch),
        timesteps=timesteps,
        calibrate=calibrate,
        data=data,
        compare=cast(Any, compare),
        v_threshold=v_threshold,
        f_c=f_c,
        normalise=normalise,
        out=out,
    )
    show.findings(made.findings)
    if json:
        show.as_json(made.as_dict())
        return
    if made.accuracy is not None:
        told = f"accuracy {made.accuracy:.2%}"
        if made.accuracy_calibrated is not None:
            told = f"accuracy before {made.accuracy:.2%}, after the calibration {made.accuracy_calibrated:.2%}"
        console.say(f"{told} on {made.samples} test samples")
    console.say(f"wrote {out}")
