"""``spikeport evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console, show


def evaluate(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    data: Annotated[str, typer.Option("--data", help="Name of a data set.")],
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    target: Annotated[str | None, typer.Option("--target", help="Where to run it; `spikeport targets` lists.")] = None,
    limit: show.Limit = None,
    dt: show.Dt = None,
    nir: show.Nir = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder that keeps the finished parts of a long run.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the parts that are finished.")] = False,
    batch: show.Batch = None,
    memory: show.Memory = None,
    time_limit: show.TimeLimit = None,
    json: show.Json = False,
) -> None:
    """The accuracy of a model on a data set, with its 95 % interval.

    Examples:

        spikeport evaluate digits-conv --data digits --split test

        spikeport evaluate model.int.nir --data digits --target lava --limit 32 --json
    """
    from spikeport.verbs.evaluate import evaluate as run
    from spikeport.verbs.load import load_model

    with console.progress("evaluate") as progress:
        loaded = load_model(model, dt=dt, nir=show.pairs(nir))
        result = run(
            loaded,
            data,
            split,
            target,
            limit,
            out=out,
            resume=resume,
            batch=batch,
            memory=show.size(memory),
            seconds=time_limit,
            progress=progress,
        )
    show.findings(result.findings)
    if json:
        show.as_json(result.as_dict())
        return
    low, high = result.interval
    typer.echo(
        f"{result.accuracy:.2%} of {result.samples} samples (95 % interval {low:.2%} ... {high:.2%}), "
        f"{result.model} on {result.target}, {result.seconds:.2f} s"
    )
