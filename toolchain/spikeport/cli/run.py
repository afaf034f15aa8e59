"""``spikeport run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console, show


def run(
    recipe: Annotated[
        str, typer.Argument(help="Name of a training recipe, or a TOML file: of a training, or of a whole run.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for models, result.json and report.html.")],
    method: Annotated[str | None, typer.Option("--method", help="ds-atgo, mpd-agl or fixed.")] = None,
    lava_samples: Annotated[
        int | None, typer.Option("--lava-samples", min=0, help="Samples for Lava, 32 unless said; 0 skips it.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option("--time-limit", help="Seconds that Lava may take.")] = None,
    json: show.Json = False,
) -> None:
    """The main job, end to end: train, export, quantise, simulate, compare, estimate, report.

    Examples:

        spikeport run digits --out build/demo

        spikeport run digits --method mpd-agl --lava-samples 64 --out build/mpd-agl
    """
    from spikeport.verbs.run import run as job

    result = job(recipe, out, method, lava_samples=lava_samples, seconds=time_limit, bar=console.progress)
    if json:
        show.as_json(result)
        return
    rows = [(stage, f"{result['accuracy'][stage]:.2%}", result["samples"][stage]) for stage in result["accuracy"]]
    show.table(f"{result['model']} on {result['dataset']}, {result['method']}", ("stage", "accuracy", "samples"), rows)
    agreed = [
        (
            name,
            found["against"],
            f"{found['spike_mismatches']:,} of {found['spikes_compared']:,}",
            f"{found['argmax_agreement']:.2%}",
        )
        for name, found in result["parity"].items()
    ]
    show.table("parity", ("what", "against", "spikes that differ", "same answer"), agreed)
    console.say(f"wrote {out / 'report.html'}")
