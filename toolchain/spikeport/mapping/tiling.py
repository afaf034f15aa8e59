"""What a tile of a layer takes of a core, and the largest tiles that a core holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from spikeport.graph import Shape
from spikeport.mapping.chip import Chip
from spikeport.mapping.layers import Layer, Projection, lists, spread

Counts = NDArray[np.int64]

WORD = 64  #: bits of a word of synapse memory (nengo-loihi 1.1.0, block.py)
HARD = ("neurons", "synapse_memory")
SOFT = ("input_axons", "output_axons")  #: kept by discrete axons; for population axons an upper estimate


@dataclass(frozen=True)
class Tile:
    """What the fullest core of a layer holds: ``shape`` neurons, and how much of each limit it takes."""

    shape: Shape
    cores: int
    used: Mapping[str, int]

    def over(self, chip: Chip, names: tuple[str, ...]) -> list[str]:
        """The limits among ``names`` that it breaks."""
        return [name for name in names if name in chip.limits and self.used[name] > chip[name]]


def best_tile(
    layer: Layer, after: list[tuple[Projection, Tile]], chip: Chip, weight_bits: int, *, shared: bool
) -> Tile | None:
    """The tile of fewest cores that a core holds; None where it cannot hold a single neuron.

    ``after`` are the projections that leave the layer, each with the tile of the layer it leads into. With discrete
    axons (not ``shared``) a tile that keeps the limits on axons too goes before those that do not.
    """
    fallback = None
    least = 1 if shared else -(-sum(p.synapses for p in layer.projections) * weight_bits // chip["synapse_memory"])
    for shape in _shapes(layer, chip, least):
        tile = filled(layer, shape, after, chip, weight_bits, shared=shared)
        if tile.over(chip, HARD):
            continue
        if shared or not tile.over(chip, SOFT):
            return tile
        fallback = fallback or tile
    return fallback


def _shapes(layer: Layer, chip: Chip, least: int) -> Iterator[Shape]:
    """Tile shapes by the number of cores they need: ``least`` or more, none with too many neurons."""
    sizes = [sorted({-(-size // parts) for parts in range(1, size + 1)}) for size in layer.shape]
    fitting = (shape for shape in product(*sizes) if prod(shape) <= chip["neurons"])
    counted = sorted((cores(layer.shape, shape), _unevenness(shape), shape) for shape in fitting)
    yield from (shape for count, _, shape in counted if count >= least)


def _unevenness(shape: Shape) -> tuple[int, int]:
    """Among tiles of equal number, prefer many channels, whose inputs are the same, and square windows."""
    space = shape[1:]
    return (sum(space), -shape[0])


def cores(shape: Shape, tile: Shape) -> int:
    """How many tiles cover a layer."""
    return prod(-(-size // part) for size, part in zip(shape, tile, strict=True))


def filled(
    layer: Layer, shape: Shape, after: list[tuple[Projection, Tile]], chip: Chip, weight_bits: int, *, shared: bool
) -> Tile:
    """What a tile of some shape takes of every limit."""
    neurons = prod(shape)
    bits, axons = neurons * chip["neuron_state"], 0
    for projection in layer.projections:
        more, reached = _synapses(projection, shape, chip, weight_bits, shared=shared)
        bits += more
        axons += reached
    sent = neurons * sum(destinations(projection, tile) for projection, tile in after)
    used = {"neurons": neurons, "synapse_memory": bits, "input_axons": axons, "output_axons": sent}
    return Tile(shape, cores(layer.shape, shape), used)


def _synapses(projection: Projection, tile: Shape, chip: Chip, weight_bits: int, *, shared: bool) -> tuple[int, int]:
    """Bits of the synapse lists that a tile needs, and the input axons that lead to them.

    nengo-loihi 1.1.0, block.py: a list of n synapses takes n * weight bits and a header, padded to words, and is split
    every 64 synapses. With ``shared`` lists the channels at one position come by one population axon.
    """
    most = (0, 0)
    for outputs, groups in channel_parts(projection.outputs, projection.groups, tile[0]):
        lengths, times, reached = outputs, groups * projection.inputs, 1
        for axis, part in zip(projection.axes, tile[1:], strict=False):
            kinds, counts, inputs = lists(axis, part, shared=shared)
            lengths, times = np.outer(lengths, kinds).ravel(), np.outer(times, counts).ravel()
            reached *= inputs
        bits = int((times * _list_bits(lengths, chip, weight_bits)).sum())
        channels = int(groups.sum()) * projection.inputs
        most = (max(most[0], bits), max(most[1], channels * reached))
    axons = most[1] * projection.area * len(projection.senders)
    return most[0], -(-axons // projection.population) if shared else axons


@cache
def channel_parts(outputs: int, groups: int, tile: int) -> list[tuple[Counts, Counts]]:
    """For each different tile of output channels: how many of a group's outputs it holds, and of how many groups."""
    parts = {}
    for start in range(0, outputs * groups, tile):
        channels = np.arange(start, min(start + tile, outputs * groups)) // outputs
        sizes, times = np.unique(np.unique(channels, return_counts=True)[1], return_counts=True)
        parts[tuple(sizes.tolist()), tuple(times.tolist())] = (sizes, times)
    return list(parts.values())


def _list_bits(lengths: Counts, chip: Chip, weight_bits: int) -> Counts:
    """Bits of lists of some lengths, split and padded."""
    most, header = chip["list_synapses"], chip["list_header"]
    full, rest = np.divmod(lengths, most)

    def padded(synapses: Counts) -> Counts:
        return -(-(synapses * weight_bits + header) // WORD) * WORD

    return np.asarray(full * padded(np.asarray(most)) + np.where(rest > 0, padded(rest), 0))


def destinations(projection: Projection, tile: Tile) -> int:
    """Cores that a neuron's spike is sent to, at most."""
    count = -(-min(projection.outputs, projection.groups * projection.outputs) // tile.shape[0])
    if projection.outputs % tile.shape[0] and projection.groups > 1:
        count += 1  # a group that does not start with a tile
    for axis, part in zip(projection.axes, tile.shape[1:], strict=False):
        count *= spread(axis, part)
    return count
