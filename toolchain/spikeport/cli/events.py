"""``spikeport events``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console, show


def events(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    data: Annotated[str | None, typer.Option("--data", help="Name of a data set.")] = None,
    input: Annotated[Path | None, typer.Option("--input", help="A .npy file instead: [B, ...] or [T, B, ...].")] = None,
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    target: Annotated[str | None, typer.Option("--target", help="Where to run it; `spikeport targets` lists.")] = None,
    limit: show.Limit = None,
    batch: show.Batch = None,
    chip: Annotated[
        str | None, typer.Option("--chip", help="Also messages and hops of a mapping on this chip.")
    ] = None,
    time_limit: show.TimeLimit = None,
    json: show.Json = False,
) -> None:
    """Count, exactly, what every layer does: spikes, synaptic operations, multiply-adds, neuron updates.

    Examples:

        spikeport events digits-conv --data digits

        spikeport events model.int.nir --input digits.npy --target lava --json
    """
    from spikeport.verbs.events import events as run

    with console.progress("events") as progress:
        found = run(
            model,
            data,
            samples=input,
            split=split,
            target=target,
            limit=limit,
            batch=batch,
            chip=chip,
            seconds=time_limit,
            progress=progress,
        )
    plain = found.as_dict()
    if json:
        show.as_json(plain)
        return
    layers, samples = plain["layers"], plain["samples"]
    title = f"per sample, summed over {plain['timesteps']} steps; {samples} samples on {plain['target']}"
    heads = ("inputs", "payload", "synops", "fanout", "dense", "macs_cached", "macs_every_step")
    show.table(
        f"synapses, {title}",
        (
            "layer",
            "inputs",
            "payload",
            "operations, non-zero weights",
            "all weights",
            "dense",
            "analog MACs, cached",
            "at every step",
        ),
        [
            (name, *(_mean(layer[head], samples) for head in heads))
            for name, layer in layers.items()
            if layer["kind"] == "synapse"
        ],
    )
    show.table(
        f"neurons, {title}",
        ("layer", "spikes", "updates", "active"),
        [
            (name, *(_mean(layer[head], samples) for head in ("spikes", "updates", "active")))
            for name, layer in layers.items()
            if layer["kind"] == "neurons"
        ],
    )
    if plain["identities"]:
        show.table(
            f"spikes that enter a layer without a synapse, {title}",
            ("from", "into", "additions"),
            [(way["source"], way["layer"], _mean(way["operations"], samples)) for way in plain["identities"]],
        )
    if plain["traffic"] is not None:
        show.table(
            f"messages and mesh hops on {chip}, {title}",
            ("layer", "messages", "hops east-west", "hops north-south"),
            [(name, *(_mean(count, samples) for count in sent.values())) for name, sent in plain["traffic"].items()],
        )


def _mean(value: int | list[int], samples: int) -> str:
    total = sum(value) if isinstance(value, list) else value
    return f"{total / samples:,.1f}"
