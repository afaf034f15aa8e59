"""Means and variances over a layer, reduced on the card: of what tdBN normalises, and of membranes.

Each tile leaves the number of its values, their sum, and the sum of squares around its own mean; `merge` adds tiles up
in float64 as Chan, Golub and LeVeque do (1979), so that nothing is lost to the difference of large sums.
"""

from __future__ import annotations

import triton.language as tl
from triton import jit

PARTS = tl.constexpr(3)  #: number, sum, sum of squares around the tile's mean


@jit
def tile_of(channels, bm: tl.constexpr, bc: tl.constexpr):
    """Of this program its tile among those of the channels and among those of the places, its places [bm], its channels
    [bc], and where their values lie. One axis of programs, since the others end at 65,535.
    """
    tiles = tl.cdiv(channels, bc)
    across, down = tl.program_id(0) % tiles, tl.program_id(0) // tiles
    m, c = down * bm + tl.arange(0, bm), across * bc + tl.arange(0, bc)
    return across, down, m, c, m.to(tl.int64)[:, None] * channels + c[None, :]


@jit
def leave(part, tile, columns, c, known, value, live, number, by_channel: tl.constexpr):
    """Leave the three numbers of a tile [bm, bc] in row ``tile`` of ``part`` [tiles, PARTS, columns].

    ``by_channel``: of each channel ``c``; else of the whole tile, in column 0.
    """
    value = tl.where(live, value, 0)
    if by_channel:
        count = tl.sum(live.to(tl.float32), 0)
        total = tl.sum(value, 0)
        apart = tl.where(live, value - (total / tl.maximum(count, 1)).to(number)[None, :], 0)
        at = part + tile * PARTS * columns + c
        tl.store(at, count, mask=known)
        tl.store(at + columns, total, mask=known)
        tl.store(at + 2 * columns, tl.sum(apart * apart, 0), mask=known)
    else:
        count = tl.sum(live.to(tl.float32))
        total = tl.sum(value)
        apart = tl.where(live, value - (total / tl.maximum(count, 1)).to(number), 0)
        at = part + tile * PARTS
        tl.store(at, count)
        tl.store(at + 1, total)
        tl.store(at + 2, tl.sum(apart * apart))


@jit
def moments(x, part, size, channels, bm: tl.constexpr, bc: tl.constexpr):
    """The parts of ``x`` [M = size, channels], of each channel."""
    _, down, m, c, at = tile_of(channels, bm, bc)
    live = (m < size)[:, None] & (c < channels)[None, :]
    number = part.dtype.element_ty
    value = tl.load(x + at, mask=live, other=0).to(number)
    leave(part, down, channels, c, c < channels, value, live, number, True)


@jit
def merge(part, out, tiles, columns, bt: tl.constexpr, bc: tl.constexpr):
    """Number, mean, and sum of squares around it of each column, float64 ``out`` [PARTS, columns], over all tiles."""
    c = tl.program_id(0) * bc + tl.arange(0, bc)
    known = c < columns
    count = tl.zeros((bc,), dtype=tl.float64)
    total = tl.zeros((bc,), dtype=tl.float64)
    for first in range(0, tiles, bt):
        tile = first + tl.arange(0, bt)
        at = part + tile[:, None] * PARTS * columns + c[None, :]
        mask = (tile < tiles)[:, None] & known[None, :]
        count += tl.sum(tl.load(at, mask=mask, other=0).to(tl.float64), 0)
        total += tl.sum(tl.load(at + columns, mask=mask, other=0).to(tl.float64), 0)
    mean = total / tl.maximum(count, 1)
    squares = tl.zeros((bc,), dtype=tl.float64)
    for first in range(0, tiles, bt):
        tile = first + tl.arange(0, bt)
        at = part + tile[:, None] * PARTS * columns + c[None, :]
        mask = (tile < tiles)[:, None] & known[None, :]
        number = tl.load(at, mask=mask, other=0).to(tl.float64)
        apart = tl.load(at + columns, mask=mask, other=0).to(tl.float64) / tl.maximum(number, 1) - mean[None, :]
        own = tl.load(at + 2 * columns, mask=mask, other=0).to(tl.float64)
        squares += tl.sum(own + number * apart * apart, 0)
    tl.store(out + c, count, mask=known)
    tl.store(out + columns + c, mean, mask=known)
    tl.store(out + 2 * columns + c, squares, mask=known)
