"""A graph made ready to run: each node a function, chosen once for the device and the range of the input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import readout
from spikeport.engine.neuron import Circuit, Cycle, Neurons
from spikeport.engine.readout import Out
from spikeport.engine.stretches import Stretch, stretches
from spikeport.engine.synapse import Step
from spikeport.graph import LIF, Array, Delay, Graph, Input, Loihi, Range, Shape, StepAffine, Synapse
from spikeport.graph.reach import reach
from spikeport.graph.work import multiply_adds

#: which functions: as `build` describes them
Kernels = Literal["plain", "fast", "triton", "products"]

#: bytes of values at once where the caller sets no limit: they stay in a last-level cache, and the memory that one
#: block of samples gives back the next one takes
WORKING_SET = 40 << 20
PLACES = 2**31 - 256  #: a card's kernels count them in 32 bits, and a tile goes beyond the last one
FEWEST = 16  #: steps in a block of a long sample


@dataclass(frozen=True)
class Reach:
    """How many weights each input of a synapse reaches: the same at all places of one kind (inner, top border, ...)."""

    kinds: Array  #: int64 [places]
    table: Array  #: int64 [3, kinds, channels]: 1, weights other than zero, all weights
    every: int  #: all weights of all inputs


@dataclass(frozen=True, eq=False)
class Program:
    """A graph whose nodes are functions of values [T or 1, B, *shape]."""

    graph: Graph
    device: str
    kernels: Kernels
    steps: Mapping[str, Step]  #: the nodes without state, of as many values as they have operands
    neurons: Mapping[str, Neurons]
    entering: Mapping[str, torch.dtype]  #: type in which the edges into each node are added
    incoming: Mapping[str, Range | None]  #: range of what enters each node, where it is known to be whole numbers
    joined: Mapping[str, str] = field(default_factory=dict)  #: neuron layers, and the synapse whose sums each makes
    adding: Mapping[str, str] = field(default_factory=dict)  #: neuron layers, and those whose spikes they add to theirs
    cycles: Mapping[str, Cycle] = field(default_factory=dict)  #: neuron layers that run all steps of their cycle
    circuits: Mapping[tuple[str, ...], Circuit] = field(default_factory=dict)  #: other cycles that a loop runs
    reaches: dict[str, Reach] = field(default_factory=dict)
    tallies: dict[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)  #: of a card, as `cuda.reached`

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The order in which the nodes run."""
        return stretches(self.graph)

    @cached_property
    def turns(self) -> tuple[tuple[Stretch, tuple[str, ...]], ...]:
        """The stretches in their order, each with the nodes whose values nobody reads after it."""
        graph = self.graph
        pending = {name: len(graph.targets(name)) for name in graph.nodes}
        turns = []
        for stretch in self.stretches:
            done = []
            for source in (source for name in stretch.names for source in graph.sources(name)):
                pending[source] -= 1
                if pending[source] == 0 and source not in graph.outputs:
                    done.append(source)
            turns.append((stretch, tuple(done)))
        return tuple(turns)

    @cached_property
    def layers(self) -> dict[str, LIF]:
        """The neurons, in the order in which data reach them."""
        return self.graph.nodes_of(LIF)

    @cached_property
    def operands(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """`Graph.operands` of each node."""
        return {name: self.graph.operands(name) for name in self.graph.nodes}

    @cached_property
    def outs(self) -> dict[str, Out]:
        """The output nodes, ready to be read."""
        dtype = self.entering[self.graph.input]
        how = {"later": self.later, "loops": self.kernels != "plain"}
        return {name: readout.prepare(self.graph, name, dtype, self.device, **how) for name in self.graph.outputs}

    @cached_property
    def later(self) -> bool:
        """Whether what is launched is computed in its turn: on a card, and where its kernels run in an interpreter."""
        return self.device != "cpu" or self.kernels == "triton"

    @cached_property
    def integers(self) -> bool:
        """Whether the graph is in Loihi arithmetic."""
        return isinstance(self.graph.arithmetic, Loihi)

    @cached_property
    def leaving(self) -> np.dtype[Any]:
        """The type of the outputs."""
        return np.dtype(np.int64 if self.integers else str(self.entering[self.graph.input]).removeprefix("torch."))

    @cached_property
    def ahead(self) -> int:
        """Batches that are launched before the first is read: on a card one, which computes while the next is made."""
        return int(self.later)

    def samples_at_once(self, total: int, memory: int | None, kept: int = 0) -> int:
        """How many of ``total`` samples to run together, so that their values take about ``memory`` bytes.

        ``kept`` bytes of each stay until its block is done. As many samples in each block, since a block of another
        size makes oneDNN prepare its products once more.
        """
        budget = self._budget(memory)
        most = max(1, budget // (self.bytes + (0 if memory is None else kept)))
        most = min(most, self.most_samples)
        return max(1, -(-total // -(-total // most))) if total else 1

    @cached_property
    def most_samples(self) -> int:
        """More never run at once: kernels of a card count the places of all samples and steps in 32 bits."""
        if not self.later:
            return sys.maxsize
        places = max(int(np.prod(shape[1:])) for shape in self.graph.shapes.values())
        return max(1, PLACES // (self.graph.timesteps * places))

    def steps_at_once(self, samples: int, memory: int | None) -> int:
        """How many steps of so many samples to run together, so that their values take about ``memory`` bytes.

        At least `FEWEST` where nobody sets a limit: what does not change from step to step is computed in each block.
        """
        steps, least = self.graph.timesteps, FEWEST if memory is None else 1
        return min(steps, max(least, steps * self._budget(memory) // (self.bytes * samples)))

    def _budget(self, memory: int | None) -> int:
        return _working_set(self.device) if memory is None else memory

    @cached_property
    def bytes(self) -> int:
        """The most bytes that one sample's values take at any node: what enters it, what leaves, what waits."""
        graph, live, most = self.graph, {}, 1
        pending = {name: len(graph.targets(name)) for name in graph.nodes}
        single = {name for s in self.stretches if s.feeds_back for name in s.names if name not in s.wanted}
        for name in graph.order:
            steps = 1 if name in single else graph.timesteps  # within a cycle one step is held
            live[name] = steps * int(np.prod(graph.shapes[name])) * self._width(name)
            most = max(most, sum(live.values()))
            for source in graph.sources(name):
                pending[source] -= 1
                if pending[source] <= 0:
                    live.pop(source, None)
        return most

    def _width(self, name: str) -> int:
        """Bytes a value: sums are float32, spikes bytes, and the plain integers int64."""
        node = self.graph.nodes[name]
        if self.kernels in ("plain", "products"):
            return 9
        if isinstance(node, LIF):
            return 1 if node.most_spikes <= 255 else 4
        return 4 if isinstance(node, Synapse) else self.entering[name].itemsize

    @cached_property
    def products(self) -> int:
        """Multiply-adds of one step of one sample, were all inputs multiplied."""
        return sum(multiply_adds(self.graph).values())

    @cached_property
    def updates(self) -> int:
        """Neurons of one sample."""
        return sum(self.sizes.values())

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The neurons of each layer."""
        return {name: node.size for name, node in self.layers.items()}

    @cached_property
    def calls(self) -> int:
        """How often Python calls a node in a batch: once, in a cycle that no loop runs at each step."""
        cycles = [stretch.names for stretch in self.stretches if stretch.feeds_back]
        looped = self.circuits.keys() | {names for names in cycles if not self.cycles.keys().isdisjoint(names)}
        stepped = [names for names in cycles if names not in looped]
        return len(self.graph.nodes) + sum(map(len, stepped)) * (self.graph.timesteps - 1)

    @cached_property
    def steady(self) -> frozenset[str]:
        """The nodes that leave the same values at every step: no state, no delay and no new frame before them."""
        names: set[str] = set()
        for name in self.graph.order:
            node = self.graph.nodes[name]
            steady = not isinstance(node, LIF | Delay | StepAffine)
            if isinstance(node, Input):
                steady = node.coding == "direct"
            if steady and names.issuperset(self.graph.sources(name)):
                names.add(name)
        return frozenset(names)

    def reach(self, name: str) -> Reach:
        """What the inputs of a synapse reach; found once, since every batch asks again."""
        if name not in self.reaches:
            node = self.graph.nodes[name]
            assert isinstance(node, Synapse)
            self.reaches[name] = _reach(node, self.graph.input_shape(name))
        return self.reaches[name]


def _working_set(device: str) -> int:
    """Bytes of values at once: on a card a quarter of what is free, since the next batch is launched beside this."""
    return int(torch.cuda.mem_get_info(device)[0]) // 4 if device.startswith("cuda") else WORKING_SET


def _reach(node: Synapse, shape: Shape) -> Reach:
    both = np.stack([reach(node, shape, effective=effective) for effective in (True, False)])
    by_place = np.moveaxis(both, (0, 1), (-1, -2)).reshape(-1, 2 * shape[0])
    _, first, kinds = np.unique(by_place, axis=0, return_index=True, return_inverse=True)
    nonzero, every = np.moveaxis(by_place[first].reshape(len(first), shape[0], 2), -1, 0)
    return Reach(kinds.ravel(), np.stack([np.ones_like(nonzero), nonzero, every]), int(both[1].sum()))
