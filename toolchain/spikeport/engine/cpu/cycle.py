"""Neurons that feed back to themselves through a matrix, a step later: all steps of a sample in one loop.

What a spike brings is one row of the transposed matrix: few neurons fire, and no product is made of those that do not.
So it is with a matrix of their own by which spikes or other events enter. Integers are those of `neuron.loihi` to the
bit; real sums are added in the order of the neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from spikeport.engine.cpu import kernels
from spikeport.engine.cpu.fused import NOTHING, Layer, added, fired, unflat
from spikeport.engine.cpu.gather import Matrix, padded, put_sums
from spikeport.engine.cpu.listing import MARGIN
from spikeport.engine.cpu.matrix import laid_out
from spikeport.engine.cpu.moves import copy
from spikeport.engine.cpu.structures import (
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


class Memory(NamedTuple):
    """What the loop works in."""

    sums: Any  #: [together * N]
    back: Any  #: [padded N] of one sample
    ahead: Any  #: [padded N] of one sample
    who: Any  #: [inputs + MARGIN] int32, which of them a sum is made of


@part
def _add(x: Floats, y: Floats, out: Floats) -> None:
    """``out[:] = x + y``, of which there may be more."""
    for i in range(out.shape[0]):
        out[i] = x[i] + y[i]


@compiled
def fed_back(
    x: Floats,  # [T or 1, B * N] sums, or where there is an inward matrix [T or 1, B * inputs]: of integers, bytes
    matrix: Matrix,
    inward: Any,  # Matrix, or None
    rules: Constants | Rules,
    layer: Parameters,
    spikes: Bytes,  # [T + 1, B * N]: first those of the step before
    after: Floats,  # [T, B * N], or [0, 0]
    state: Floats,  # `kernels.carried` between calls
    memory: Memory,
    block: Block,
    counts: Whole,  # [T, 5]
    together: int,  # samples that take a step together: their state stays in the first cache
    begin: int,
    end: int,
) -> None:
    """All steps of the samples ``begin`` ... ``end - 1``; meanwhile their state lies together."""
    size, sums, back = matrix.inputs, memory.sums, memory.back
    now = State(block.membrane, block.current, block.rise)
    for first in range(begin, end, together):
        whole = slice(first * size, min(first + together, end) * size)
        number = whole.stop - whole.start
        kernels.load(state, whole.start, number, now, now.rise)
        for t in range(spikes.shape[0] - 1):
            entering = x[min(t, x.shape[0] - 1)]
            for at in range(0, number, size):
                here = whole.start + at
                put_sums(spikes[t], here, matrix, memory.who, back)
                if inward is None:
                    _add(entering[here : here + size], back, sums[at : at + size])
                else:
                    begins = here // size * inward.inputs
                    put_sums(entering, begins, inward, memory.who, memory.ahead)
                    _add(memory.ahead, back, sums[at : at + size])
            step, places = kernels.of_step(layer, t), Places(0, 0, 0, whole.start)
            kernels.step(sums, now, rules, step, spikes[t + 1], places, number, block, counts[t])
            if after.shape[0] > 0:
                copy(now.membrane[:number], after[t, whole.start :])
        kernels.keep(state, whole.start, number, now, now.rise)


@dataclass(frozen=True)
class Cycle:
    """Neurons and the matrix by which they feed back to themselves."""

    layer: Layer
    matrix: Matrix
    inward: Matrix | None  #: by which alone something else enters; then that is what enters the call
    bytes: bool  #: whether that is bytes

    def __call__(
        self, x: Tensor, state: tuple[Array, Array] | None, start: int, steps: int, *, keep: bool, watch: bool
    ) -> Fired:
        """As `neuron.Cycle`; the state is that of the neurons and their last spikes."""
        dtype, size = self.layer.parameters.bias.dtype, self.matrix.inputs
        values = np.asarray(flat(x), np.uint8 if self.bytes else dtype)
        samples = x.shape[1]
        count = samples * size
        spikes = np.empty((steps + 1, count), np.uint8)
        after = np.empty((steps, count) if keep else (NOTHING, NOTHING), dtype)
        own, spikes[0] = (kernels.carried(self.layer.parameters, count), 0) if state is None else state
        told = self.matrix, self.inward, self.layer.watching(watch), self.layer.of_steps(start, steps)

        def part(begin: int, end: int) -> Array:
            counts = np.zeros((steps, KINDS), np.int64)
            fed_back(values, *told, spikes, after, own, *self.memory(), counts, self.together, begin, end)
            return counts

        counts = added(over_parts(part, samples, step=1, weight=steps * size))
        shape = (steps, samples, -1)
        train = unflat(spikes[1:].reshape(shape), (size,))
        membranes = unflat(after.reshape(shape), (size,)) if keep else None
        return fired(train, membranes, (own, spikes[-1].copy()), counts)

    @property
    def together(self) -> int:
        """Samples that take a step together."""
        return max(1, int(kernels.BLOCK // self.matrix.inputs))

    def memory(self, inward: Matrix | None = None) -> tuple[Memory, Block]:
        """What the loop works in, with another inward matrix than its own."""
        dtype, size = self.layer.parameters.bias.dtype, self.matrix.inputs
        inputs = max(size, *(each.inputs for each in (inward, self.inward) if each is not None), 0)
        sums, (back, ahead) = np.empty(self.together * size, dtype), np.empty((2, padded(size)), dtype)
        memory = Memory(sums, back, ahead, np.empty(inputs + MARGIN, np.int32))
        return memory, kernels.block(sums, self.layer.parameters, np.dtype(np.uint8), size)


def prepare(synapse: Linear, layer: Layer, inward: tuple[Linear, int | None] | None) -> Cycle | None:
    """A matrix from neurons of one axis to themselves, and one by which alone something else enters them.

    ``inward`` as in `layers.fed_back`. None where 32 bits do not hold a sum of weights.
    """
    dtype = layer.parameters.bias.dtype
    matrix, own = laid_out(synapse, dtype, 1), None if inward is None else laid_out(inward[0], dtype, inward[1])
    if matrix is None or (own is None and inward is not None):
        return None
    return Cycle(layer, matrix, own, inward is not None and inward[1] is not None)
