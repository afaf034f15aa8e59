"""Does a graph fit a chip: cores, memory and axons of each layer, and how many chips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spikeport.files import plain
from spikeport.findings import fail
from spikeport.graph import Graph, Loihi
from spikeport.mapping.chip import Chip, find
from spikeport.mapping.compiled import compiled_tile
from spikeport.mapping.layers import Layer, Projection, layers
from spikeport.mapping.tiling import HARD, SOFT, Tile, best_tile

Status = Literal["fits", "does not fit", "unknown"]
LIMIT_NAMES = (*HARD, *SOFT)


@dataclass(frozen=True)
class LayerFit:
    """What one layer takes of a chip."""

    layer: Layer
    tile: Tile
    utilisation: Mapping[str, float]  #: of the fullest core, by limit; 1 is full
    binding: str  #: the limit that is nearest to full

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON."""
        return {
            "shape": plain(self.layer.shape),
            "neurons": self.layer.neurons,
            "cores": self.tile.cores,
            "tile": list(self.tile.shape),
            "used": dict(self.tile.used),
            "utilisation": dict(self.utilisation),
            "binding": self.binding,
        }


@dataclass(frozen=True)
class Fit:
    """How a graph fits a chip under one way to store convolutions."""

    chip: Chip
    sharing: Literal["shared", "unrolled"]
    layers: Mapping[str, LayerFit]
    refused: tuple[str, ...]  #: layers of which not even one neuron fits a core

    @property
    def cores(self) -> int:
        """Cores of all layers; a core holds neurons of one layer."""
        return sum(layer.tile.cores for layer in self.layers.values())

    @property
    def chips(self) -> int:
        """Chips that so many cores need."""
        return -(-self.cores // self.chip["cores"])

    @property
    def over(self) -> dict[str, list[str]]:
        """Layers that break a limit on axons, and which."""
        by_layer = {name: layer.tile.over(self.chip, SOFT) for name, layer in self.layers.items()}
        return {name: limits for name, limits in by_layer.items() if limits}

    @property
    def open(self) -> tuple[str, ...]:
        """What nobody outside can check: limits that are not public, and population axons beyond a limit."""
        reasons = list(self.chip.unknown.values())
        if self.over and self.sharing == "shared":
            worst = max(self.layers[name].utilisation[limit] for name, limits in self.over.items() for limit in limits)
            kinds = sorted({limit.replace("_", " ") for limits in self.over.values() for limit in limits})
            reasons.append(
                f"{' and '.join(kinds)} go up to {worst:.3g} times the limit by an upper estimate, and how far "
                "population axons bring them down is not public"
            )
        return tuple(reasons)

    @property
    def status(self) -> Status:
        """Whether it fits; unknown where a limit, or what it takes to keep it, is not public."""
        too_many = self.chips > self.chip["chips"]
        if self.refused or too_many or (self.over and self.sharing == "unrolled"):
            return "does not fit"
        return "unknown" if self.open else "fits"

    @property
    def sentence(self) -> str:
        """The verdict, as it is printed."""
        title = f"{self.chip.title}, {self.sharing} convolutions"
        if self.refused:
            return f"{title}: does not fit; a core cannot hold one neuron of {', '.join(self.refused)}."
        need = f"{self.cores} cores, {self.chips} chip{'s' if self.chips > 1 else ''}"
        if self.chips > self.chip["chips"]:
            return f"{title}: does not fit: {need}; the largest system has {self.chip['chips']} chips."
        if self.status == "does not fit":
            broken = [f"{name} ({' and '.join(limits).replace('_', ' ')})" for name, limits in self.over.items()]
            return f"{title}: does not fit, even on {need}: over the limit whatever the tile: {', '.join(broken)}."
        if self.open:
            return f"{title}: unknown; {need} by the limits that can be checked, but {'; '.join(self.open)}."
        return f"{title}: fits on {need}."

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON."""
        return {
            "chip": self.chip.id,
            "sharing": self.sharing,
            "status": self.status,
            "sentence": self.sentence,
            "cores": self.cores,
            "chips": self.chips,
            "utilisation": self.cores / (self.chips * self.chip["cores"]) if self.chips else 0.0,
            "unknown": list(self.open),
            "over": self.over,
            "refused": list(self.refused),
            "layers": plain(self.layers),
        }


def fit(graph: Graph, chip: str | Path | Chip = "loihi1", *, sharing: Literal["shared", "unrolled"] = "shared") -> Fit:
    """Tile every layer so that it takes few cores.

    ``shared`` stores a convolution's weights once a core and kind of border, with population axons: a lower bound of
    cores. ``unrolled`` stores every synapse and an axon for every neuron: an upper bound. Layers are tiled from the
    output backwards, since the cores of a layer are the destinations of the one before. Raises SP721 for an unknown
    chip, SP722 for a path that has no mapping, SP723 for a graph without neurons.
    """
    chip = find(chip)
    known = layers(graph)
    if not known:
        fail("SP723", "the graph has no neurons", mend="a graph for a chip has at least one spiking layer")
    bits = graph.arithmetic.profile.weight_bits if isinstance(graph.arithmetic, Loihi) else chip.weight_bits
    tiles: dict[str, Tile] = {}
    refused: list[str] = []
    for name in reversed(known):
        cut = best_tile if chip.compiled is None else compiled_tile
        tile = cut(known[name], _after(name, known, tiles), chip, bits, shared=sharing == "shared")
        if tile is None:
            refused.append(name)
        else:
            tiles[name] = tile
    fits = {name: _layer_fit(layer, tiles[name], chip) for name, layer in known.items() if name in tiles}
    return Fit(chip, sharing, fits, tuple(reversed(refused)))


def _after(name: str, known: Mapping[str, Layer], tiles: Mapping[str, Tile]) -> list[tuple[Projection, Tile]]:
    """The projections that leave a layer for one that has its tile; feedback into a layer not yet tiled is left out."""
    return [
        (projection, tiles[target.name])
        for target in known.values()
        if target.name in tiles
        for projection in target.projections
        if name in projection.senders
    ]


def _layer_fit(layer: Layer, tile: Tile, chip: Chip) -> LayerFit:
    use = {name: tile.used[name] / chip[name] for name in LIMIT_NAMES if name in chip.limits}
    return LayerFit(layer, tile, use, max(use, key=lambda name: use[name]))
