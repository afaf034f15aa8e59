"""A synapse and the neurons that alone read it, in one pass: where few inputs are not zero, sums never leave the cache.

For each sample the events of all steps are listed. Then, row of output places by row, the steps pass: the sums of that
row are added up from the events (`sparse`) and its neurons take their step (`advance`). Sums, membranes and
weights stay in the first cache levels; what is read and written is a byte for each input and for each spike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.engine.cpu import kernels
from spikeport.engine.cpu.advance import advance
from spikeport.engine.cpu.fused import Layer, fired, unflat
from spikeport.engine.cpu.kernels import Bytes, Integers
from spikeport.engine.cpu.listing import MARGIN, Plan, listed
from spikeport.engine.cpu.products import Product
from spikeport.engine.cpu.sparse import Rows, room_for, row
from spikeport.engine.cpu.vectors import UNIT
from spikeport.engine.neuron import Fired
from spikeport.graph import Array
from spikeport.machine import compiled
from spikeport.threads import over_parts

LONGEST = 1 << 23  #: events of one sample that a thread may have to list, 4 bytes each


@compiled
def fire(
    x: Any,  # uint64 [T, B, places * channels / 8], channels last
    weight: Any,  # int16 [tiles, rows, lanes / 2], paired
    high: int,
    plan: Plan,
    numbers: tuple[int, int, int, int, int, int],  # as the following, to reset_value, in `kernels.loihi`
    decay: Integers,
    leak: Integers | None,
    bias: Integers,
    theta: Integers,
    reset_value: Integers,
    pattern: int,  # after so many neurons the parameters repeat
    spikes: Bytes,  # [T, B, rows * columns * channels that leave]
    after: Integers,  # as spikes, or [0, 0, 0] where nobody asks
    like: Any,  # an array of the type of the sums: int16 or int32
    units: Any,
    taps: Any,
    half: Any,  # units of the neurons that take a step together
    begin: int,
    end: int,
) -> Any:
    """All steps of the samples ``begin`` ... ``end - 1``; counts [T, 4], in the columns of `kernels`."""
    height, width, channels = plan.size
    lanes, together, columns, steps = UNIT * len(units), UNIT * len(half), plan.leaving[1], len(x)
    leaving, most = lanes * len(weight), height * width * channels * high
    found, starts = np.empty((steps, most + MARGIN), np.int32), np.empty((steps, height * width + 1), np.int64)
    room = room_for(plan, high, like, lanes, len(taps))
    sums, v = np.zeros(columns * lanes, like.dtype), np.empty(columns * lanes, np.int32)
    current, counts = np.empty(columns * lanes, np.int32), np.zeros((steps, 4), np.int64)
    for n in range(begin, end):
        for t in range(steps):
            listed(x[t, n], channels // 8, high, found[t], starts[t])
        for tile in range(len(weight)):
            rows = weight[tile]
            for i in range(plan.leaving[0]):
                v[:], current[:] = 0, 0
                for t in range(steps):
                    if sums.itemsize > 2:
                        sums[:] = 0
                    row(i, plan, rows, found[t], starts[t], room, sums, 0, lanes, units, taps)
                    layer, out = (decay, leak, bias, theta[t], reset_value), spikes[t, n]
                    a = b = c = d = 0
                    place = i * columns * leaving + tile * lanes
                    k = place % pattern
                    for j in range(columns):
                        for lane in range(0, lanes, together):
                            places = (j * lanes + lane, j * lanes + lane, k + lane, place + lane)
                            told = advance(sums, (v, current), layer, out, places, together, numbers, half)
                            a, b, c, d = a + told[0], b + told[1], c + told[2], d + told[3]
                        if after.shape[0] > 0:
                            for lane in range(lanes):
                                after[t, n, place + lane] = v[j * lanes + lane]
                        place += leaving
                        k = k + leaving if k + leaving < pattern else tile * lanes
                    counts[t, 0] += a
                    counts[t, 1] += b
                    counts[t, 2] += c
                    counts[t, 3] += d
    return counts


@dataclass(frozen=True)
class Pair:
    """As a neuron layer, but what enters is what enters the synapse before it."""

    product: Product
    rows: Rows
    layer: Layer

    def __call__(self, x: Tensor, state: Array | None, start: int, steps: int, *, keep: bool, watch: bool) -> Fired:
        """Steps ``start`` ... ``start + steps - 1``; membranes if ``keep``, active neurons if ``watch``."""
        whole = len(x) == steps == self.layer.node.timesteps
        if state is not None or not whole or not self.product.few(x):
            return self.layer(self.product(x), state, start, steps, keep=keep, watch=watch)
        rows, layer, shape = self.rows, self.layer, self.layer.node.shape
        words = rows.words(x.flatten(0, 1)).reshape(steps, x.shape[1], -1)
        spikes = np.empty((steps, x.shape[1], int(np.prod(shape))), np.uint8)
        after = np.empty(spikes.shape if keep else (0, 0, 0), np.int32)
        half, like = rows.units[: len(kernels.UNITS)], np.empty(0, rows.sums)

        def part(begin: int, end: int) -> Array:
            counts: Array = fire(
                words,
                rows.weight,
                rows.high,
                rows.plan,
                layer.numbers(watch),
                layer.decay,
                layer.leaks,
                layer.bias,
                layer.theta,
                layer.reset_value,
                layer.pattern,
                spikes,
                after,
                like,
                rows.units,
                rows.taps,
                half,
                begin,
                end,
            )
            return counts

        counts = np.sum(over_parts(part, x.shape[1], step=1, weight=words[:, 0].size * 8), axis=0)
        return fired(unflat(spikes, shape), unflat(after, shape) if keep else None, None, counts)


def prepare(product: Product, layer: Layer) -> Pair | None:
    """The two as one, where rows of weights may be added, vectors fill the layer's channels, and lists are short."""
    rows = product.rows
    if rows is None or layer.node.shape[0] % (UNIT * len(rows.units)):
        return None
    listed_at_most = layer.node.timesteps * int(np.prod(rows.plan.size)) * rows.high
    return Pair(product, rows, layer) if listed_at_most <= LONGEST else None
