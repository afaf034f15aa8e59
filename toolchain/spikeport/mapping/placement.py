"""Where the cores of each layer lie on the mesh, and which cores each neuron's spikes are sent to."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spikeport.graph import Graph, Shape
from spikeport.mapping.chip import Chip, Mesh
from spikeport.mapping.fit import Fit
from spikeport.mapping.layers import Axis, Layer, Projection, spread_to

Cores = NDArray[np.int64]


@dataclass(frozen=True)
class Mapping:
    """A greedy placement: layers in the order of the graph take cores along a snake through the tiles of each chip.

    Neighbouring layers so lie near each other. Cost: the mesh hops that messages take (`traffic`). Chips stand side by
    side; a hop between chips counts as one east-west hop, since what it costs is not published. Input enters at core 0.
    """

    graph: Graph
    fit: Fit

    @property
    def chip(self) -> Chip:
        """The chip."""
        return self.fit.chip

    @cached_property
    def first(self) -> Map[str, int]:
        """The first core of each layer; its others follow."""
        starts, next_core = {}, 0
        for name, layer in self.fit.layers.items():
            starts[name] = next_core
            next_core += layer.tile.cores
        return starts

    def core_of(self, name: str) -> Cores:
        """[*shape]: the core of each neuron of a layer, or of each value of the input (all at core 0)."""
        if name not in self.fit.layers:
            return np.zeros(self.graph.shapes[name], dtype=np.int64)
        layer = self.fit.layers[name]
        shape, tile = layer.layer.shape, layer.tile.shape
        index = np.zeros(shape, dtype=np.int64)
        for axis, (size, part) in enumerate(zip(shape, tile, strict=True)):
            along = (np.arange(size) // part).reshape((-1,) + (1,) * (len(shape) - axis - 1))
            index = index * -(-size // part) + along
        return index + self.first[name]

    def position(self, core: Cores) -> tuple[Cores, Cores]:
        """Column and row of the tile of each core."""
        return position(core, self.chip.mesh, self.chip["cores"])

    def destinations(self, source: str, target: str) -> NDArray[np.bool_]:
        """[*source shape, cores of target]: whether a spike of each source neuron is sent to each core of a layer."""
        shape = self.graph.shapes[source]
        into = self.fit.layers[target]
        reached = np.zeros((*shape, into.tile.cores), dtype=bool)
        for projection in into.layer.projections:
            if source in projection.senders:
                reached |= _reached(projection, shape, into.layer, into.tile.shape)
        return reached


def position(core: Cores, mesh: Mesh, cores_per_chip: int) -> tuple[Cores, Cores]:
    """Tiles are filled along a snake, column by column; chips follow each other to the east."""
    chip, rest = np.divmod(core, min(cores_per_chip, mesh.columns * mesh.rows * mesh.cores_per_tile))
    column, row = np.divmod(rest // mesh.cores_per_tile, mesh.rows)
    row = np.where(column % 2 == 0, row, mesh.rows - 1 - row)
    return column + chip * mesh.columns, row


def _reached(projection: Projection, shape: Shape, layer: Layer, tile: Shape) -> NDArray[np.bool_]:
    """[*source shape, cores]: the product of what is reached along channels and along each axis."""
    tiles = [-(-size // part) for size, part in zip(layer.shape, tile, strict=True)]
    channels = int(shape[0])
    if not projection.axes and projection.groups == 1:  # a matrix
        return np.ones((*shape, tiles[0]), dtype=bool)
    group = np.arange(channels) // projection.inputs
    first, last = group * projection.outputs // tile[0], ((group + 1) * projection.outputs - 1) // tile[0]
    index = np.arange(tiles[0])
    inside = (index >= first[:, None]) & (index <= last[:, None])
    for axis, (along, part) in enumerate(zip(projection.axes, tile[1:], strict=True)):
        near = spread_to(along, part)
        if projection.before:
            near = _positions(projection.before[axis]) @ near
        inside = _outer(inside, near)
    space = len(projection.axes)
    order = [*range(0, 2 * space + 2, 2), *range(1, 2 * space + 2, 2)]
    return inside.transpose(order).reshape(*shape, -1)


def _outer(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(a[..., None, None] & b)


def _positions(pool: Axis) -> NDArray[np.bool_]:
    """[neurons, windows] of a pool along one axis."""
    return spread_to(pool, 1)
