"""``spikeport energy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from spikeport.record import NeuronEvents, SynapseEvents
from spikeport.terminal import console, show

if TYPE_CHECKING:
    from spikeport.verbs.energy import Costs


def energy(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    data: Annotated[str | None, typer.Option("--data", help="Name of a data set.")] = None,
    input: Annotated[Path | None, typer.Option("--input", help="A .npy file instead: [B, ...] or [T, B, ...].")] = None,
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    target: Annotated[str | None, typer.Option("--target", help="Where to run it; `spikeport targets` lists.")] = None,
    limit: show.Limit = None,
    batch: show.Batch = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="A further cost model: a name, or your own .toml file.")
    ] = None,
    chip: Annotated[str, typer.Option("--chip", help="Chip of the mapping: loihi1, a .toml file, or none.")] = "loihi1",
    chips: Annotated[int | None, typer.Option("--chips", min=1, help="Chips that draw static power.")] = None,
    step_seconds: Annotated[float | None, typer.Option("--step-time", help="Seconds a step, for static power.")] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Also measure this machine's GPU, about a minute.")] = False,
    sanafe: Annotated[int, typer.Option("--sanafe", min=0, help="Replay N samples through SANA-FE as a check.")] = 0,
    time_limit: show.TimeLimit = None,
    json: show.Json = False,
) -> None:
    """What a sample costs under named cost models, side by side, with the same-architecture ANN.

    Examples:

        spikeport energy digits-conv --data digits --limit 100

        spikeport energy model.int.nir --data digits --model my.toml --model loihi2-bracket --json
    """
    from spikeport.verbs.energy import energy as run

    with console.progress("energy") as progress:
        found = run(
            model,
            data,
            samples=input,
            split=split,
            target=target,
            limit=limit,
            batch=batch,
            models=models or (),
            chip=None if chip == "none" else chip,
            chips=chips,
            step_seconds=step_seconds,
            gpu=gpu,
            sanafe=sanafe,
            seconds=time_limit,
            progress=progress,
        )
    if json:
        show.as_json(found.as_dict())
        return
    kinds = {each.kind for each in found.estimates.values()}
    rows = [
        (
            name,
            *(micro(value) for value in (each.low, each.nominal, each.high)),
            micro(each.static.nominal) if each.static else "",
            *([each.kind] if len(kinds) > 1 else []),
            each.basis,
        )
        for name, each in found.estimates.items()
    ]
    show.table(
        f"{' and '.join(sorted(kinds))} energy of one sample in microjoule ({found.samples} samples on {found.target})",
        ("model", "low", "nominal", "high", "static, apart", *(["kind"] if len(kinds) > 1 else []), "basis"),
        rows,
    )
    show.table("counted for each timestep, a sample", *_steps(found))
    for verdict in found.verdicts.values():
        typer.echo(verdict.sentence)
    if found.latency is not None:
        typer.echo(f"On {found.chip}: {found.latency.sentence}")
    if found.sanafe is not None:
        typer.echo(
            f"SANA-FE's own account of {found.sanafe.samples} samples: {micro(found.sanafe.sanafe)} uJ each, our "
            f"model of it {micro(found.sanafe.model)} uJ (relative difference {found.sanafe.relative_difference:.1e})."
        )
    for note in found.notes:
        typer.echo(note)


def _steps(found: Costs) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of what each step counts; messages, hops and times where there is a mapping."""
    events = found.counted.record.events.values()
    columns = {
        "spikes": np.sum([each.spikes for each in events if isinstance(each, NeuronEvents)], axis=0),
        "synaptic operations": np.sum([each.fanout for each in events if isinstance(each, SynapseEvents)], axis=0)
        + sum(each.operations for each in found.counted.identities),
    }
    if found.counted.traffic is not None:
        sent = list(found.counted.traffic.values())
        columns["messages"] = np.sum([each.messages for each in sent], axis=0)
        columns["hops"] = np.sum([each.east_west + each.north_south for each in sent], axis=0)
    rows = [[f"{column[t] / found.samples:,.1f}" for column in columns.values()] for t in range(found.timesteps)]
    heads = ["timestep", *columns]
    if found.latency is not None:
        heads.append("us")
        for row, step in zip(rows, found.latency.steps, strict=True):
            row.append(micro(step.nominal))
    return tuple(heads), [(str(t), *row) for t, row in enumerate(rows)]


def micro(joule: float) -> str:
    """Joule as microjoule."""
    return f"{joule * 1e6:.3g}"
