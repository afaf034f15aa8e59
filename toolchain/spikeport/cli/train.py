"""``spikeport train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a shipped recipe, or a .toml file.")],
    method: Annotated[str | None, typer.Option("--method", help="ds-atgo, mpd-agl, fixed, …")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("build/train"),
    override: Annotated[
        list[str] | None, typer.Option("--set", help="field=value; replaces a field of the recipe. May be repeated.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the training in --out stopped.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over the training of another recipe in --out.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", help="cpu, cuda (under torchrun each process takes its own GPU), cuda:1, …")
    ] = "cpu",
) -> None:
    """Train what a recipe says: fields, data, network and method are in one TOML file.

    Examples:

        spikeport train digits-conv --out build/digits

        spikeport train digits-conv --method mpd-agl --set epochs=5 --set architecture.hidden=32 --out build/short

        torchrun --nproc-per-node 2 -m spikeport train digits-conv
    """
    from spikeport.training.recipe import parse_overrides
    from spikeport.verbs.train import train as run

    result = run(
        recipe,
        method,
        out,
        parse_overrides(override or []),
        go_on=resume,
        overwrite=overwrite,
        device=device,
        progress=console.interactive(),
    )
    if os.environ.get("RANK", "0") != "0":  # under torchrun the first process speaks for all
        return
    facts = result.metadata
    console.say(
        f"wrote {result.checkpoint}: epoch {facts['epoch']}, validation {facts['val_accuracy']:.2%}, "
        f"test {facts['test_accuracy']:.2%}, {result.seconds:.1f} s"
    )
