"""What flows through a graph, recomputed in numpy from the spike trains of a Record: no engine, no torch.

Spikes are taken from the Record as they were, so the values are those of the run, whichever target ran it. Everything
between them is computed in float64: exact for Loihi's integers, within rounding for real numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add

import numpy as np

from spikeport.findings import fail
from spikeport.graph import LIF, Array, Delay, Graph, Input, Operation, Readout, meaning
from spikeport.graph.shifts import shift_each
from spikeport.record import Record


@dataclass
class Values:
    """Values of every node, [T or 1, B, *shape] float64; 1 where they are the same at every step."""

    graph: Graph
    samples: Array | None  #: [B, *input] (direct) or [T, B, *input] (events); None where the input is not needed
    record: Record
    known: dict[str, Array] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    @cached_property
    def summing(self) -> Graph:
        """The graph with the weights that are added."""
        return shift_each(self.graph)

    def into(self, name: str) -> Array:
        """What enters a node that is no operation: the sum of what leaves its sources."""
        (x,) = self.operands(name)
        return x

    def operands(self, name: str) -> list[Array]:
        """What enters a node, operand by operand: sums over edges."""
        return [reduce(add, (self.out_of(source) for source in group)) for group in self.graph.operands(name)]

    def out_of(self, name: str) -> Array:
        """What leaves a node. Raises SP704 for a spiking layer without train, SP706 for a cycle without spikes."""
        if name not in self.known:
            if name in self.open:
                fail(
                    "SP706",
                    "feeds back on itself without a spiking neuron in between",
                    where=f"node {name!r}",
                    mend="run it on the engine with Request(events=True)",
                )
            self.open.add(name)
            self.known[name] = self._computed(name)
            self.open.discard(name)
        return self.known[name]

    def _computed(self, name: str) -> Array:
        node = self.graph.nodes[name]
        if isinstance(node, Input):
            if self.samples is None:
                fail(
                    "SP704",
                    "the samples of the run are needed to count what the input sends",
                    where=f"node {name!r}",
                    mend="pass samples= those of the run",
                )
            return self.graph.arithmetic.entering(node, self.samples)
        if isinstance(node, LIF):
            return self.train(name).astype(np.float64)
        if isinstance(node, Operation):
            return node.compute(*self.operands(name))
        if isinstance(node, Readout):
            return self.into(name)
        if isinstance(node, Delay):
            return meaning.delayed(node, self.into(name), self.graph.timesteps)
        return meaning.apply(self.summing.nodes[name], self.into(name), self.graph.arithmetic)

    def train(self, name: str) -> Array:
        """The spikes of a layer, as the record has them. Raises SP704 where it has none."""
        if name not in self.record.trains:
            fail(
                "SP704",
                f"the record has no spike train of {name!r}",
                where=f"a record of {self.record.target!r}",
                mend="run with Request(trains=True)",
            )
        return self.record.trains[name].unpack()
