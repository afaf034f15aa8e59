"""``spikeport compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console, show

SIDE = "Checkpoint, .nir, .onnx, shipped model (each optionally @target), or a record.npz."


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; A is held against it.")],
    data: Annotated[str | None, typer.Option("--data", help="Name of a data set.")] = None,
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    limit: show.Limit = None,
    input: Annotated[Path | None, typer.Option("--input", help="A .npy file instead of a data set.")] = None,
    model_a: Annotated[str | None, typer.Option("--model-a", help="The model of which A is a record.")] = None,
    model_b: Annotated[str | None, typer.Option("--model-b", help="The model of which B is a record.")] = None,
    why: Annotated[bool, typer.Option("--why/--no-why", help="Look for the causes.")] = True,
    membranes: Annotated[bool, typer.Option("--membranes", help="Compare membranes too.")] = False,
    max_spike_mismatch: Annotated[int | None, typer.Option(min=0, help="Gate: spikes that may differ.")] = None,
    max_accuracy_drop: Annotated[float | None, typer.Option(help="Gate: share of accuracy B may lose.")] = None,
    min_agreement: Annotated[float | None, typer.Option(min=0, max=1, help="Gate: share of same answers.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for comparison.json and report.html.")] = None,
    batch: show.Batch = None,
    json: show.Json = False,
) -> None:
    """Where two runs of one network part: every spike, the first difference, and why.

    Exit status 1 if a gate is not met.

    Examples:

        spikeport compare model.safetensors model.int.nir --data digits

        spikeport compare model.int.nir model.int.nir@lava --data digits --limit 32 --max-spike-mismatch 0
    """
    from spikeport.verbs.compare import compare as run
    from spikeport.verbs.report import write_comparison

    with console.progress("compare") as progress:
        found = run(
            a,
            b,
            data,
            split,
            limit,
            samples=input,
            models=(model_a, model_b),
            why=why,
            membranes=membranes,
            batch=batch,
            progress=progress,
        )
    if out is not None:
        console.say(f"wrote {write_comparison(found, out)}")
    if json:
        show.as_json(found.as_dict())
    else:
        _tables(found)
    failures = list(found.failures(max_spike_mismatch, max_accuracy_drop, min_agreement))
    for failure in failures:
        typer.echo(str(failure), err=True)
    if failures:
        raise typer.Exit(1)


def _tables(found: object) -> None:
    from spikeport.comparison import Comparison

    assert isinstance(found, Comparison)
    for line in found.lines():
        typer.echo(line)
    apart = {name: counts for name, counts in found.parity.by_layer.items() if any(counts)}
    if apart:
        rows = [(name, found.parity.neurons[name], " ".join(map(str, counts))) for name, counts in apart.items()]
        show.table("spikes that differ", ("layer", "neurons", "at each timestep"), rows)
    if found.causes:
        rows2 = [
            (
                cause.title,
                f"{cause.mismatches:,}",
                f"{cause.share:.1%}",
                "" if cause.explained is None else f"{cause.explained:.1%}",
                "" if cause.accuracy is None else f"{100 * cause.accuracy:+.2f}",
            )
            for cause in found.causes
        ]
        head = ("cause", "mismatches alone", "share", "explains", "accuracy, points")
        show.table("causes", head, rows2)
