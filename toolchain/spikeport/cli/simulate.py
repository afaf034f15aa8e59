"""``spikeport simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console, show


def simulate(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    input: Annotated[Path, typer.Option("--input", help="A .npy file: [B, ...], or [T, B, ...] with --frames.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for record.npz.")],
    target: Annotated[str | None, typer.Option("--target", help="Where to run it; `spikeport targets` lists.")] = None,
    dt: show.Dt = None,
    nir: show.Nir = None,
    frames: Annotated[bool, typer.Option("--frames", help="The input has a frame for each step.")] = False,
    trains: Annotated[bool, typer.Option("--trains/--no-trains", help="Keep spike trains.")] = True,
    trains_of: Annotated[
        list[str] | None, typer.Option("--trains-of", metavar="LAYER", help="Of this layer only. May be repeated.")
    ] = None,
    membranes: Annotated[bool, typer.Option("--membranes", help="Keep membranes after the reset.")] = False,
    membranes_of: Annotated[
        list[str] | None, typer.Option("--membranes-of", metavar="LAYER", help="Of this layer only. May be repeated.")
    ] = None,
    events: Annotated[bool, typer.Option("--events/--no-events", help="Count events, for spikeport energy.")] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the parts that are finished.")] = False,
    batch: show.Batch = None,
    memory: show.Memory = None,
    time_limit: show.TimeLimit = None,
) -> None:
    """Run a model on an input file and keep outputs, spike counts, and every spike and event count unless told not to.

    Examples:

        spikeport simulate model.int.nir --input digits.npy --target lava --out build/lava

        spikeport simulate model.int.nir --input many.npy --no-trains --no-events --memory 1GB --out build/many

        spikeport simulate other.nir --input frames.npy --frames --dt 0.001 --out build/other
    """
    from spikeport.verbs.simulate import simulate as run

    with console.progress("simulate") as progress:
        record = run(
            model,
            input,
            target,
            out,
            dt=dt,
            nir=show.pairs(nir),
            frames=frames,
            trains=trains_of or trains,
            membranes=membranes_of or membranes,
            events=events,
            resume=resume,
            batch=batch,
            memory=show.size(memory),
            seconds=time_limit,
            progress=progress,
        )
    show.findings(record.findings)
    rates = record.rates()
    show.table(
        f"{record.samples} samples on {record.target}, {record.seconds:.2f} s",
        ("layer", "neurons", "firing rate at each timestep"),
        [(name, record.neurons[name], " ".join(f"{rate:.3f}" for rate in rates[name])) for name in record.neurons],
    )
    console.say(f"wrote {out / 'record.npz'}")
