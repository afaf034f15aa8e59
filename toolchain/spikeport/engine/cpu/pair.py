"""A synapse and the neurons that alone read it, as one layer: where few inputs are not zero, in one pass over both.

In one pass, sums never leave the cache. For each sample the events of all steps are listed. Then, row of output places
by row, the steps pass: the sums of that row are added up from the events (`sparse`) and its neurons take their step
(`advance`). Sums, membranes and weights stay in the first cache levels; what is read and written is a byte for each
input and for each spike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.engine.cpu import kernels
from spikeport.engine.cpu.advance import advance
from spikeport.engine.cpu.fused import Layer, fired, unflat
from spikeport.engine.cpu.listing import listed
from spikeport.engine.cpu.products import Product
from spikeport.engine.cpu.sparse import Rows, row
from spikeport.engine.cpu.structures import (
    ACTIVE,
    BEYOND,
    FIRED,
    SATURATED,
    Bytes,
    Constants,
    Integers,
    Lists,
    Parameters,
    Places,
    Plan,
    Scratch,
    State,
    Whole,
)
from spikeport.engine.neuron import Fired
from spikeport.graph import Array
from spikeport.machine import compiled
from spikeport.machine.llvm import UNIT
from spikeport.threads import over_parts

LONGEST = 1 << 23  #: events of one sample that a thread may have to list, 4 bytes each


@compiled
def fire(
    x: Any,  # uint64 [T, B, places * channels / 8], channels last
    weight: Any,  # int16 [tiles, rows, lanes / 2], paired
    plan: Plan,
    constants: Constants,
    layer: Parameters,
    pattern: int,  # after so many neurons the parameters repeat
    spikes: Bytes,  # [T, B, rows * columns * channels that leave]
    after: Integers,  # as spikes, or [0, 0, 0] where nobody asks
    lists: Lists,  # of all steps of a sample
    scratch: Scratch,
    units: Any,
    taps: Any,
    half: Any,  # units of the neurons that take a step together
    begin: int,
    end: int,
) -> Whole:
    """All steps of the samples ``begin`` ... ``end - 1``; counts [T, 4]."""
    lanes, together, columns, steps = UNIT * len(units), UNIT * len(half), plan.leaving[1], len(x)
    leaving, (events, starts) = lanes * len(weight), lists
    sums = np.zeros(columns * lanes, scratch.unwanted.dtype)
    v, current = np.empty(columns * lanes, np.int32), np.empty(columns * lanes, np.int32)
    now, (decay, leak, bias, theta, reset_value, gain) = State(v, current), layer
    counts = np.zeros((steps, 4), np.int64)
    for n in range(begin, end):
        for t in range(steps):
            listed(x[t, n], plan.size[2] // 8, plan.high, Lists(events[t], starts[t]))
        for tile in range(len(weight)):
            rows = weight[tile]
            for i in range(plan.leaving[0]):
                v[:], current[:] = 0, 0
                for t in range(steps):
                    if sums.itemsize > 2:
                        sums[:] = 0
                    row(i, plan, rows, Lists(events[t], starts[t]), scratch, sums, 0, lanes, units, taps)
                    step, out = Parameters(decay, leak, bias, theta[t], reset_value, gain), spikes[t, n]
                    a = b = c = d = 0
                    place = i * columns * leaving + tile * lanes
                    k = place % pattern
                    for j in range(columns):
                        for lane in range(0, lanes, together):
                            at = Places(j * lanes + lane, j * lanes + lane, k + lane, place + lane)
                            counted = advance(sums, now, step, out, at, together, constants, half)
                            a, b = a + counted.fired, b + counted.saturated
                            c, d = c + counted.beyond, d + counted.active
                        if after.shape[0] > 0:
                            for lane in range(lanes):
                                after[t, n, place + lane] = v[j * lanes + lane]
                        place += leaving
                        k = k + leaving if k + leaving < pattern else tile * lanes
                    counts[t, FIRED] += a
                    counts[t, SATURATED] += b
                    counts[t, BEYOND] += c
                    counts[t, ACTIVE] += d
    return counts


@dataclass(frozen=True)
class Pair:
    """As a neuron layer, but what enters is what enters the synapse before it."""

    product: Product
    layer: Layer
    rows: Rows | None  #: where few inputs are not zero, both go in one pass over these

    def __call__(self, x: Tensor, state: Array | None, start: int, steps: int, *, keep: bool, watch: bool) -> Fired:
        """Steps ``start`` ... ``start + steps - 1``; membranes if ``keep``, active neurons if ``watch``."""
        whole = len(x) == steps == self.layer.node.timesteps
        if self.rows is None or state is not None or not whole or not self.product.few(x):
            return self.layer(self.product(x), state, start, steps, keep=keep, watch=watch)
        rows, layer, shape = self.rows, self.layer, self.layer.node.shape
        words = rows.words(x.flatten(0, 1)).reshape(steps, x.shape[1], -1)
        spikes = np.empty((steps, x.shape[1], int(np.prod(shape))), np.uint8)
        after = np.empty(spikes.shape if keep else (0, 0, 0), np.int32)
        told = rows.weight, rows.plan, layer.watching(watch), layer.parameters, layer.pattern
        units = rows.units, rows.taps, rows.units[: len(kernels.UNITS)]
        parts = over_parts(
            lambda begin, end: fire(words, *told, spikes, after, *rows.memory(steps), *units, begin, end),
            x.shape[1],
            step=1,
            weight=words[:, 0].size * 8,
        )
        membranes = unflat(after, shape) if keep else None
        return fired(unflat(spikes, shape), membranes, None, np.sum(parts, axis=0))


def prepare(product: Product, layer: Layer) -> Pair:
    """The two as one; in one pass where events may be added, vectors fill the layer's channels, and lists are short."""
    rows = product.rows
    if rows is None or layer.node.shape[0] % (UNIT * len(rows.units)):
        return Pair(product, layer, None)
    return Pair(product, layer, rows if layer.node.timesteps * rows.most <= LONGEST else None)
