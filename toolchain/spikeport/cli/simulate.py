"""``spikeport simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport import console
from spikeport.cli import show


def simulate(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    input: Annotated[Path, typer.Option("--input", help="A .npy file: [B, ...], or [T, B, ...] with --frames.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for record.npz.")],
    target: Annotated[str | None, typer.Option("--target", help="Where to run it; `spikeport targets` lists.")] = None,
    dt: show.Dt = None,
    nir: show.Nir = None,
    frames: Annotated[bool, typer.Option("--frames", help="The input has a frame for each step.")] = False,
    membranes: Annotated[bool, typer.Option("--membranes", help="Keep membranes after the reset.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the parts that are finished.")] = False,
    batch: show.Batch = None,
    time_limit: show.TimeLimit = None,
) -> None:
    """Run a model on an input file and keep outputs and every spike.

    Examples:

        spikeport simulate model.int.nir --input digits.npy --target lava --out build/lava

        spikeport simulate other.nir --input frames.npy --frames --dt 0.001 --out build/other
    """
    from spikeport.api.simulate import simulate as run

    with console.progress("simulate") as progress:
        record = run(model, input, target, out, dt=dt, nir=show.pairs(nir), frames=frames, membranes=membranes,
                     resume=resume, batch=batch, seconds=time_limit, progress=progress)  # fmt: skip
    show.findings(record.findings)
    rates = record.rates()
    show.table(
        f"{record.samples} samples on {record.target}, {record.seconds:.2f} s",
        ("layer", "neurons", "firing rate at each timestep"),
        [(name, record.neurons[name], " ".join(f"{rate:.3f}" for rate in rates[name])) for name in record.neurons],
    )
    console.say(f"wrote {out / 'record.npz'}")
