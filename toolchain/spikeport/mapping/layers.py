"""The layers that a chip must hold: neurons, and the synapses that lead into them, as separable axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, reduce
from math import prod
from typing import Never

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport.graph import (
    LIF,
    Conv,
    Delay,
    Flatten,
    Graph,
    Input,
    Node,
    Norm,
    Operation,
    Pool,
    Readout,
    Scale,
    Shape,
    Synapse,
)
from spikeport.graph.pooled import pooled


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a synapse: which outputs an input reaches, and by which taps of the kernel."""

    inputs: int
    outputs: int
    taps: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @cached_property
    def reached(self) -> NDArray[np.int64]:
        """[inputs, taps]: the output that an input reaches by a tap, -1 for none."""
        position = np.arange(self.inputs)[:, None] + self.padding - self.dilation * np.arange(self.taps)[None, :]
        output, rest = np.divmod(position, self.stride)
        outputs = np.where((rest == 0) & (output >= 0) & (output < self.outputs), output, -1)
        return np.asarray(outputs, dtype=np.int64)


@cache
def lists(axis: Axis, tile: int, *, shared: bool) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Along one axis of the largest tile: synapses of a list, how many lists have so many, and inputs that reach it.

    ``shared``: inputs that reach the same taps at the same offsets share a list; else each input has its own.
    """
    best, most = np.zeros(0, dtype=np.int64), 0
    starts = sorted({0, (axis.outputs // tile // 2) * tile, (axis.outputs - 1) // tile * tile})
    for start in starts:
        inside = (axis.reached >= start) & (axis.reached < start + tile)
        inside = inside[inside.any(1)]
        most = max(most, len(inside))
        kinds = np.unique(inside, axis=0) if shared and len(inside) else inside
        if kinds.sum() > best.sum():
            best = kinds.sum(1)
    lengths, counts = np.unique(best, return_counts=True)
    return lengths, counts, most


@cache
def spread_to(axis: Axis, tile: int) -> NDArray[np.bool_]:
    """[inputs, tiles]: which tiles of outputs each input reaches."""
    reached = np.zeros((axis.inputs, -(-axis.outputs // tile)), dtype=bool)
    inputs, taps = np.nonzero(axis.reached >= 0)
    reached[inputs, axis.reached[inputs, taps] // tile] = True
    return reached


def spread(axis: Axis, tile: int) -> int:
    """How many tiles of outputs an input reaches, at most."""
    return int(spread_to(axis, tile).sum(1).max(initial=0))


@dataclass(frozen=True)
class Projection:
    """One synapse into a layer, from the layers whose spikes it gets."""

    synapse: str | None  #: None where spikes enter without one
    senders: tuple[str, ...]  #: one twice whose spikes enter with two delays
    inputs: int  #: input channels of one group
    outputs: int  #: output channels of one group
    groups: int
    axes: tuple[Axis, ...]
    area: int  #: neurons that share an input position, by a pool in between
    before: tuple[Axis, ...]  #: the pool between the senders and the synapse, () where there is none
    population: int  #: channels at one position, which one population axon serves
    pools: tuple[Pool, ...] = ()  #: between a convolution and the layer, merged into the axes

    @property
    def synapses(self) -> int:
        """Synapses of the whole layer, borders exact, one for each weight and position."""
        per_axis = (int((axis.reached >= 0).sum()) for axis in self.axes)
        return self.inputs * self.outputs * self.groups * prod(per_axis)


@dataclass(frozen=True)
class Layer:
    """Neurons that belong together: [channels, *space], in the order of the graph's node."""

    name: str
    shape: Shape
    projections: tuple[Projection, ...]

    @property
    def neurons(self) -> int:
        """How many there are."""
        return int(np.prod(self.shape, dtype=np.int64))


def layers(graph: Graph) -> dict[str, Layer]:
    """The spiking layers and the readout, in order. Raises SP722 for a path between layers that has no mapping."""
    for name in _alone(graph):
        fail("SP722", "a sum that comes back to itself without neurons cannot be mapped", where=f"node {name!r}")
    return {name: _layer(graph, name) for name in graph.nodes_of(LIF, Readout)}


def _alone(graph: Graph) -> list[str]:
    """The nodes before which there is a cycle without neurons; no way back to neurons ends there."""
    ready: set[str] = set()
    waiting = list(graph.nodes)
    while True:
        ends = {
            name
            for name in waiting
            if isinstance(graph.nodes[name], LIF | Input) or all(source in ready for source in graph.sources(name))
        }
        if not ends:
            return waiting
        ready |= ends
        waiting = [name for name in waiting if name not in ends]


def _layer(graph: Graph, name: str) -> Layer:
    """Neurons as their synapses see them: a Flatten between convolution and neurons takes no space away."""
    projections = tuple(each for source in graph.sources(name) for each in _projections(graph, source))
    shape = graph.shapes[name]
    spaces = {(each.groups * each.outputs, *(axis.outputs for axis in each.axes)) for each in projections}
    if all(len(space) == len(shape) for space in spaces):
        return Layer(name, shape, projections)
    if len(spaces) > 1:
        fail(
            "SP722",
            f"synapses of the shapes {' and '.join(map(str, sorted(spaces)))} meet behind a Flatten",
            where=f"node {name!r}",
            mend="give the dense or the convolutional synapse neurons of its own",
        )
    return Layer(name, spaces.pop(), projections)


def _projections(graph: Graph, source: str, behind: tuple[Pool, ...] = ()) -> list[Projection]:
    """Backwards from a layer: through reshapes and pools to its synapse, or to a layer that enters directly."""
    node = graph.nodes[source]
    pools = behind
    while not isinstance(node, Synapse | LIF | Input):
        if isinstance(node, Pool):
            pools = (node, *pools)
        elif not isinstance(node, Flatten | Scale | Norm | Delay):
            _unmapped(source, node)
        sources = graph.sources(source)
        if len(sources) > 1:
            return [each for one in sources for each in _projections(graph, one, pools)]
        source, node = sources[0], graph.nodes[sources[0]]
    if isinstance(node, Synapse):
        return [_of_synapse(graph, source, node, pools)]
    return [_direct(graph, source, graph.shapes[source], pools)]


def _unmapped(name: str, node: Node) -> Never:
    fail("SP722", f"a {type(node).__name__} cannot be mapped", where=f"node {name!r}")


def _of_synapse(graph: Graph, name: str, node: Synapse, pools: tuple[Pool, ...]) -> Projection:
    senders, area, before = _senders(graph, name)
    shape = graph.input_shape(name)
    if not isinstance(node, Conv):
        maps = [graph.shapes[sender] for sender in senders if len(graph.shapes[sender]) > 1]
        population = int(maps[0][0]) if maps else 1
        return Projection(name, senders, int(shape[0]), node.channels, 1, (), area, before, population)
    inputs, outputs = int(node.weight.shape[1]), node.channels // node.groups
    axes = _axes(node, shape, pools)
    return Projection(name, senders, inputs, outputs, node.groups, axes, area, before, int(shape[0]), pools)


def _axes(conv: Conv, shape: Shape, pools: tuple[Pool, ...]) -> tuple[Axis, ...]:
    """Those of a convolution with the pools behind it."""
    conv = reduce(pooled, pools, conv)
    windows = (conv.kernel, conv.stride, conv.padding, conv.dilation)
    _, *sizes = conv.output_shape(shape)
    return tuple(Axis(*axis) for axis in zip(shape[1:], sizes, *windows, strict=True))


def _direct(graph: Graph, source: str, shape: Shape, pools: tuple[Pool, ...]) -> Projection:
    """Spikes that enter a layer without a weight: one synapse a neuron (or a pool's window)."""
    plain = (1,) * (len(shape) - 1)
    axes: tuple[Axis, ...] = ()
    if plain:
        none = (0,) * len(plain)
        one = Conv(np.ones((shape[0], 1, *plain)), stride=plain, padding=none, dilation=plain, groups=shape[0])
        axes = _axes(one, shape, pools)
    return Projection(None, (source,), 1, 1, int(shape[0]), axes, 1, (), int(shape[0]))


def _senders(graph: Graph, name: str) -> tuple[tuple[str, ...], int, tuple[Axis, ...]]:
    """The layers whose spikes enter a synapse, how many neurons stand behind one input position, and by which pool.

    A layer is named once for each delay with which its spikes enter: they are synapses of their own.
    """
    senders: list[tuple[str, int]] = []
    area = 1
    before: tuple[Axis, ...] = ()
    todo = [(source, 0) for source in graph.sources(name)]
    while todo:
        here, late = todo.pop(0)
        node = graph.nodes[here]
        if isinstance(node, LIF | Input):
            senders.append((here, late))
            continue
        if isinstance(node, Synapse):
            fail(
                "SP722",
                f"the synapse {here!r} leads into the synapse {name!r} without neurons in between",
                where=f"node {name!r}",
                mend="fold the two into one",
            )
        if isinstance(node, Operation):
            _unmapped(here, node)
        if isinstance(node, Pool):
            sizes = zip(graph.input_shape(here)[1:], graph.shapes[here][1:], strict=True)
            pool = tuple(
                Axis(size, out, node.kernel[a], node.stride[a], node.padding[a]) for a, (size, out) in enumerate(sizes)
            )
            if before and before != pool:
                fail("SP722", "gets spikes through more than one pool", where=f"node {name!r}")
            area, before = int(np.prod(node.kernel)), pool
        late += node.steps if isinstance(node, Delay) else 0
        todo += [(source, late) for source in graph.sources(here)]
    return tuple(sender for sender, _ in dict.fromkeys(senders)), area, before
