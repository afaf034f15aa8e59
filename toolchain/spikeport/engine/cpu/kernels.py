"""The compiled loops: all steps of a neuron layer in one pass, and event counts in another.

Values lie flat, [T, N] with N = batch x neurons. A loop takes blocks of `BLOCK` neurons whose state stays in the first
cache while the steps pass: currents are read once, spikes written once. Parameters repeat with a period that the caller
chooses (one row of channels, or all neurons of a layer). All arithmetic is that of `neuron.real` and `neuron.loihi`, to
the bit: floating point in the same order without contraction, integers in 32 bits under the bounds of `fused.fits`.

32 bits suffice for ``trunc(v * d / 4096)``: with ``|v| = 4096 h + l`` it is ``sign(v) * (h d + (l d >> 12))``, where
``h d <= |v|`` and ``l d < 2**24``, since d <= 4096.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeport.engine.cpu.advance import advance
from spikeport.engine.cpu.vectors import LINE, UNIT, add_lines
from spikeport.machine import compiled

BLOCK = 2048  #: neurons that a loop keeps in the cache: 8 KiB of state
UNITS = (0, 0)
LANES = UNIT * len(UNITS)  #: neurons that take a step together
FULL = 255  #: ones that a byte can count, and bytes that 16 bits can sum
FIRED, SATURATED, WIDE, ACTIVE = range(4)  #: columns of the counts, [T, 4] int64; wide: what Lava wraps

Integers = NDArray[np.int32]
Floats = NDArray[Any]
Bytes = NDArray[np.uint8]


@compiled
def _active(x: Floats, v: Floats, bias: Floats) -> int:
    """Neurons that get an input, hold a membrane or have a bias."""
    count: Any = 0
    for i in range(bias.shape[0]):
        count += np.int32((x[i] != 0) | (v[i] != 0) | (bias[i] != 0))
    return int(count)


@compiled
def _copy(x: Any, at: int, out: Any, to: int, count: int) -> None:
    """``out[to : to + count] = x[at : at + count]``, which numba takes seconds to compile as it stands there."""
    for i in range(count):
        out[to + i] = x[at + i]


@compiled
def _carry(some: Any, counts: NDArray[np.int64]) -> None:
    """``counts += some``, [kinds, channels]; a loop for the same reason."""
    for k in range(some.shape[0]):
        for c in range(some.shape[1]):
            counts[k, c] += some[k, c]


@compiled
def loihi(
    x: Floats,  # [T or 1, N] sums, float32, int32 or int16
    numbers: tuple[int, int, int, int, int, int],  # int32: shifts left and right (the exponent), masks, top, watch
    decay: Integers,  # [period + LANES], as all that follow to reset_value
    leak: Integers | None,  # the current's decay, where there is a current
    bias: Integers,
    theta: Integers,  # [T, period + LANES], already in the membrane's scale
    reset_value: Integers,  # after a spike v = (u & first mask) - (theta & second mask) + reset_value
    spikes: Bytes,  # [T, N]
    after: Integers,  # [T, N], or [0, 0] where nobody asks
    state: Integers,  # [2, N] membrane and current between calls, or [0, 0]
    begin: int,
    end: int,
) -> NDArray[np.int64]:
    """Steps of the neurons ``begin`` ... ``end - 1`` in Loihi's integers; counts [T, 4]."""
    steps, period = spikes.shape[0], decay.shape[0] - LANES
    counts = np.zeros((steps, 4), np.int64)
    v, current = np.zeros(BLOCK, np.int32), np.zeros(BLOCK, np.int32)
    last, last_spikes = np.zeros(LANES, x.dtype), np.empty(LANES, np.uint8)
    a = begin
    while a < end:
        k = a % period
        n = min(BLOCK, period - k, end - a)
        filled = n // LANES * LANES
        if state.shape[0] > 0:
            _copy(state[0], a, v, 0, n)
            _copy(state[1], a, current, 0, n)
        else:
            v[:], current[:] = 0, 0
        for t in range(steps):
            xt, st, layer = x[min(t, x.shape[0] - 1)], spikes[t], (decay, leak, bias, theta[t], reset_value)
            for i in range(0, filled, LANES):
                found = advance(xt, (v, current), layer, st, (a + i, i, k + i, a + i), LANES, numbers, UNITS)
                for kind in range(4):
                    counts[t, kind] += found[kind]
            if filled < n:  # too few for a vector: by way of one that may be written beyond them
                _copy(xt, a + filled, last, 0, n - filled)
                places = (0, filled, k + filled, 0)
                found = advance(last, (v, current), layer, last_spikes, places, n - filled, numbers, UNITS)
                _copy(last_spikes, 0, st, a + filled, n - filled)
                for kind in range(4):
                    counts[t, kind] += found[kind]
            if after.shape[0] > 0:
                _copy(v, 0, after[t], a, n)
        if state.shape[0] > 0:
            _copy(v, 0, state[0], a, n)
            _copy(current, 0, state[1], a, n)
        a += n
    return counts


@compiled
def real(
    x: Floats,  # [T or 1, N]
    gain: Floats,
    decay: Floats,
    leak: Floats,  # [period] the current's decay, or [0] where there is no current
    bias: Floats,
    theta: Floats,  # [T, period]
    at_zero: bool,  # whether a membrane at its threshold fires
    subtract: bool,
    keep: bool,  # whether a membrane stays as it is after a spike
    reset_value: Floats,
    watch_active: bool,
    spikes: Bytes,  # [T, N]
    after: Floats,  # [T, N], or [0, 0] where nobody asks
    state: Floats,  # [2, N] membrane and current between calls, or [0, 0]
    begin: int,
    end: int,
) -> NDArray[np.int64]:
    """Steps of the neurons ``begin`` ... ``end - 1`` in floating point; counts [T, 4]."""
    steps, period = spikes.shape[0], decay.shape[0]
    counts = np.zeros((steps, 4), np.int64)
    v, current, arriving = np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype)
    a = begin
    while a < end:
        k = a % period
        n = min(BLOCK, period - k, end - a)
        if state.shape[0] > 0:
            v[:n], current[:n] = state[0, a : a + n], state[1, a : a + n]
        else:
            v[:], current[:] = 0, 0
        d, b, r, g = decay[k : k + n], bias[k : k + n], reset_value[k : k + n], gain[k : k + n]
        for t in range(steps):
            xt, st, th = x[min(t, x.shape[0] - 1), a : a + n], spikes[t, a : a + n], theta[t, k : k + n]
            counts[t, ACTIVE] += _active(xt, v, b) if watch_active else 0
            for i in range(n):
                arriving[i] = g[i] * xt[i]
            if leak.shape[0] > 0:
                c = leak[k : k + n]
                for i in range(n):
                    current[i] = c[i] * current[i] + arriving[i]
                    arriving[i] = current[i]
            fired: Any = 0
            for i in range(n):
                u = d[i] * v[i] + arriving[i] + b[i]
                spike = (u > th[i]) | (at_zero & (u == th[i]))
                lowered = u - th[i]
                reset_to = lowered if subtract else (u if keep else r[i])
                v[i] = reset_to if spike else u
                st[i] = spike
                fired += np.int32(spike)
            counts[t, FIRED] += fired
            if after.shape[0] > 0:
                after[t, a : a + n] = v[:n]
        if state.shape[0] > 0:
            state[0, a : a + n], state[1, a : a + n] = v[:n], current[:n]
        a += n
    return counts


@compiled
def _weighed(counts: NDArray[np.int64], weights: NDArray[np.int64]) -> int:
    """The sum of their products."""
    total: Any = 0
    for k in range(counts.shape[0]):
        for c in range(counts.shape[1]):
            total += counts[k, c] * weights[k, c]
    return int(total)


@compiled
def tally(
    x: Bytes,  # [T, B, places, channels]
    kinds: NDArray[np.int64],  # [places]
    table: NDArray[np.int64],  # [3, kinds, channels]
    begin: int,
    end: int,
) -> NDArray[np.int64]:
    """Of inputs ``x``, over samples ``begin`` ... ``end - 1``: those not zero, those not of size one, and sizes.

    Each times the three weights of ``table``: [3, T, 3]. Summed in 8 and 16 bits, many channels an instruction, and
    carried over before they are full.
    """
    steps, channels, number = x.shape[0], x.shape[3], table.shape[1]
    found = np.zeros((3, steps, 3), np.int64)
    counts = np.zeros((3, number, channels), np.int64)
    some, other = np.zeros((number, channels), np.uint8), np.zeros((number, channels), np.uint8)
    total = np.zeros((number, channels), np.uint16)
    for t in range(steps):
        filled = 0
        counts[:] = 0
        for b in range(begin, end):
            for p in range(x.shape[2]):
                row, k = x[t, b, p], kinds[p]
                for c in range(channels):
                    some[k, c] += np.uint8(row[c] != 0)
                    other[k, c] += np.uint8(row[c] > 1)
                    total[k, c] += row[c]
                filled += 1
                if filled == FULL or (b == end - 1 and p == x.shape[2] - 1):
                    _carry(some, counts[0])
                    _carry(other, counts[1])
                    _carry(total, counts[2])
                    some[:], other[:], total[:] = 0, 0, 0
                    filled = 0
        for what in range(3):
            for column in range(3):
                found[what, t, column] = _weighed(counts[what], table[column])
    return found


@compiled
def tally_spikes(
    x: Bytes, kinds: NDArray[np.int64], table: NDArray[np.int64], begin: int, end: int
) -> NDArray[np.int64]:
    """`tally` of zeros and ones, of which none is graded; places side by side of one kind are added as vectors."""
    steps, places, channels, number = x.shape[0], x.shape[2], x.shape[3], table.shape[1]
    lines, values = channels // LINE * LINE, x.reshape(-1)
    found = np.zeros((3, steps, 3), np.int64)
    counts, filled = np.zeros((number, channels), np.int64), np.zeros(number, np.int64)
    some = np.zeros((number, channels), np.uint8)
    for t in range(steps):
        for b in range(begin, end):
            p = 0
            while p < places:
                k, n = kinds[p], 1
                while p + n < places and n < FULL and kinds[p + n] == k:
                    n += 1
                if filled[k] + n > FULL:
                    _carry(some[k : k + 1], counts[k : k + 1])
                    some[k], filled[k] = 0, 0
                first = ((t * x.shape[1] + b) * places + p) * channels
                for c in range(0, lines, LINE):
                    add_lines(some, k * channels + c, values, first + c, channels, n)
                for i in range(n if lines < channels else 0):
                    for c in range(lines, channels):
                        some[k, c] += values[first + i * channels + c]
                filled[k] += n
                p += n
        _carry(some, counts)
        for column in range(3):
            found[0, t, column] = found[2, t, column] = _weighed(counts, table[column])
        counts[:], some[:], filled[:] = 0, 0, 0
    return found
