"""A graph made ready to run: each node a function, chosen once for the device and the range of the input.

Three sets of functions compute the same:

- ``plain``: PyTorch's own operations, integers as int64. The tested definition; runs on every device.
- ``fast``, real: PyTorch's products, the neurons on the compiled loops of `cpu`.
- ``fast``, integers: synapses and neurons as `cpu` prepares them, values between the layers in the smallest type that
  holds their range (`ranges`). Neurons that alone read a synapse take in what enters it, and make its sums.

``SPIKEPORT_KERNELS=plain`` in the environment forces the first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import cpu, neuron, synapse
from spikeport.engine.integers import exact_ranges, holding
from spikeport.engine.neuron import Fired, Neurons
from spikeport.engine.synapse import Step
from spikeport.graph import (
    LIF,
    Array,
    Delay,
    Flatten,
    Graph,
    Input,
    Loihi,
    Node,
    Pool,
    Range,
    Readout,
    Real,
    Scale,
    Shape,
    Synapse,
    over_neurons,
)
from spikeport.graph.ranges import into
from spikeport.graph.reach import reach
from spikeport.graph.shifts import shift_each

Kernels = Literal["plain", "fast"]

#: bytes of values at once where the caller sets no limit: they stay in a last-level cache, and the memory that one
#: block of samples gives back the next one takes
WORKING_SET = 40 << 20


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
    steps: Mapping[str, Step]  #: the nodes without state
    neurons: Mapping[str, Neurons]
    entering: Mapping[str, torch.dtype]  #: type in which the edges into each node are added
    incoming: Mapping[str, Range | None]  #: range of what enters each node, where it is known to be whole numbers
    joined: frozenset[str] = frozenset()  #: synapses whose sums the neuron layer after them makes by itself
    reaches: dict[str, Reach] = field(default_factory=dict)

    @cached_property
    def integers(self) -> bool:
        """Whether the graph is in Loihi arithmetic."""
        return isinstance(self.graph.arithmetic, Loihi)

    @cached_property
    def leaving(self) -> np.dtype[Any]:
        """The type of the outputs."""
        return np.dtype(np.int64 if self.integers else str(self.entering[self.graph.input]).removeprefix("torch."))

    def samples_at_once(self, total: int, memory: int | None, kept: int = 0) -> int:
        """How many of ``total`` samples to run together, so that their values take about ``memory`` bytes.

        ``kept`` bytes of each stay until its block is done. As many samples in each block, since a block of another
        size makes oneDNN prepare its products once more.
        """
        most = max(1, WORKING_SET // self._bytes if memory is None else memory // (self._bytes + kept))
        return max(1, -(-total // -(-total // most))) if total else 1

    @cached_property
    def _bytes(self) -> int:
        """The most bytes that one sample's values take at any node: what enters it, what leaves, what waits."""
        graph, live, most = self.graph, {}, 1
        pending = {name: len(graph.targets(name)) for name in graph.nodes}
        for name in graph.order:
            live[name] = graph.timesteps * int(np.prod(graph.shapes[name])) * self._width(name)
            most = max(most, sum(live.values()))
            for source in graph.sources(name):
                pending[source] -= 1
                if pending[source] <= 0:
                    live.pop(source, None)
        return most

    def _width(self, name: str) -> int:
        """Bytes a value: sums are float32, spikes bytes, and the plain integers int64."""
        node = self.graph.nodes[name]
        if self.kernels == "plain":
            return 9
        return 1 if isinstance(node, LIF) else 4 if isinstance(node, Synapse) else self.entering[name].itemsize

    @cached_property
    def steady(self) -> frozenset[str]:
        """The nodes that leave the same values at every step: no state, no delay and no new frame before them."""
        names: set[str] = set()
        for name in self.graph.order:
            node = self.graph.nodes[name]
            steady = node.coding == "direct" if isinstance(node, Input) else not isinstance(node, LIF | Delay)
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


def _reach(node: Synapse, shape: Shape) -> Reach:
    both = np.stack([reach(node, shape, effective=effective) for effective in (True, False)])
    by_place = np.moveaxis(both, (0, 1), (-1, -2)).reshape(-1, 2 * shape[0])
    _, first, kinds = np.unique(by_place, axis=0, return_index=True, return_inverse=True)
    nonzero, every = np.moveaxis(by_place[first].reshape(len(first), shape[0], 2), -1, 0)
    return Reach(kinds.ravel(), np.stack([np.ones_like(nonzero), nonzero, every]), int(both[1].sum()))


def kernels_here(device: str) -> Kernels:
    """Which functions to use: fast ones on the CPU unless the environment says otherwise."""
    return "plain" if device != "cpu" or os.environ.get("SPIKEPORT_KERNELS") == "plain" else "fast"


def build(graph: Graph, device: str, kernels: Kernels, entering: Range | None) -> Program:
    """Make a graph ready; ``entering`` is the range of its integer input, None for real numbers.

    Raises SP503 for nodes that the engine does not know, SP509 for integers that may grow too large.
    """
    if entering is not None:
        summing = shift_each(graph)
        bound = exact_ranges(summing, entering)
        made = _fast_integers(summing, device, bound) if kernels == "fast" else _plain(summing, device, torch.int64)
        return replace(made, graph=graph)
    dtype = torch.float64 if getattr(graph.arithmetic, "dtype", "") == "float64" else torch.float32
    return _plain(graph, device, dtype) if kernels == "plain" else _fast_real(graph, device, dtype)


def _plain(graph: Graph, device: str, dtype: torch.dtype) -> Program:
    steps = {name: synapse.prepare(node, dtype, device) for name, node in _stateless(graph).items()}
    neurons = {name: _definition(node, graph) for name, node in graph.nodes_of(LIF).items()}
    return Program(graph, device, "plain", steps, neurons, dict.fromkeys(graph.nodes, dtype), whole(graph))


def _fast_real(graph: Graph, device: str, dtype: torch.dtype) -> Program:
    """Sums of spikes stay bytes until a product or a neuron takes them."""
    incoming = whole(graph)
    small = (Synapse, Delay, Flatten)
    entering = {
        name: torch.uint8 if isinstance(node, small) and (x := incoming[name]) and holding(x) == torch.uint8 else dtype
        for name, node in graph.nodes.items()
    }
    arithmetic = graph.arithmetic
    assert isinstance(arithmetic, Real)
    steps: dict[str, Step] = {}
    for name, node in _stateless(graph).items():
        step = synapse.prepare(node, dtype, device)
        steps[name] = partial(_widened, step, dtype) if isinstance(node, Synapse) else step
    neurons: dict[str, Neurons] = {}
    for name, layer in graph.nodes_of(LIF).items():
        neurons[name] = cpu.prepare(layer, None, layer.shape, arithmetic) or _definition(layer, graph)
    return Program(graph, device, "fast", steps, neurons, entering, incoming)


def _widened(step: Step, dtype: torch.dtype, x: Tensor) -> Tensor:
    return step(x.to(dtype))


def whole(graph: Graph) -> dict[str, Range | None]:
    """The range of what enters each node where it is nothing but sums of spikes; None where it may be anything."""
    bounds: dict[str, Range | None] = {name: Range(0, 1) for name in graph.nodes_of(LIF)}
    for name in graph.nodes_of(Delay):
        spikes = all(isinstance(graph.nodes[source], LIF) for source in graph.sources(name))
        bounds[name] = _added(graph, name, bounds) if spikes else None
    for name in graph.order:
        if name not in bounds:
            spikes = isinstance(graph.nodes[name], Flatten) and all(bounds[source] for source in graph.sources(name))
            bounds[name] = _added(graph, name, bounds) if spikes else None
    return {name: _added(graph, name, bounds) for name in graph.nodes}


def _added(graph: Graph, name: str, bounds: Mapping[str, Range | None]) -> Range | None:
    parts = [bounds[source] for source in graph.sources(name)]
    known = [part for part in parts if part is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(parts) else None


def _definition(node: LIF, graph: Graph) -> Neurons:
    """The plain version of a layer."""
    profile = graph.arithmetic.profile if isinstance(graph.arithmetic, Loihi) else None
    run = neuron.real if profile is None else partial(neuron.loihi, profile=profile)

    def call(x: Tensor, state: Any, start: int, steps: int, *, keep: bool, watch: bool) -> Fired:
        return run(node, x if profile is None else x.long(), state, start, steps)

    return call


def _fast_integers(graph: Graph, device: str, bounds: Mapping[str, Range]) -> Program:
    """For each layer the door's way, or where it has none the plain definition."""
    arithmetic = graph.arithmetic
    assert isinstance(arithmetic, Loihi)
    entering = {name: into(graph, name, bounds) for name in graph.nodes}
    types = {name: holding(x) for name, x in entering.items()}
    steps: dict[str, Step] = {}
    neurons: dict[str, Neurons] = {}
    joined: set[str] = set()
    for name, node in graph.nodes_of(LIF).items():
        source, before = _own_synapse(graph, name)
        layer = cpu.Joined(before, node) if before else None
        if layer and (both := cpu.prepare(layer, entering[source], graph.input_shape(source), arithmetic)):
            neurons[name], types[name] = both, types[source]
            joined.add(source)
        elif alone := cpu.prepare(node, entering[name], node.shape, arithmetic):
            neurons[name], types[name] = alone, torch.int32
        else:
            neurons[name] = _definition(node, graph)
    for name, other in _stateless(graph).items():
        if isinstance(other, Synapse) and name not in joined:
            steps[name] = cpu.prepare(other, entering[name], graph.input_shape(name), arithmetic)
        elif name not in joined:
            steps[name] = _small(other, graph.shapes[name], entering[name], bounds[name])
    return Program(graph, device, "fast", steps, neurons, types, entering, frozenset(joined))


def _stateless(graph: Graph) -> dict[str, Node]:
    return {name: node for name, node in graph.nodes.items() if not isinstance(node, Input | LIF | Delay | Readout)}


def _own_synapse(graph: Graph, name: str) -> tuple[str, Synapse | None]:
    """The synapse that a neuron layer alone reads, and nothing else; None where there is none."""
    source, *others = graph.sources(name)
    node = graph.nodes[source]
    alone = not others and graph.targets(source) == (name,)
    return source, node if alone and isinstance(node, Synapse) else None


def _small(node: Node, shape: Shape, entering: Range, leaving: Range) -> Step:
    """Pools, scales and the like on values in small types; what leaves has the type of its range."""
    if isinstance(node, Pool):
        return lambda x: _sum_pool(node, x, holding(leaving))
    if isinstance(node, Scale):
        dtype = holding(entering | leaving)
        factor = torch.as_tensor(np.array(over_neurons(node.factor, shape), dtype=np.int64)).to(dtype)
        return lambda x: (x.to(dtype) * factor).to(holding(leaving))
    return synapse.prepare(node, torch.int64, "cpu")


def _sum_pool(node: Pool, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Windows summed place by place: as many additions of whole maps as a window has places."""
    sides = [side for p in reversed(node.padding) for side in (p, p)]
    x = torch.nn.functional.pad(x, sides) if any(sides) else x
    total = None
    for place in np.ndindex(*node.kernel):
        cuts = tuple(
            slice(k, n - kernel + k + 1, stride)
            for k, n, kernel, stride in zip(place, x.shape[3:], node.kernel, node.stride, strict=True)
        )
        part = x[(slice(None), slice(None), slice(None), *cuts)]
        total = part.to(dtype, copy=True) if total is None else total.add_(part)
    assert total is not None
    return total
