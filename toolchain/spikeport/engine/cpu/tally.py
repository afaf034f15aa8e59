"""What the inputs of a synapse reach, counted: bytes summed in 8 and 16 bits, many channels an instruction."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from spikeport.engine.cpu.moves import clear
from spikeport.engine.cpu.structures import Bytes, Whole
from spikeport.engine.cpu.vectors import LINE, add_lines
from spikeport.engine.neuron import flat
from spikeport.machine import compiled, part
from spikeport.threads import over_parts

FULL = 255  #: ones that a byte can count, and bytes that 16 bits can sum


def reached(x: Tensor, kinds: Whole, table: Whole, *, spikes: bool) -> Whole:
    """Of inputs ``x`` [T, B, *shape] in bytes those not zero, those not of size one, and sizes: [3, T, 3].

    Each times the three weights of ``table`` [3, kinds, channels], where ``kinds`` [places] says of which kind a place
    is. ``spikes``: whether there is nothing but zeros and ones.
    """
    values, loop = flat(x).reshape(*x.shape[:2], len(kinds), -1), tally_spikes if spikes else tally
    weight = values[:, :1].size // 8  # bytes are counted about eight times as fast as numbers

    def counted(begin: int, end: int) -> Whole:
        counts = np.zeros((3, len(values), 3), np.int64)
        loop(values, kinds, table, _sums(*table.shape[1:]), counts, begin, end)
        return counts

    counts: Whole = functools.reduce(np.add, over_parts(counted, values.shape[1], step=1, weight=weight))
    return counts


class Sums(NamedTuple):
    """What a loop counts in, all zero to begin with."""

    nonzero: Bytes  #: [kinds, channels]
    graded: Bytes
    total: Any  #: uint16
    by_kind: Whole  #: the three, carried over: [3, kinds, channels]
    filled: Whole  #: ones that `nonzero` has counted, [kinds]


def _sums(kinds: int, channels: int) -> Sums:
    bytes_, shape = np.zeros((2, kinds, channels), np.uint8), (kinds, channels)
    return Sums(
        bytes_[0], bytes_[1], np.zeros(shape, np.uint16), np.zeros((3, *shape), np.int64), np.zeros(kinds, np.int64)
    )


@part
def _carry(part: Any, counts: Whole) -> None:
    """``counts += part``, [kinds, channels], which numba takes seconds to compile as it stands there."""
    for k in range(part.shape[0]):
        for c in range(part.shape[1]):
            counts[k, c] += part[k, c]


@part
def _weighed(counts: Whole, weights: Whole) -> int:
    """The sum of their products."""
    total: Any = 0
    for k in range(counts.shape[0]):
        for c in range(counts.shape[1]):
            total += counts[k, c] * weights[k, c]
    return int(total)


@compiled
def tally(x: Bytes, kinds: Whole, table: Whole, sums: Sums, counts: Whole, begin: int, end: int) -> None:
    """`reached` for samples ``begin`` ... ``end - 1`` of ``x`` [T, B, places, channels], to ``counts`` [3, T, 3].

    Sums are carried over before they are full.
    """
    steps, channels = x.shape[0], x.shape[3]
    nonzero, graded, total, by_kind, _ = sums
    for t in range(steps):
        filled = 0
        clear(by_kind)
        for b in range(begin, end):
            for p in range(x.shape[2]):
                row, k = x[t, b, p], kinds[p]
                for c in range(channels):
                    nonzero[k, c] += np.uint8(row[c] != 0)
                    graded[k, c] += np.uint8(row[c] > 1)
                    total[k, c] += row[c]
                filled += 1
                if filled == FULL or (b == end - 1 and p == x.shape[2] - 1):
                    _carry(nonzero, by_kind[0])
                    _carry(graded, by_kind[1])
                    _carry(total, by_kind[2])
                    clear(nonzero)
                    clear(graded)
                    clear(total)
                    filled = 0
        for what in range(3):
            for column in range(3):
                counts[what, t, column] = _weighed(by_kind[what], table[column])


@compiled
def tally_spikes(x: Bytes, kinds: Whole, table: Whole, memory: Sums, counts: Whole, begin: int, end: int) -> None:
    """`tally` of zeros and ones, of which none is graded; places side by side of one kind are added as vectors."""
    steps, places, channels = x.shape[0], x.shape[2], x.shape[3]
    lines, values = channels // LINE * LINE, x.reshape(-1)
    sums, by_kind, filled = memory.nonzero, memory.by_kind[0], memory.filled
    for t in range(steps):
        for b in range(begin, end):
            p = 0
            while p < places:
                k, n = kinds[p], 1
                while p + n < places and n < FULL and kinds[p + n] == k:
                    n += 1
                if filled[k] + n > FULL:
                    _carry(sums[k : k + 1], by_kind[k : k + 1])
                    clear(sums[k])
                    filled[k] = 0
                first = ((t * x.shape[1] + b) * places + p) * channels
                for c in range(0, lines, LINE):
                    add_lines(sums, k * channels + c, values, first + c, channels, n)
                for i in range(n if lines < channels else 0):
                    for c in range(lines, channels):
                        sums[k, c] += values[first + i * channels + c]
                filled[k] += n
                p += n
        _carry(sums, by_kind)
        for column in range(3):
            counts[0, t, column] = counts[2, t, column] = _weighed(by_kind, table[column])
        clear(by_kind)
        clear(sums)
        clear(filled)
