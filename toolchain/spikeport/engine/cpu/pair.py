"""A synapse and the neurons that alone read it, as one layer: where few inputs are not zero, in one pass over both.

In one pass, sums never leave the cache. For each sample the events of all steps are listed. Then, row of output places
by row, the steps pass: the sums of that row are added up from the events (`sums`) and its neurons take their step
(`advance`). Sums, membranes and weights stay in the first cache levels; what is read and written is a byte for each
input and for each spike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from spikeport.engine.cpu.fire import fire
from spikeport.engine.cpu.fused import NOTHING, Layer, added, fired, unflat
from spikeport.engine.cpu.products import Product
from spikeport.engine.cpu.sparse import Rows
from spikeport.engine.cpu.structures import KINDS
from spikeport.engine.neuron import Fired
from spikeport.graph import Array
from spikeport.threads import over_parts

LONGEST = 1 << 23  #: events of one sample that a thread may have to list, 4 bytes each


@dataclass(frozen=True)
class Pair:
    """As a neuron layer, but what enters is what enters the synapse before it."""

    product: Product
    layer: Layer
    rows: Rows | None  #: where few inputs are not zero, both go in one pass over these

    def __call__(
        self,
        x: Tensor,
        state: Array | None,
        start: int,
        steps: int,
        *,
        keep: bool,
        watch: bool,
        beside: Tensor | None = None,
    ) -> Fired:
        """Steps ``start`` ... ``start + steps - 1``; membranes if ``keep``, active neurons if ``watch``."""
        rows, layer, shape = self.rows, self.layer, self.layer.node.shape
        whole = steps == layer.node.timesteps
        joint = beside is None and len(x) == steps and (steps > 1 or whole)
        if rows is None or not joint or steps * rows.most > LONGEST or not self.product.few(x):
            return self.layer(self.product(x), state, start, steps, keep=keep, watch=watch, beside=beside)
        words = rows.words(x.flatten(0, 1)).reshape(steps, x.shape[1], -1)
        spikes = np.empty((steps, x.shape[1], layer.node.size), np.uint8)
        after = np.empty(spikes.shape if keep else (0, 0, 0), np.int32)
        if state is None:
            state = np.zeros((NOTHING, NOTHING) if whole else (2, spikes[0].size), np.int32)
        told = rows.weight, rows.plan, layer.watching(watch), layer.of_steps(start, steps), layer.pattern
        carried = state.reshape(2, *spikes.shape[1:]) if len(state) else np.zeros((NOTHING,) * 3, np.int32)

        def part(begin: int, end: int) -> Array:
            counts = np.zeros((steps, KINDS), np.int64)
            fire(words, *told, spikes, after, carried, *rows.memory(steps), rows.block(), counts, begin, end)
            return counts

        parts = over_parts(part, x.shape[1], step=1, weight=words[:, 0].size * 8)
        membranes = unflat(after, shape) if keep else None
        return fired(unflat(spikes, shape), membranes, state, added(parts))


def prepare(product: Product, layer: Layer) -> Pair:
    """The two as one; in one pass where events may be added and vectors fill the layer's channels."""
    rows = product.rows
    if rows is None or layer.node.shape[0] % rows.plan.lanes:
        return Pair(product, layer, None)
    return Pair(product, layer, rows)
