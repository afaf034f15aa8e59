"""``spikeport check``."""

from __future__ import annotations

from typing import Annotated

import typer

from spikeport.terminal import show


def check(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    target: Annotated[str, typer.Option("--target", help="`spikeport targets` lists them.")],
    json: show.Json = False,
) -> None:
    """What a target can run of a model, node by node, before anything runs.

    Exit status 1 if something is unsupported.

    Examples:

        spikeport check model.int.nir --target lava

        spikeport check model.nir --target integer --json
    """
    from spikeport.verbs.check import check as look

    found = look(model, target)
    if json:
        show.as_json(found.as_dict())
    else:
        rows = [
            (
                v.node,
                v.what,
                v.state,
                " ".join(filter(None, (v.origin, v.process))),
                "; ".join(v.remarks),
                "; ".join(v.mend),
            )
            for v in found.nodes
        ]
        head = ("node", "what", "state", "stock or ours", "remarks", "how to mend it")
        show.table(f"{found.model} on {found.target}", head, rows)
        for other in found.others:
            typer.echo(str(other))
        typer.echo("runs" if found.runs else "does not run")
    if not found.runs:
        raise typer.Exit(1)
