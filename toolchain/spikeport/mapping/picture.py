"""A picture of the core map: each core in the colour of the layer that it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.files import replacing
from spikeport.findings import require
from spikeport.mapping.placement import Mapping
from spikeport.text import as_label


def draw(mapping: Mapping, path: Path | str) -> None:
    """Write a PNG or SVG. Raises SP724 for another ending."""
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    require(
        kind in ("png", "svg"),
        "SP724",
        "has no ending that says which picture",
        where=str(path),
        mend="use .png or .svg",
    )
    from matplotlib.figure import Figure

    mesh, fit = mapping.chip.mesh, mapping.fit
    cores = np.arange(fit.cores)
    column, row = mapping.position(cores)
    side = max(1, int(np.ceil(np.sqrt(mesh.cores_per_tile))))
    slot = cores % mesh.cores_per_tile
    x, y = column * side + slot % side, row * side + slot // side
    width, height = fit.chips * mesh.columns * side, mesh.rows * side
    image = np.full((height, width), np.nan)
    for number, (name, layer) in enumerate(fit.layers.items()):
        of_layer = slice(mapping.first[name], mapping.first[name] + layer.tile.cores)
        image[y[of_layer], x[of_layer]] = number % 20
    figure = Figure(figsize=(min(24.0, 2 + width * 0.22), 2.2 + height * 0.22 + 0.13 * len(fit.layers)))
    axes = figure.add_subplot()
    axes.imshow(image, cmap="tab20", vmin=0, vmax=19, origin="lower", interpolation="nearest")
    axes.set_xticks(np.arange(0, width + 1, mesh.columns * side) - 0.5, labels=[])
    axes.set_yticks([])
    axes.grid(color="black", linewidth=1)
    axes.set_title(
        as_label(f"{mapping.chip.title}: {fit.cores} cores on {fit.chips} chip(s); lines part the chips"), fontsize=9
    )
    for name, layer in fit.layers.items():
        axes.plot(
            [],
            [],
            "s",
            label=as_label(f"{name}: {layer.tile.cores} x {list(layer.tile.shape)}"),
            color=axes.images[0].cmap((list(fit.layers).index(name) % 20) / 19),
        )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=2, fontsize=7, frameon=False)
    with replacing(path) as part:
        figure.savefig(part, format=kind, bbox_inches="tight", metadata={"Date": None} if kind == "svg" else {})
