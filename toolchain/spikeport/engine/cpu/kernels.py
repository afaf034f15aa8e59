"""The compiled loops of the neurons: all steps of a layer in one pass.

Values lie flat, [T, N] with N = batch x neurons. A loop takes blocks of `BLOCK` neurons whose state stays in the first
cache while the steps pass: currents are read once, spikes written once. Parameters repeat with a period that the caller
chooses (one row of channels, or all neurons of a layer). All arithmetic is that of `neuron.real` and `neuron.loihi`, to
the bit: floating point in the same order without contraction, integers in 32 bits under the bounds of `integers.fits`.

32 bits suffice for ``trunc(v * d / 4096)``: with ``|v| = 4096 h + l`` it is ``sign(v) * (h d + (l d >> 12))``, where
``h d <= |v|`` and ``l d < 2**24``, since d <= 4096.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.engine.cpu.advance import advance
from spikeport.engine.cpu.moves import clear, copy
from spikeport.engine.cpu.structures import (
    ACTIVE,
    BEYOND,
    FIRED,
    SATURATED,
    WRAPPED,
    Block,
    Bytes,
    Constants,
    Floats,
    Integers,
    Parameters,
    Places,
    Rules,
    State,
    Whole,
)
from spikeport.machine import compiled, part
from spikeport.machine.llvm import EIGHT

BLOCK = 2048  #: neurons that a loop keeps in the cache: 8 KiB of state
UNITS = (0, 0)
ZERO, ONE = np.float32(0), np.float32(1)  # which leave a number in the type that it has
LANES = EIGHT * len(UNITS)  #: neurons that take a step together


def block(x: Floats, dtype: np.dtype[Any], least: int = 0) -> Block:
    """What a loop works in, for sums like ``x`` and parameters in ``dtype``, of ``least`` neurons or more at once."""
    whole, size = dtype.kind == "i", max(BLOCK, least)
    arriving = np.zeros(LANES if whole else size, x.dtype)
    return Block(np.empty(size, dtype), np.empty(size, dtype), arriving, np.empty(LANES if whole else 0, np.uint8))


@part
def active(x: Floats, v: Floats, bias: Floats) -> int:
    """Neurons that get an input, hold a membrane or have a bias."""
    count: Any = 0
    for i in range(bias.shape[0]):
        count += np.int32((x[i] != 0) | (v[i] != 0) | (bias[i] != 0))
    return int(count)


@part
def whole_step(
    sums: Integers,
    now: State,
    constants: Constants,
    layer: Parameters,  # of this step
    fires: Bytes,
    places: Places,  # of the first
    n: int,
    block: Block,
    counts: Whole,  # [5]: what is counted is added
) -> None:
    """One step of n neurons in Loihi's integers, side by side."""
    fired = saturated = beyond = busy = wrapped = 0
    at, own, k, place = places
    bare = constants.bare != 0
    few = Constants(
        constants.left, constants.right, constants.kept, constants.lost, None, None, constants.floats, None, None
    )
    filled = n // LANES * LANES
    if bare:
        for i in range(0, filled, LANES):
            here = Places(at + i, own + i, k + i, place + i)
            fired += advance(sums, now, layer, fires, here, LANES, few, UNITS).fired
    else:
        for i in range(0, filled, LANES):
            here = Places(at + i, own + i, k + i, place + i)
            counted = advance(sums, now, layer, fires, here, LANES, constants, UNITS)
            fired, saturated, beyond = fired + counted.fired, saturated + counted.saturated, beyond + counted.beyond
            busy, wrapped = busy + counted.active, wrapped + counted.wrapped
    if filled < n:  # too few for a vector: by way of one that may be written beyond them
        last, last_spikes, left = block.arriving, block.fires, n - filled
        copy(sums[at + filled : at + n], last)
        counted = advance(last, now, layer, last_spikes, Places(0, own + filled, k + filled, 0), left, constants, UNITS)
        copy(last_spikes[:left], fires[place + filled :])
        fired, saturated, beyond = fired + counted.fired, saturated + counted.saturated, beyond + counted.beyond
        busy, wrapped = busy + counted.active, wrapped + counted.wrapped
    counts[FIRED] += fired
    counts[SATURATED] += saturated
    counts[BEYOND] += beyond
    counts[ACTIVE] += busy
    counts[WRAPPED] += wrapped


@compiled
def loihi(
    x: Integers,  # [T or 1, N] sums; where the constants say so float32, seen as int32
    constants: Constants,
    layer: Parameters,  # of [period + LANES]: a vector may begin at the last
    spikes: Bytes,  # [T, N]
    after: Integers,  # [T, N], or [0, 0] where nobody asks
    state: Integers,  # [2, N] membrane and current between calls, or [0, 0]
    block: Block,
    counts: Whole,  # [T, 5]: what is counted is added
    begin: int,
    end: int,
) -> None:
    """Steps of the neurons ``begin`` ... ``end - 1`` in Loihi's integers."""
    decay, leak, bias, theta, reset_value, gain, low = layer
    steps, period = spikes.shape[0], decay.shape[0] - LANES
    v, current = block.membrane, block.current
    a = begin
    while a < end:
        k = a % period
        n = min(BLOCK, period - k, end - a)
        if state.shape[0] > 0:
            copy(state[0, a : a + n], v)
            copy(state[1, a : a + n], current)
        else:
            clear(v)
            clear(current)
        for t in range(steps):
            step = Parameters(decay, leak, bias, theta[t], reset_value, gain, low)
            sums, places = x[min(t, x.shape[0] - 1)], Places(a, 0, k, a)
            whole_step(sums, State(v, current), constants, step, spikes[t], places, n, block, counts[t])
            if after.shape[0] > 0:
                copy(v[:n], after[t, a:])
        if state.shape[0] > 0:
            copy(v[:n], state[0, a:])
            copy(current[:n], state[1, a:])
        a += n


@part
def step(
    sums: Floats,
    theta: Floats,
    rules: Rules,
    most: Any,  # `Rules.most`: what is None takes no branch, and none is compiled for it
    d: Floats,
    leak: Floats,  # [n], or [0] where there is no current
    b: Floats,
    r: Floats,
    g: Floats,
    low: Floats,  # [n], or [0] where membranes end nowhere
    v: Floats,
    current: Floats,
    arriving: Floats,
    fires: Bytes,
) -> int:
    """One step of n neurons in floating point, of which all are told; how often they fire."""
    n = fires.shape[0]
    for i in range(n):
        arriving[i] = g[i] * sums[i]
    if leak.shape[0] > 0:
        for i in range(n):
            current[i] = leak[i] * current[i] + arriving[i]
            arriving[i] = current[i]
    fired: Any = 0
    if most is None:
        for i in range(n):
            u = d[i] * v[i] + arriving[i] + b[i]
            spike = (u > theta[i]) | (rules.at_zero & (u == theta[i]))
            lowered = u - theta[i]
            reset_to = lowered if rules.subtract else (u if rules.stay else r[i])
            v[i] = reset_to if spike else u
            fires[i] = spike
            fired += np.int32(spike)
    else:
        for i in range(n):
            u = d[i] * v[i] + arriving[i] + b[i]
            ratio = u / theta[i]
            passed = np.floor(ratio) if rules.at_zero else np.ceil(ratio) - ONE
            times = min(max(passed, ZERO), most)
            lowered = u - times * theta[i]
            reset_to = lowered if rules.subtract else (u if rules.stay else r[i])
            v[i] = reset_to if times > ZERO else u
            fires[i] = np.int32(times)
            fired += np.int64(times)
    for i in range(low.shape[0]):
        v[i] = low[i] if v[i] < low[i] else v[i]
    return int(fired)


@compiled
def real(
    x: Floats,  # [T or 1, N]
    rules: Rules,
    layer: Parameters,
    spikes: Bytes,  # [T, N]
    after: Floats,  # [T, N], or [0, 0] where nobody asks
    state: Floats,  # [2, N] membrane and current between calls, or [0, 0]
    block: Block,
    counts: Whole,  # [T, 5]: what is counted is added
    begin: int,
    end: int,
) -> None:
    """Steps of the neurons ``begin`` ... ``end - 1`` in floating point."""
    steps, period = spikes.shape[0], layer.decay.shape[0]
    v, current, arriving, _ = block
    a = begin
    while a < end:
        k = a % period
        n = min(BLOCK, period - k, end - a)
        if state.shape[0] > 0:
            copy(state[0, a : a + n], v)
            copy(state[1, a : a + n], current)
        else:
            clear(v)
            clear(current)
        d, c, b, r, g = (
            layer.decay[k : k + n],
            layer.leak[k : k + n],  # of no length where there is none
            layer.bias[k : k + n],
            layer.reset_value[k : k + n],
            layer.gain[k : k + n],
        )
        low = layer.low[k : k + n]
        for t in range(steps):
            sums, theta = x[min(t, x.shape[0] - 1), a : a + n], layer.threshold[t, k : k + n]
            counts[t, ACTIVE] += active(sums, v, b) if rules.watch else 0
            counts[t, FIRED] += step(
                sums, theta, rules, rules.most, d, c, b, r, g, low, v, current, arriving, spikes[t, a : a + n]
            )
            if after.shape[0] > 0:
                copy(v[:n], after[t, a:])
        if state.shape[0] > 0:
            copy(v[:n], state[0, a:])
            copy(current[:n], state[1, a:])
        a += n
