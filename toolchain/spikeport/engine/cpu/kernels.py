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
    Apart,
    Block,
    Bytes,
    Constants,
    Floats,
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
LANES = EIGHT * len(UNITS)  #: neurons that take a step together
ONCE = Apart(1, 0, 0)
BARE, CHECKED = None, ()  #: whether `advance` counts spikes alone, or all


def block(x: Floats, layer: Parameters, spikes: np.dtype[Any], least: int = 0) -> Block:
    """What a loop works in for sums like ``x``, a layer, and spikes of a type; ``least`` neurons or more."""
    size, dtype = -(-max(BLOCK, least) // LANES) * LANES, layer.bias.dtype  # the last vector may go beyond them
    rise = None if layer.up is None else np.empty(size, dtype)
    vectors = np.zeros(LANES, x.dtype), np.empty(LANES, spikes)
    return Block(np.empty(size, dtype), np.empty(size, dtype), *vectors, rise)


def carried(layer: Parameters, neurons: int) -> Floats:
    """Zeros for what so many neurons carry between calls."""
    return np.zeros((2 if layer.up is None else 3, neurons), layer.bias.dtype)


@part
def of_step(layer: Parameters, t: int) -> Parameters:
    """The parameters of a step."""
    decay, leak, bias, theta, reset_value, gain, low, up, fade = layer
    return Parameters(decay, leak, bias, theta[min(t, theta.shape[0] - 1)], reset_value, gain, low, up, fade)


@part
def load(state: Floats, a: int, n: int, now: State, rise: Any) -> None:
    """Begin with what n neurons carry, the first of them at ``a``, or with nothing; ``rise`` is that of ``now``."""
    if state.shape[0] > 0:
        copy(state[0, a : a + n], now.membrane)
        copy(state[1, a : a + n], now.current)
        if rise is not None:
            copy(state[2, a : a + n], rise)
    else:
        clear(now.membrane)
        clear(now.current)
        if rise is not None:
            clear(rise)


@part
def keep(state: Floats, a: int, n: int, now: State, rise: Any) -> None:
    """Put back what n neurons carry, where it is asked for."""
    if state.shape[0] > 0:
        copy(now.membrane[:n], state[0, a:])
        copy(now.current[:n], state[1, a:])
        if rise is not None:
            copy(rise[:n], state[2, a:])


@part
def step(
    sums: Floats,
    now: State,
    rules: Any,  # `Constants` or `Rules`
    layer: Parameters,  # of this step
    fires: Bytes,
    places: Places,  # of the first
    n: int,
    block: Block,
    counts: Whole,  # [5]: what is counted is added
) -> None:
    """One step of n neurons, side by side."""
    fired = saturated = beyond = busy = wrapped = 0
    at, own, k, place = places
    filled = n // LANES * LANES
    if rules.bare != 0:
        for i in range(0, filled, LANES):
            here = Places(at + i, own + i, k + i, place + i)
            fired += advance(sums, now, layer, fires, here, ONCE, LANES, rules, BARE, UNITS).fired
    else:
        for i in range(0, filled, LANES):
            here = Places(at + i, own + i, k + i, place + i)
            counted = advance(sums, now, layer, fires, here, ONCE, LANES, rules, CHECKED, UNITS)
            fired, saturated, beyond = fired + counted.fired, saturated + counted.saturated, beyond + counted.beyond
            busy, wrapped = busy + counted.active, wrapped + counted.wrapped
    if filled < n:  # too few for a vector: by way of one that may be written beyond them
        last, last_spikes, left = block.arriving, block.fires, n - filled
        copy(sums[at + filled : at + n], last)
        here = Places(0, own + filled, k + filled, 0)
        counted = advance(last, now, layer, last_spikes, here, ONCE, left, rules, CHECKED, UNITS)
        copy(last_spikes[:left], fires[place + filled :])
        fired, saturated, beyond = fired + counted.fired, saturated + counted.saturated, beyond + counted.beyond
        busy, wrapped = busy + counted.active, wrapped + counted.wrapped
    counts[FIRED] += fired
    counts[SATURATED] += saturated
    counts[BEYOND] += beyond
    counts[ACTIVE] += busy
    counts[WRAPPED] += wrapped


@compiled
def neurons(
    x: Floats,  # [T or 1, N] sums; where `Constants` say so float32, seen as int32
    rules: Constants | Rules,
    layer: Parameters,  # of [period + LANES]: a vector may begin at the last
    spikes: Bytes,  # [T, N]
    after: Floats,  # [T, N], or [0, 0] where nobody asks
    state: Floats,  # `carried` between calls, or [0, 0]
    block: Block,
    counts: Whole,  # [T, 5]: what is counted is added
    begin: int,
    end: int,
) -> None:
    """Steps of the neurons ``begin`` ... ``end - 1``."""
    steps, period = spikes.shape[0], layer.decay.shape[0] - LANES
    now = State(block.membrane, block.current, block.rise)
    a = begin
    while a < end:
        k = a % period
        n = min(BLOCK, period - k, end - a)
        load(state, a, n, now, now.rise)
        for t in range(steps):
            sums, places = x[min(t, x.shape[0] - 1)], Places(a, 0, k, a)
            step(sums, now, rules, of_step(layer, t), spikes[t], places, n, block, counts[t])
            if after.shape[0] > 0:
                copy(now.membrane[:n], after[t, a:])
        keep(state, a, n, now, now.rise)
        a += n
