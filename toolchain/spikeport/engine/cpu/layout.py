"""The way in and out of the loops: channels last where the loops compute, channels first where others read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport.engine.cpu.kernels import Bytes, Floats
from spikeport.engine.cpu.vectors import LINE, TURNED, turn_bytes
from spikeport.machine import compiled

TILE = LINE  #: places that are turned together


@compiled
def enter(x: Floats, unit: float, out: NDArray[Any], begin: int, end: int) -> None:
    """``out[n, p, c] = round(x[n, c, p] / unit)``, ties to even, in float64, for maps ``begin`` ... ``end - 1``.

    The turn from channels first to channels last goes in tiles, so that both sides stay in the cache.
    """
    channels, places = x.shape[1], x.shape[2]
    for n in range(begin, end):
        for first in range(0, places, TILE):
            last = min(first + TILE, places)
            for c in range(channels):
                for p in range(first, last):
                    out[n, p, c] = np.rint(np.float64(x[n, c, p]) / unit)


@compiled
def turn(x: Any, out: Any, begin: int, end: int) -> None:
    """``out[n, p, c] = x[n, c, p]``, of bytes or any other whole numbers, for maps ``begin`` ... ``end - 1``."""
    channels, places = x.shape[1], x.shape[2]
    bytes_ = x.itemsize == 1 and out.itemsize == 1
    turned = channels // TURNED * TURNED if bytes_ else 0
    lines = places // LINE * LINE if bytes_ else 0
    for n in range(begin, end):
        for tile in range(0, lines, 4 * LINE):
            for c in range(0, turned, TURNED):
                for first in range(
                    tile, min(tile + 4 * LINE, lines), LINE
                ):  # whole stretches of few channels at a time
                    start, to = (n * channels + c) * places + first, (n * places + first) * channels + c
                    turn_bytes(x, start, places, out, to, channels)
        for first in range(0, places, TILE):
            for p in range(first, min(first + TILE, places)):
                for c in range(turned if first < lines else 0, channels):
                    out[n, p, c] = x[n, c, p]


@compiled
def count(spikes: Bytes, out: NDArray[np.int64], begin: int, end: int) -> None:
    """Spikes over time, ``out[b, c, p]`` from ``spikes[t, b, p, c]``, of samples ``begin`` ... ``end - 1``.

    Summed in bytes (at most `kernels.FULL` steps) and turned as bytes, then made wide in the order of memory.
    """
    steps, places, channels = spikes.shape[0], spikes.shape[2], spikes.shape[3]
    total, turned = np.zeros((TILE, channels), np.uint8), np.empty((channels, places), np.uint8)
    lines, sums = channels // LINE * LINE, total.reshape(-1)
    for b in range(begin, end):
        for first in range(0, places, TILE):
            n = min(TILE, places - first)
            sums[:] = 0
            for t in range(steps):
                fired = spikes[t, b].reshape(-1)[first * channels : (first + n) * channels]
                for k in range(len(fired)):
                    sums[k] += fired[k]
            whole = lines if n == TILE else 0
            for c in range(0, whole, LINE):
                for p in range(0, TILE, TURNED):
                    turn_bytes(total, p * channels + c, channels, turned, c * places + first + p, places)
            for c in range(whole, channels):
                for p in range(n):
                    turned[c, first + p] = total[p, c]
        row, all_ = out[b].reshape(-1), turned.reshape(-1)
        for k in range(len(row)):
            row[k] = all_[k]
