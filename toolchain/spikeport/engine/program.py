"""A graph made ready to run: each node a function, chosen once for the device and the range of the input.

Three sets of functions compute the same:

- ``plain``: PyTorch's own operations, integers as int64. The tested definition; runs on every device.
- ``fast``, real: PyTorch's products, the neurons on compiled loops.
- ``fast``, integers: exact products of bytes (`products`), values between the layers in the smallest type that holds
  their range (`ranges`), the neurons on compiled loops that take a synapse's sums as they come and apply its exponent.

``SPIKEPORT_KERNELS=plain`` in the environment forces the first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import neuron, synapse
from spikeport.engine.cpu import fused, pair, products
from spikeport.engine.cpu.products import Product
from spikeport.engine.neuron import Fired
from spikeport.engine.ranges import Range, into, ranges
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
    Readout,
    Scale,
    Shape,
    Synapse,
    over_neurons,
)
from spikeport.graph.reach import reach

Kernels = Literal["plain", "fast"]
Step = Callable[[Tensor], Tensor]

#: bytes of values at once where the caller sets no limit: they stay in a last-level cache, and the memory that one
#: block of samples gives back the next one takes
WORKING_SET = 40 << 20


class Neurons(Protocol):
    """One neuron layer, some steps of it."""

    def __call__(self, x: Tensor, state: Any, start: int, steps: int, *, keep: bool, watch: bool) -> Fired:
        """As `neuron.real`; membranes if ``keep``, active neurons if ``watch``."""


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
    as_they_come: frozenset[str] = frozenset()  #: neuron layers that take a synapse's sums in whatever type it makes
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
    some, every = np.moveaxis(by_place[first].reshape(len(first), shape[0], 2), -1, 0)
    return Reach(kinds.ravel(), np.stack([np.ones_like(some), some, every]), int(both[1].sum()))


def kernels_here(device: str) -> Kernels:
    """Which functions to use: fast ones on the CPU unless the environment says otherwise."""
    return "plain" if device != "cpu" or os.environ.get("SPIKEPORT_KERNELS") == "plain" else "fast"


def build(graph: Graph, device: str, kernels: Kernels, entering: Range | None) -> Program:
    """Make a graph ready; ``entering`` is the range of its integer input, None for real numbers.

    Raises SP503 for nodes that the engine does not know, SP509 for integers that may grow too large.
    """
    if entering is not None:
        bound = ranges(graph, entering)
        if kernels == "fast":
            return _fast_integers(graph, device, bound)
        return _plain(graph, device, torch.int64, kernels)
    dtype = torch.float64 if getattr(graph.arithmetic, "dtype", "") == "float64" else torch.float32
    return _plain(graph, device, dtype, kernels) if kernels == "plain" else _fast_real(graph, device, dtype)


def _plain(graph: Graph, device: str, dtype: torch.dtype, kernels: Kernels) -> Program:
    steps = {name: synapse.prepare(node, dtype, device) for name, node in _stateless(graph).items()}
    top = _top(graph) if dtype == torch.int64 else None
    neurons = {name: _definition(node, top) for name, node in graph.nodes_of(LIF).items()}
    return Program(graph, device, kernels, steps, neurons, dict.fromkeys(graph.nodes, dtype), whole(graph))


def _fast_real(graph: Graph, device: str, dtype: torch.dtype) -> Program:
    """Sums of spikes stay bytes until a product or a neuron takes them."""
    incoming = whole(graph)
    small = (Synapse, Delay, Flatten)
    entering = {
        name: torch.uint8 if isinstance(node, small) and (x := incoming[name]) and x.dtype == torch.uint8 else dtype
        for name, node in graph.nodes.items()
    }
    steps: dict[str, Step] = {}
    for name, node in _stateless(graph).items():
        step = synapse.prepare(node, dtype, device)
        steps[name] = partial(_widened, step, dtype) if isinstance(node, Synapse) else step
    kind = np.dtype(str(dtype).removeprefix("torch."))
    neurons = {name: fused.prepare(node, kind) for name, node in graph.nodes_of(LIF).items()}
    return Program(graph, device, "fast", steps, neurons, entering, incoming)


def _widened(step: Step, dtype: torch.dtype, x: Tensor) -> Tensor:
    return step(x.to(dtype))


def whole(graph: Graph) -> dict[str, Range | None]:
    """The range of what enters each node where it is nothing but sums of spikes; None where it may be anything."""
    found: dict[str, Range | None] = {name: Range(0, 1) for name in graph.nodes_of(LIF)}
    for name in graph.nodes_of(Delay):
        found[name] = Range(0, 1) if all(source in found for source in graph.sources(name)) else None
    for name in graph.order:
        if name not in found:
            spikes = isinstance(graph.nodes[name], Flatten) and all(found[source] for source in graph.sources(name))
            found[name] = _added(graph, name, found) if spikes else None
    return {name: _added(graph, name, found) for name in graph.nodes}


def _added(graph: Graph, name: str, found: Mapping[str, Range | None]) -> Range | None:
    parts = [found[source] for source in graph.sources(name)]
    known = [part for part in parts if part is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(parts) else None


def _definition(node: LIF, top: int | None) -> Neurons:
    """The plain version of a layer."""
    run = neuron.real if top is None else partial(neuron.loihi, top=top)

    def call(x: Tensor, state: Any, start: int, steps: int, *, keep: bool, watch: bool) -> Fired:
        return run(node, x if top is None else x.long(), state, start, steps)

    return call


def _fast_integers(graph: Graph, device: str, bound: Mapping[str, Range]) -> Program:
    top = _top(graph)
    enters = {name: into(graph, name, bound) if graph.sources(name) else bound[name] for name in graph.nodes}
    types = {name: value.dtype for name, value in enters.items()}
    before: dict[str, tuple[str, Product]] = {}  # of each neuron layer that takes a synapse's sums as they come
    steps: dict[str, Step] = {}
    for name, node in _stateless(graph).items():
        if not isinstance(node, Synapse):
            steps[name] = _small(node, graph.shapes[name], enters[name], bound[name])
            continue
        product = products.prepare(node, enters[name], graph.input_shape(name), device)
        owner = _only_reader(graph, name)
        layer = graph.nodes[owner] if owner else None
        if isinstance(layer, LIF) and product.way != "float64" and fused.fits(layer, enters[owner], top):
            steps[name], before[owner] = product, (name, product)
        else:
            steps[name] = _whole(product, node.exponent, bound[name])
    neurons: dict[str, Neurons] = {}
    joined: set[str] = set()
    for name, neuron_layer in graph.nodes_of(LIF).items():
        if not fused.fits(neuron_layer, enters[name], top):
            neurons[name] = _definition(neuron_layer, top)
            continue
        source, sums = before.get(name, ("", None))
        exponent = getattr(graph.nodes[source], "exponent", 0) if source else 0
        alone = fused.prepare(neuron_layer, np.dtype(np.int32), exponent, top, enters[name])
        both = pair.prepare(sums, alone) if sums else None
        neurons[name], types[name] = both or alone, torch.float32 if sums else torch.int32
        joined |= {source} if both else set()
    return Program(graph, device, "fast", steps, neurons, types, enters, frozenset(before), frozenset(joined))


def _stateless(graph: Graph) -> dict[str, Node]:
    return {name: node for name, node in graph.nodes.items() if not isinstance(node, Input | LIF | Delay | Readout)}


def _only_reader(graph: Graph, name: str) -> str:
    """The neuron layer that alone reads a synapse, and reads nothing else; else nothing."""
    targets = graph.targets(name)
    if len(targets) == 1 and isinstance(graph.nodes[targets[0]], LIF) and graph.sources(targets[0]) == (name,):
        return targets[0]
    return ""


def _top(graph: Graph) -> int:
    """The largest membrane of the profile; the smallest is its negative."""
    assert isinstance(graph.arithmetic, Loihi)
    return int(2 ** (graph.arithmetic.profile.state_bits - 1) - 1)


def _whole(product: Product, exponent: int, leaving: Range) -> Step:
    """Sums as integers, the exponent applied."""
    wide = leaving.shifted(-exponent) if exponent < 0 else leaving
    dtype = torch.int32 if wide.size < 2**31 and leaving.size < 2**31 else torch.int64
    return lambda x: synapse.shifted(product(x).to(dtype), exponent)


def _small(node: Node, shape: Shape, entering: Range, leaving: Range) -> Step:
    """Pools, scales and the like on values in small types; what leaves has the type of its range."""
    if isinstance(node, Pool):
        return lambda x: _sum_pool(node, x, leaving.dtype)
    if isinstance(node, Scale):
        dtype = (entering | leaving).dtype
        factor = torch.as_tensor(np.array(over_neurons(node.factor, shape), dtype=np.int64)).to(dtype)
        return lambda x: (x.to(dtype) * factor).to(leaving.dtype)
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
