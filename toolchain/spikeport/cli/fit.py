"""``spikeport fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spikeport.terminal import console, show

#: limits as a narrow terminal shows them
SHORT = {"neurons": "neurons", "synapse_memory": "memory", "input_axons": "axons in", "output_axons": "axons out"}


def fit(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    chip: Annotated[str, typer.Option("--chip", help="loihi1, loihi2, or your own .toml file.")] = "loihi1",
    picture: Annotated[Path | None, typer.Option("--picture", help="Write the core map, .png or .svg.")] = None,
    json: show.Json = False,
) -> None:
    """Whether a model fits a chip: cores, memory and axons of each layer, how many chips, and what binds.

    Examples:

        spikeport fit digits-conv --chip loihi1

        spikeport fit model.int.nir --chip loihi2 --picture map.svg --json
    """
    from spikeport.verbs.fit import fit as run

    found = run(model, chip, picture=picture)
    if json:
        show.as_json(found.as_dict())
        return
    for bound in found.bounds.values():
        rows = [
            (
                name,
                "x".join(map(str, layer.layer.shape)),
                layer.tile.cores,
                "x".join(map(str, layer.tile.shape)),
                *(f"{layer.utilisation[limit]:.0%}" if limit in layer.utilisation else "not public" for limit in SHORT),
                SHORT[layer.binding],
            )
            for name, layer in bound.layers.items()
        ]
        show.table(
            f"{bound.chip.title}, {bound.sharing} convolutions: of the fullest core",
            ("layer", "shape", "cores", "tile", *SHORT.values(), "binds"),
            rows,
        )
        typer.echo(bound.sentence)
    for note in found.notes:
        typer.echo(note)
    if picture is not None:
        console.say(f"wrote {picture}")
