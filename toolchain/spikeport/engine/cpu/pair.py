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
from spikeport.engine.cpu.fused import NOTHING, Layer, added, fired, laid_out, unflat
from spikeport.engine.cpu.products import Product
from spikeport.engine.cpu.sparse import Rows
from spikeport.engine.cpu.structures import KINDS, Parameters
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
    parameters: Parameters  #: of the layer, as wide as the rows
    pattern: int  #: after so many the parameters repeat

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
        rows, layer = self.rows, self.layer
        whole = steps == layer.node.timesteps
        joint = beside is None and len(x) == steps and (steps > 1 or whole)
        if rows is None or not joint or steps * rows.most > LONGEST:
            sums = self.product(x)
        elif self._few(rows, x, start):
            return self._one_pass(rows, x, state, start, keep=keep, watch=watch)
        else:
            sums = self.product.dense(x)
        return self.layer(sums, state, start, steps, keep=keep, watch=watch, beside=beside)

    def _few(self, rows: Rows, x: Tensor, start: int) -> bool:
        """Whether one pass over the events is faster."""

        def adding(x: Tensor) -> Fired:
            return self._one_pass(rows, x, None, start, keep=False, watch=False)

        def multiplying(x: Tensor) -> Fired:
            return self.layer(self.product.dense(x), None, start, len(x), keep=False, watch=False)

        return self.product.even.few(x, rows.share, rows.work, adding, multiplying)

    def _one_pass(self, rows: Rows, x: Tensor, state: Array | None, start: int, *, keep: bool, watch: bool) -> Fired:
        """The steps from events to spikes, a place ``width`` channels wide."""
        layer, (steps, samples), shape = self.layer, x.shape[:2], self.layer.node.shape
        words = rows.words(x.flatten(0, 1)).reshape(steps, samples, -1)
        spikes = np.empty((steps, samples, layer.node.size), np.uint8)
        after = np.empty(spikes.shape if keep else (NOTHING,) * 3, np.int32)
        rules = layer.watching(watch)
        if state is None and steps < layer.node.timesteps:
            state = np.zeros((2, samples * layer.node.size), np.int32)
        carried = np.empty((NOTHING,) * 3, np.int32)
        if state is not None:  # which may be that of steps beyond the layer's
            carried, rules = state.reshape(2, samples, -1), rules._replace(bare=np.int32(0))
        parameters = self.layer.of_steps(start, steps, self.parameters)
        told = rows.weight, rows.plan, rules, parameters, self.pattern, spikes, after

        def part(begin: int, end: int) -> Array:
            counts = np.zeros((steps, KINDS), np.int64)
            maps = steps * min(rows.together(steps), max(1, end - begin))
            fire(words, *told, carried, *rows.memory(maps), rows.block(), counts, begin, end)
            return counts

        parts = over_parts(part, samples, step=1, weight=words[:, 0].size * 8)
        return fired(unflat(spikes, shape), unflat(after, shape) if keep else None, state, added(parts))


def prepare(product: Product, layer: Layer) -> Pair:
    """The two as one; in one pass where events may be added."""
    rows, channels = product.rows, layer.node.shape[0]
    if rows is None or rows.width == channels:
        return Pair(product, layer, rows, layer.parameters, layer.pattern)
    return Pair(product, layer, rows, *laid_out(layer.node, np.dtype(np.int32), rows.width))
