"""The loops of `winograd`, compiled by numba: a block of tiles at a time, so that what it becomes stays in the caches.

Maps are in memory [N, H, W, C], channels fastest; tile t is number ``t % (down * across)`` of map ``t // ...``. What a
block becomes is 16 matrices of tiles x channels, each of them in panels (see `lanes`): [16, C / lanes, block, lanes].
Maps and weights come as the addresses of their first number: `lanes.two_sided` reads and writes at addresses, so that
places beyond a border are read from zeros, and written where nobody reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.machine import compiled
from spikeport.train.lanes import LANES, PANELS, ROWS, products, two_sided

SQUARE = 8  #: side of the squares that are transposed

_jit = compiled(error_model="numpy", boundscheck=False)

# F(2x2, 3x3), Lavin & Gray 2016, eq. 8: Y = A^T [(G g G^T) * (B^T d B)] A
B_T = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
G = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
A_T = ((1, 1, 1, 0), (0, 1, -1, -1))

_of_input, _of_output, _of_kernel = two_sided(B_T), two_sided(A_T), two_sided(G)
_to_output, _to_kernel = two_sided(tuple(zip(*A_T, strict=True))), two_sided(tuple(zip(*G, strict=True)))
_product = products(along=True, onto=False)
_first_sum, _further_sum = products(along=False, onto=False), products(along=False, onto=True)


@_jit  # type: ignore[untyped-decorator]
def _window(places: Any, base: int, size: Any, grid: Any, tile: int, side: int, first: int, outside: int) -> None:
    """Addresses of ``side`` x ``side`` pixels of a tile whose corner is (2 i + first, 2 j + first).

    ``size`` is rows, columns and bytes of a pixel; ``grid`` the tiles of a map, down and across.
    """
    height, width, pixel = size
    n, within = tile // (grid[0] * grid[1]), tile % (grid[0] * grid[1])
    top, left = 2 * (within // grid[1]) + first, 2 * (within % grid[1]) + first
    for a in range(side):
        for b in range(side):
            y, x = top + a, left + b
            inside = 0 <= y < height and 0 <= x < width
            places[a * side + b] = base + ((n * height + y) * width + x) * pixel if inside else outside


@_jit  # type: ignore[untyped-decorator]
def _planes(places: Any, base: int, apart: int) -> None:
    """Addresses ``apart`` bytes from each other."""
    for i in range(len(places)):
        places[i] = base + i * apart


@_jit  # type: ignore[untyped-decorator]
def convolve(
    x: int, kernel: Any, y: int, size: Any, out: Any, grid: Any, padding: int, v: Any, m: Any, spare: Any, block: int,
    begin: int, end: int,
) -> None:  # fmt: skip
    """The tiles begin ... end - 1 of a convolution: y [N, *out] of x [N, *size] and the transformed ``kernel``.

    ``kernel`` [16, K / lanes, C, lanes]; ``v`` and ``m`` are room for 16 * block * C and 16 * block * K numbers;
    ``spare`` has two rows of as many numbers as the longer pixel, the first zeros.
    """
    lanes = LANES // v.itemsize
    width, leaving = size[2] // LANES, out[2] // LANES  # panels
    pixels, planes = np.empty(16, np.int64), np.empty(16, np.int64)
    zeros, unread = spare[0].ctypes.data, spare[1].ctypes.data
    row, panel = LANES, block * LANES
    for start in range(begin, end, block):
        tiles = min(block, end - start)
        for t in range(tiles):
            _window(pixels, x, size, grid, start + t, 4, -padding, zeros)
            _planes(planes, v.ctypes.data + t * row, width * panel)
            for c in range(width):
                _of_input(v, pixels, c * LANES, planes, c * panel)
        apart = block * lanes
        for i in range(16):
            for k in range(0, leaving, PANELS):
                for t in range(0, tiles, ROWS):
                    _product(
                        v, i * width * apart + t * lanes, apart,
                        kernel, (i * leaving + k) * width * lanes * lanes, width * lanes * lanes,
                        m, (i * leaving + k) * apart + t * lanes, apart, width,
                    )  # fmt: skip
        for t in range(tiles):
            _window(pixels, y, out, grid, start + t, 2, 0, unread)
            _planes(planes, m.ctypes.data + t * row, leaving * panel)
            for k in range(leaving):
                _of_output(m, planes, k * panel, pixels, k * LANES)


@_jit  # type: ignore[untyped-decorator]
def correlate(
    x: int, g: int, sums: Any, size: Any, out: Any, grid: Any, padding: int, v: Any, z: Any, spare: Any, block: int,
    tiles: int, entering: Any, leaving: Any,
) -> None:  # fmt: skip
    """The gradient of the transformed kernel, ``sums`` [16, C / lanes, K, lanes], for some panels (begin, end) of each.

    The adjoint of `convolve` for its kernel: sum over all tiles of (A g A^T) * (B^T d B), g the gradient of a tile's
    output. ``v`` and ``z`` are room for 16 * block rows of those panels.
    """
    lanes = LANES // v.itemsize
    first, width, below = entering[0], entering[1] - entering[0], leaving[0]
    height, all_in, all_out = leaving[1] - below, size[2] // LANES, out[2] // v.itemsize
    pixels, planes = np.empty(16, np.int64), np.empty(16, np.int64)
    zeros = spare[0].ctypes.data
    row, panel, apart = LANES, block * LANES, block * lanes
    for start in range(0, tiles, block):
        count = min(block, tiles - start)
        for t in range(count):
            _window(pixels, x, size, grid, start + t, 4, -padding, zeros)
            _planes(planes, v.ctypes.data + t * row, width * panel)
            for c in range(width):
                _of_input(v, pixels, (first + c) * LANES, planes, c * panel)
            _window(pixels, g, out, grid, start + t, 2, 0, zeros)
            _planes(planes, z.ctypes.data + t * row, height * panel)
            for k in range(height):
                _to_output(z, pixels, (below + k) * LANES, planes, k * panel)
        for i in range(16):
            for c in range(0, width, PANELS):
                v_at = (i * width + c) * apart
                for k in range(0, height * lanes, ROWS):
                    z_at = (i * height + k // lanes) * apart + k % lanes
                    at = ((i * all_in + first + c) * all_out + below * lanes + k) * lanes
                    if start == 0:
                        _first_sum(z, z_at, 0, v, v_at, apart, sums, at, all_out * lanes, count)
                    else:
                        _further_sum(z, z_at, 0, v, v_at, apart, sums, at, all_out * lanes, count)


@_jit  # type: ignore[untyped-decorator]
def transpose(matrix: Any, out: Any, begin: int, end: int) -> None:
    """The rows begin ... end - 1 of ``out`` become those columns of ``matrix``, square by square: so caches serve."""
    for first in range(begin, end, SQUARE):
        for left in range(0, out.shape[1], SQUARE):
            for i in range(first, min(first + SQUARE, end)):
                for j in range(left, min(left + SQUARE, out.shape[1])):
                    out[i, j] = matrix[j, i]


@_jit  # type: ignore[untyped-decorator]
def kernel_in(w: int, kernel: Any, strides: Any, rotated: bool, panels: int, begin: int, end: int) -> None:
    """G w G^T as [16, panels, rows, lanes], for the rows begin ... end - 1 of ``kernel`` [16, panels * rows * lanes].

    ``strides`` are the bytes of w from row to row and from tap to tap; columns are neighbours. ``rotated``: w by half
    a turn.
    """
    taps, planes = np.empty(9, np.int64), np.empty(16, np.int64)
    panel = kernel.shape[1] // panels * kernel.itemsize
    for r in range(begin, end):
        for tap in range(9):
            taps[8 - tap if rotated else tap] = w + r * strides[0] + tap * strides[1]
        _planes(planes, kernel.ctypes.data + r * LANES, panels * panel)
        for c in range(panels):
            _of_kernel(kernel, taps, c * LANES, planes, c * panel)


@_jit  # type: ignore[untyped-decorator]
def kernel_out(sums: Any, w: int, strides: Any, panels: int, begin: int, end: int) -> None:
    """The adjoint of `kernel_in`: w = G^T sums G, for the rows begin ... end - 1."""
    taps, planes = np.empty(9, np.int64), np.empty(16, np.int64)
    panel = sums.shape[1] // panels * sums.itemsize
    for r in range(begin, end):
        _planes(taps, w + r * strides[0], strides[1])
        _planes(planes, sums.ctypes.data + r * LANES, panels * panel)
        for c in range(panels):
            _to_kernel(sums, planes, c * panel, taps, c * LANES)
