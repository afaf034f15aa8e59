"""The way in and out of the loops: channels last where the loops compute, channels first where others read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeport.engine.cpu.moves import clear
from spikeport.engine.cpu.structures import Bytes, Floats, Whole
from spikeport.engine.cpu.tally import FULL
from spikeport.engine.cpu.vectors import FEW, LINE, TURNED, turn_bytes, turn_few
from spikeport.engine.neuron import as_torch, flat
from spikeport.graph import Array
from spikeport.machine import compiled
from spikeport.threads import over_parts

TILE = LINE  #: places that are turned together
SMALL = 1 << 16  #: values that are copied sooner than a loop is called for each step


def whole_numbers(frames: Array, unit: float, dtype: torch.dtype) -> Tensor:
    """``round(frames / unit)`` [T, B, *input], ties to even, computed in float64; laid out with the channels last."""
    shape, kind = frames.shape, np.dtype(str(dtype).removeprefix("torch."))
    whole, channels = unit == 1 and frames.dtype.kind in "iub", shape[2] if len(shape) > 3 else 1
    if whole or frames.dtype not in (np.float32, np.float64):
        frames = frames.astype(kind if whole else np.float64, copy=False)
    if whole and channels == 1:
        return as_torch(frames).reshape(shape)
    if frames.flags.c_contiguous or frames.size <= SMALL:  # all steps at once
        frames = np.ascontiguousarray(frames).reshape(1, shape[0] * shape[1], *shape[2:])
    steps = [np.ascontiguousarray(frame).reshape(len(frame), channels, -1) for frame in frames]
    out = np.empty((*frames.shape[:2], steps[0].shape[2], channels), kind)

    def part(begin: int, end: int) -> None:
        for frame, into in zip(steps, out, strict=True):
            if whole:
                turn(frame, into, begin, end)
            else:
                enter(frame, unit, into, begin, end)

    over_parts(part, frames.shape[1], step=1, weight=out[:, 0].size)
    value = torch.from_numpy(out)
    return value.reshape(*shape[:2], *shape[3:], channels).movedim(-1, 2) if len(shape) > 3 else value.reshape(shape)


def over_time(spikes: Tensor, into: Array) -> None:
    """Spikes [T, B, *neurons] summed over time, in int64, to ``into`` [B, *neurons]."""
    if spikes.dtype not in (torch.bool, torch.uint8):
        into[:] = spikes.sum(0, dtype=torch.int64).numpy()
        return
    if len(spikes) > FULL:  # more than a byte counts
        into[:], some = 0, np.empty_like(into)
        for steps in torch.split(spikes, FULL):
            over_time(steps, some)
            into += some
        return
    channels = spikes.shape[2]
    values = flat(spikes.to(torch.uint8)).reshape(*spikes.shape[:2], -1, channels)
    out = into.reshape(len(into), channels, -1)  # a view: a block of samples lies in one piece

    def part(begin: int, end: int) -> None:
        total, turned = np.empty((TILE, channels), np.uint8), np.empty((channels, values.shape[2]), np.uint8)
        count(values, out, total, turned, begin, end)

    over_parts(part, len(out), step=1, weight=values[:, 0].size)


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
                # whole stretches of few channels at a time
                for first in range(tile, min(tile + 4 * LINE, lines), LINE):
                    start, to = (n * channels + c) * places + first, (n * places + first) * channels + c
                    turn_bytes(x, start, places, out, to, channels)
        for first in range(0, places, TILE):
            for p in range(first, min(first + TILE, places)):
                for c in range(turned if first < lines else 0, channels):
                    out[n, p, c] = x[n, c, p]


@compiled
def count(spikes: Bytes, out: Whole, total: Bytes, turned: Bytes, begin: int, end: int) -> None:
    """Spikes over time, ``out[b, c, p]`` from ``spikes[t, b, p, c]``, of samples ``begin`` ... ``end - 1``.

    ``total`` [tile, channels] and ``turned`` [channels, places] are what it works in.

    Summed in bytes (at most `tally.FULL` steps) and turned as bytes, then made wide in the order of memory.
    """
    steps, places, channels = spikes.shape[0], spikes.shape[2], spikes.shape[3]
    lines, sums = channels // LINE * LINE, total.reshape(-1)
    for b in range(begin, end):
        for first in range(0, places, TILE):
            n = min(TILE, places - first)
            clear(sums)
            for t in range(steps):
                fired = spikes[t, b].reshape(-1)[first * channels : (first + n) * channels]
                for k in range(len(fired)):
                    sums[k] += fired[k]
            whole = lines if n == TILE else 0
            for c in range(0, whole, LINE):
                for p in range(0, TILE, TURNED):
                    turn_bytes(total, p * channels + c, channels, turned, c * places + first + p, places)
            few = channels if n == TILE and channels >= FEW else whole
            for c in range(whole, few, FEW):
                here = min(c, channels - FEW)  # the last may turn some again
                for p in range(0, TILE, TURNED):
                    turn_few(total, p * channels + here, channels, turned, here * places + first + p, places)
            for c in range(few, channels):
                for p in range(n):
                    turned[c, first + p] = total[p, c]
        row, all_ = out[b].reshape(-1), turned.reshape(-1)
        for k in range(len(row)):
            row[k] = all_[k]
