"""Neurons that feed back to themselves through a matrix, a step later: all steps of a sample in one loop.

What a spike brings is one row of the transposed matrix: few neurons fire, and no product is made of those that do not.
Integers are those of `neuron.loihi` to the bit; real sums are added four rows at a time, in the order of the neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.engine.cpu import kernels
from spikeport.engine.cpu.fused import NOTHING, Layer, added, fired, unflat
from spikeport.engine.cpu.moves import clear, copy
from spikeport.engine.cpu.structures import (
    ACTIVE,
    FIRED,
    KINDS,
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
from spikeport.engine.neuron import Fired, flat
from spikeport.graph import Array, Linear
from spikeport.machine import compiled, part
from spikeport.threads import over_parts


@part
def _recall(spikes: Bytes, begin: int, weight: Floats, who: Whole, sums: Floats) -> None:
    """Add the rows of ``weight`` [neurons, sums] of those that fired, the first of them at ``begin``; four together."""
    count = 0
    for j in range(weight.shape[0]):
        who[count] = j
        count += spikes[begin + j]
    whole = count // 4 * 4
    for at in range(0, whole, 4):
        a, b, c, d = who[at], who[at + 1], who[at + 2], who[at + 3]
        for i in range(sums.shape[0]):
            sums[i] += (weight[a, i] + weight[b, i]) + (weight[c, i] + weight[d, i])
    for at in range(whole, count):
        for i in range(sums.shape[0]):
            sums[i] += weight[who[at], i]


@compiled
def loihi(
    x: Floats,  # [T or 1, B * N], int32
    weight: Floats,  # [N, N] transposed, int16 or int32
    left: int,  # the exponent of the matrix, as shifts
    right: int,
    constants: Constants,
    layer: Parameters,
    spikes: Bytes,  # [T + 1, B * N]: first those of the step before
    after: Floats,  # [T, B * N], or [0, 0]
    state: Floats,  # [2, B * N] membrane and current between calls
    sums: Floats,  # [together * N], int32
    back: Floats,  # [N], int32
    who: Whole,  # [N + 1]
    block: Block,
    counts: Whole,  # [T, 5]
    together: int,  # samples that take a step together: their state stays in the first cache
    begin: int,
    end: int,
) -> None:
    """All steps of the samples ``begin`` ... ``end - 1`` in Loihi's integers; meanwhile their state lies together."""
    size = weight.shape[0]
    decay, leak, bias, theta, reset_value, gain, low = layer
    now = State(block.membrane, block.current)
    for first in range(begin, end, together):
        whole = slice(first * size, min(first + together, end) * size)
        number = whole.stop - whole.start
        copy(state[0, whole], now.membrane)
        copy(state[1, whole], now.current)
        for t in range(spikes.shape[0] - 1):
            entering, step = x[min(t, x.shape[0] - 1)], Parameters(decay, leak, bias, theta[t], reset_value, gain, low)
            for at in range(0, number, size):
                clear(back)
                _recall(spikes[t], whole.start + at, weight, who, back)
                for i in range(at, at + size):
                    sums[i] = entering[whole.start + i] + ((back[i - at] << left) >> right)
            places = Places(0, 0, 0, whole.start)
            kernels.whole_step(sums, now, constants, step, spikes[t + 1], places, number, block, counts[t])
            if after.shape[0] > 0:
                copy(now.membrane[:number], after[t, whole.start :])
        copy(now.membrane[:number], state[0, whole])
        copy(now.current[:number], state[1, whole])


@compiled
def real(
    x: Floats,  # [T or 1, B * N]
    weight: Floats,  # [N, N] transposed
    bias: Floats,  # [N]
    rules: Rules,
    layer: Parameters,
    spikes: Bytes,  # [T + 1, B * N]: first those of the step before
    after: Floats,  # [T, B * N], or [0, 0]
    state: Floats,  # [2, B * N] membrane and current between calls
    sums: Floats,  # [N] or more
    back: Floats,  # [N]
    who: Whole,  # [N + 1]
    block: Block,
    counts: Whole,  # [T, 5]
    together: int,
    begin: int,
    end: int,
) -> None:
    """The same in floating point."""
    size = weight.shape[0]
    v, current, arriving, _ = block
    d, c, b, r, g = (
        layer.decay[:size],
        layer.leak[:size],  # of no length where there is none
        layer.bias[:size],
        layer.reset_value[:size],
        layer.gain[:size],
    )
    low = layer.low[:size]
    for first in range(begin, end, together):
        whole = slice(first * size, min(first + together, end) * size)
        n = whole.stop - whole.start
        copy(state[0, whole], v)
        copy(state[1, whole], current)
        for t in range(spikes.shape[0] - 1):
            now, theta = x[min(t, x.shape[0] - 1)], layer.threshold[t, :size]
            for at in range(0, n, size):
                a = whole.start + at
                copy(bias, back)
                _recall(spikes[t], a, weight, who, back)
                for i in range(size):
                    sums[i] = now[a + i] + back[i]
                u, driving, fires = v[at : at + size], current[at : at + size], spikes[t + 1, a : a + size]
                counts[t, ACTIVE] += kernels.active(sums, u, b) if rules.watch else 0
                counts[t, FIRED] += kernels.step(
                    sums, theta, rules, rules.most, d, c, b, r, g, low, u, driving, arriving, fires
                )
            if after.shape[0] > 0:
                copy(v[:n], after[t, whole.start :])
        copy(v[:n], state[0, whole])
        copy(current[:n], state[1, whole])


@dataclass(frozen=True)
class Cycle:
    """Neurons and the matrix by which they feed back to themselves."""

    layer: Layer
    weight: Array  #: [neurons, sums]
    exponent: int
    bias: Array

    def __call__(
        self, x: Tensor, state: tuple[Array, Array] | None, start: int, steps: int, *, keep: bool, watch: bool
    ) -> Fired:
        """As `neuron.Cycle`; the state is that of the neurons and their last spikes."""
        dtype, size = self.layer.parameters.bias.dtype, self.weight.shape[0]
        values = np.asarray(flat(x), dtype)
        count = values.shape[1]
        spikes = np.empty((steps + 1, count), np.uint8)
        after = np.empty((steps, count) if keep else (NOTHING, NOTHING), dtype)
        own, spikes[0] = (np.zeros((2, count), dtype), 0) if state is None else state
        rules = self.layer.watching(watch)
        layer = self.layer.of_steps(start, steps)

        def part(begin: int, end: int) -> Array:
            loop: Any
            matrix: tuple[Any, ...]
            counts, back = np.zeros((steps, KINDS), np.int64), np.empty(size, dtype)
            who = np.empty(size + 1, np.int64)
            if isinstance(rules, Constants):
                loop, matrix = loihi, (self.weight, max(self.exponent, 0), max(-self.exponent, 0))
            else:
                loop, matrix = real, (self.weight, self.bias)
            together = max(1, kernels.BLOCK // size)
            sums = np.empty(together * size, dtype)
            block = kernels.block(sums, dtype, size)
            told = (rules, layer, spikes, after, own, sums, back, who, block, counts)
            loop(values, *matrix, *told, together, begin, end)
            return counts

        counts = added(over_parts(part, count // size, step=1, weight=steps * size))
        shape = (steps, x.shape[1], -1)
        train = unflat(spikes[1:].reshape(shape), (size,))
        membranes = unflat(after.reshape(shape), (size,)) if keep else None
        return fired(train, membranes, (own, spikes[-1].copy()), counts)


def prepare(synapse: Linear, layer: Layer) -> Cycle | None:
    """A matrix from neurons of one axis to themselves; None where 32 bits do not hold a sum of its weights."""
    dtype = layer.parameters.bias.dtype
    kind = dtype
    if dtype.kind == "i":
        sizes = np.abs(synapse.weight.astype(np.int64))
        if sizes.sum(1).max() >= 2**31:
            return None
        kind = np.dtype(np.int16 if sizes.max() < 2**15 else np.int32)  # a user's format may have wide weights
    weight = np.ascontiguousarray(synapse.weight.T, kind)
    bias = np.zeros(len(weight), dtype) if synapse.bias is None else synapse.bias.astype(dtype)
    return Cycle(layer, weight, synapse.exponent, bias)
