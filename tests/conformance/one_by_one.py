"""The integer engine asked for one sample after the other: what its prepared chain says in the place of batches."""

from __future__ import annotations

from dataclasses import replace

from spikeport.engine.run import Engine
from spikeport.graph import Array, Graph, Samples
from spikeport.record import Record, join
from spikeport.target import Request, target


class OneByOne:
    """As `integer`, whose trains, membranes and events it takes."""

    def __init__(self) -> None:
        self.name, self._inner = "integer, one by one", target("integer")
        self.shows, self.availability, self.check = self._inner.shows, self._inner.availability, self._inner.check

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        whole, engine, entering = self._inner.run(graph, samples, request), Engine(graph), Samples.of(graph, samples)
        engine.simulate(samples)  # the range of all
        engine.simulate(entering.first(1).array)
        alone = join([engine.simulate(entering.cut(n, n + 1).array) for n in range(entering.number)])
        told = {name: getattr(alone, name) for name in ("outputs", "further", "spike_counts", "overflows")}
        return replace(whole, **told)
