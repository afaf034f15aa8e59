"""The integer engine fed frame by frame: what a stream's prepared step says in the place of batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.engine import Stream
from spikeport.graph import LIF, Array, Graph, Readout, Samples
from spikeport.record import Record, join
from spikeport.target import Request, plain_output, target


class FrameByFrame:
    """As `integer`, whose trains, membranes and events it takes, and all of what has no frames or several outputs."""

    def __init__(self) -> None:
        self.name, self._inner = "integer, frame by frame", target("integer")
        self.shows, self.availability, self.check = self._inner.shows, self._inner.availability, self._inner.check

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        whole, entering = self._inner.run(graph, samples, request), Samples.of(graph, samples)
        node = graph.nodes[graph.output]
        if entering.coding != "events" or list(plain_output(graph, "a stream")) or not isinstance(node, LIF | Readout):
            return whole
        told = join([streamed(graph, node, entering.cut(n, n + 1).array) for n in range(entering.number)])
        return replace(whole, outputs=told.outputs, spike_counts=told.spike_counts, overflows=told.overflows)


def streamed(graph: Graph, node: LIF | Readout, frames: Array) -> Record:
    """One sample, its readout weighed here."""
    running = Stream(graph)
    blocks = [block for frame in frames for block in running.feed(frame[None])]
    weight = node.weight if isinstance(node, Readout) else np.ones(len(blocks), np.int64)
    outputs = sum(w * block.outputs[0].astype(np.int64) for w, block in zip(weight, blocks, strict=True))
    kinds = {name: [block.record.overflows.get(name, {}) for block in blocks] for name in blocks[0].record.neurons}
    overflows = {name: added for name, some in kinds.items() if (added := total(some))}
    counts = {
        name: np.concatenate([block.record.spike_counts[name] for block in blocks]) for name in blocks[0].record.neurons
    }
    return replace(blocks[0].record, outputs=np.asarray(outputs), spike_counts=counts, overflows=overflows)


def total(parts: list[dict[str, int]]) -> dict[str, int]:
    """What overflowed in all steps."""
    return {
        kind: sum(part.get(kind, 0) for part in parts) for kind in sorted({kind for part in parts for kind in part})
    }
