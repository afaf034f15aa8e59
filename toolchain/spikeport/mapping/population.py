"""Where a graph lies in Xylo's one population of neurons: which are hidden and which at its output, and when they run.

The chip has one population of hidden neurons, whatever layers they are. An event of the input reaches it at the same
step, a spike of its own one step later, and one step later also its output neurons: layers run one after the other,
each late by one step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import (
    LIF,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    Norm,
    Pool,
    Readout,
    Scale,
    Synapse,
    meaning,
)

KNOWN = (Input, Linear, Conv, LIF, CubaLIF, Pool, Flatten, Scale, Delay, Readout)

LARGEST = 2**24  #: weights between two layers, unrolled
SHIFT_TOP = 7  #: bits by which the weights of a population are shifted at most; 16 bits hold them then


@dataclass(frozen=True)
class Route:
    """A way from one layer, or the input, to another, through nodes without state."""

    source: str
    sink: str
    between: tuple[str, ...]
    steps: int  #: that delays on the way hold a spike back


@dataclass(frozen=True)
class Layout:
    """A graph on the chip."""

    hidden: tuple[str, ...]  #: layers, in the order of the graph
    out: str | None  #: the layer at the output neurons
    depth: Mapping[str, int]  #: of layers and the input: the chip's step that is the network's first
    weights: Mapping[str, Array]  #: [from, to] into the hidden from the input and from themselves, into the output
    shifts: Mapping[str, int]  #: bits by which each of the three is shifted


def layout(graph: Graph) -> tuple[Layout | None, list[Finding]]:
    """Where a graph of whole numbers lies; None, and why, where it has no place."""
    if findings := [*_unknown(graph)]:
        return None, findings
    ways = list(routes(graph))
    if findings := [*_unended(graph), *_too_large(graph, ways)]:
        return None, findings
    out = _out(graph, ways)
    hidden = tuple(name for name in graph.order if isinstance(graph.nodes[name], LIF) and name != out)
    depth, findings = _depth(graph, ways)
    places, at = {graph.input: slice(None)}, 0
    for name in hidden:
        places[name] = slice(at, at := at + _size(graph, name))
    sizes = {"input": (_size(graph, graph.input), at), "hidden": (at, at), "out": (at, _size(graph, out) if out else 0)}
    weights = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    for way in ways:
        into = "out" if way.sink == out else "input" if way.source == graph.input else "hidden"
        columns = slice(None) if way.sink == out else places[way.sink]
        weights[into][places[way.source], columns] += _weight(graph, way)
    shifts = {name: _shift(weight) for name, weight in weights.items()}
    findings += [*_wide(weights, shifts)]
    return (None if findings else Layout(hidden, out, depth, weights, shifts)), findings


def _unknown(graph: Graph) -> Iterator[Finding]:
    mends: dict[type[Node], str] = {Norm: "fold it first: passes.fold_norm"}
    for name, node in graph.nodes.items():
        if type(node) not in KNOWN:
            what = f"Xylo has no {type(node).__name__}"
            yield Finding("SP671", what, f"node {name!r}", mend=mends.get(type(node), "take it out"))


def routes(graph: Graph) -> Iterator[Route]:
    """Every way into every layer."""
    for name in graph.nodes_of(LIF):
        for source, between in _back(graph, name, ()):
            steps = sum(node.steps for each in between if isinstance(node := graph.nodes[each], Delay))
            yield Route(source, name, between, steps)


def populations(graph: Graph) -> dict[str, str]:
    """For each synapse where its weights are on the chip: from the "input", among "hidden" neurons, or into "out"."""
    ways = list(routes(graph))
    out = _out(graph, ways)
    names: dict[str, str] = {}
    for way in ways:
        into = "out" if way.sink == out else "input" if way.source == graph.input else "hidden"
        names |= {name: into for name in way.between if isinstance(graph.nodes[name], Synapse)}
    return names


def _back(graph: Graph, name: str, between: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for source in graph.sources(name):
        if isinstance(graph.nodes[source], LIF | Input):
            yield source, between
        elif source not in between:  # loops without neurons have no place: `_unended`
            yield from _back(graph, source, (source, *between))


def _unended(graph: Graph) -> Iterator[Finding]:
    """Delays that feed back to themselves without a neuron in between, which the chip has not."""
    for name in graph.nodes_of(Delay):
        seen, waiting = set[str](), [name]
        while waiting:
            for source in graph.sources(waiting.pop()):
                if source not in seen and not isinstance(graph.nodes[source], LIF | Input):
                    seen.add(source)
                    waiting.append(source)
        if name in seen:
            what = "a loop without neurons leads through it"
            yield Finding("SP674", what, f"node {name!r}", mend="put neurons into the loop, or --target integer")


def _too_large(graph: Graph, ways: list[Route]) -> Iterator[Finding]:
    for way in ways:
        size = _size(graph, way.source) * _size(graph, way.sink)
        if size > LARGEST:
            what = f"unrolled it has {size:,} weights from {way.source!r}, {LARGEST:,} are taken at most"
            yield Finding("SP674", what, f"node {way.sink!r}", mend="take a smaller network")


def _out(graph: Graph, ways: list[Route]) -> str | None:
    """The layer that may lie at the output neurons: the last one, behind hidden ones, which fires once a step.

    Whoever reads it may multiply its spikes and add them up over time.
    """
    name = graph.output
    while isinstance(graph.nodes[name], Readout | Scale) and len(graph.sources(name)) == 1:
        (name,) = graph.sources(name)
    node, into = graph.nodes[name], [way.source for way in ways if way.sink == name]
    if not isinstance(node, LIF) or node.most_spikes > 1 or {name, graph.input}.intersection(into):
        return None
    alone = all(way.source != name for way in ways) and len(graph.targets(name)) <= 1
    return name if alone else None


def _depth(graph: Graph, ways: list[Route]) -> tuple[dict[str, int], list[Finding]]:
    """When each layer runs the network's first step, so that every spike comes when it should."""
    depth, waiting = {graph.input: 0}, [graph.input]
    while waiting:
        here = waiting.pop()
        for way in ways:
            late = _late(graph, way)
            for near, far, step in ((way.source, way.sink, late), (way.sink, way.source, -late)):
                if near == here and far not in depth:
                    depth[far] = depth[near] + step
                    waiting.append(far)
    findings = [
        Finding(
            "SP674",
            f"the spikes of {way.source!r} enter after {way.steps} steps, on the chip after "
            f"{way.steps + depth[way.source] + _late(graph, way) - depth[way.sink]}",
            f"node {way.sink!r}",
            why="every connection takes one step but the input's, and layers run one after the other.",
            mend="delays of one step in loops, and no ways beside a layer; or --target integer",
        )
        for way in ways
        if depth[way.source] + _late(graph, way) != depth[way.sink]
    ]
    first = min(depth.values())
    return {name: value - first for name, value in depth.items()}, findings


def _late(graph: Graph, way: Route) -> int:
    return (way.source != graph.input) - way.steps


def _weight(graph: Graph, way: Route) -> Array:
    """Every weight of a way, [from, to]: what one event makes of the neurons' currents."""
    shape, size = graph.shapes[way.source], _size(graph, way.source)
    x = np.eye(size).reshape(1, size, *shape)
    for name in way.between:
        node = graph.nodes[name]
        x = x if isinstance(node, Delay) else meaning.apply(node, x, graph.arithmetic)
    return np.asarray(x.reshape(size, -1).astype(np.int64))


def _shift(weight: Array) -> int:
    """The bits that are zero below all weights."""
    bits = int(np.bitwise_or.reduce(np.abs(weight), axis=None)) if weight.size else 0
    return min(SHIFT_TOP, (bits & -bits).bit_length() - 1) if bits else 0


def _wide(weights: Mapping[str, Array], shifts: Mapping[str, int]) -> Iterator[Finding]:
    whither = {"input": "from the input", "hidden": "among hidden neurons", "out": "into the output neurons"}
    for name, weight in weights.items():
        mantissas = weight >> shifts[name]
        if weight.size and (mantissas.min() < -128 or mantissas.max() > 127):
            yield Finding(
                "SP675",
                f"the weights {whither[name]} reach from {weight.min()} to {weight.max()}, shifted by {shifts[name]} "
                "bits all of them: 8 bits do not hold them",
                why="one shift holds for all weights of a population; pools and scales are in them.",
                mend="quantise for the profile xylo, which chooses one shift; or one hidden layer",
            )


def _size(graph: Graph, name: str) -> int:
    return int(np.prod(graph.shapes[name]))
