"""The neurons of a graph that feed back to themselves in a way that one compiled loop computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch

from spikeport.engine import cpu
from spikeport.engine.integers import holding
from spikeport.engine.neuron import Circuit, Cycle, Neurons
from spikeport.engine.stretches import Stretch, stretches
from spikeport.graph import ALIF, LIF, CubaLIF, Delay, Graph, Input, Linear, Range, Real

NEURONS = LIF, CubaLIF, ALIF  #: that a loop of one matrix runs


def cycles(
    graph: Graph, neurons: Mapping[str, Neurons], entering: Mapping[str, Range | None]
) -> tuple[dict[str, Cycle], dict[str, str]]:
    """By neuron layer: those whose spikes come back by a matrix alone, a step later; and the matrix by which alone
    something else enters some of them, whose sums they make too."""
    ready: dict[str, Cycle] = {}
    joined: dict[str, str] = {}
    for name, back, last in filter(None, (_found(graph, stretch) for stretch in stretches(graph))):
        matrix, own = cast(Linear, graph.nodes[back]), _own(graph, name, last, entering)
        if own is not None and (cycle := cpu.fed_back(matrix, neurons[name], own[1])):
            ready[name], joined[name] = cycle, own[0]
        elif cycle := cpu.fed_back(matrix, neurons[name]):
            ready[name] = cycle
    return ready, joined


def circuits(
    graph: Graph,
    alone: Callable[[str], Neurons | None],
    known: Mapping[str, Cycle],
    entering: Mapping[str, Range | None],
    leaving: Mapping[str, Range],
    dtype: np.dtype[Any],
) -> tuple[dict[tuple[str, ...], Circuit], set[str]]:
    """All other cycles that a loop can run, by their nodes; and the matrices by which something enters them, whose sums
    they make too.

    ``alone``: a layer by itself; ``entering``: what enters each node, None of real numbers; ``leaving``: what leaves
    each, of integers; ``dtype``: in which all is computed, of integers int32.
    """
    ready: dict[tuple[str, ...], Circuit] = {}
    joined: set[str] = set()
    layers = graph.nodes_of(LIF)
    for names in (stretch.names for stretch in stretches(graph) if stretch.feeds_back):
        if known.keys().isdisjoint(names):
            outside = dict.fromkeys(source for name in names for source in graph.sources(name) if source not in names)
            own = tuple(name for name in outside if _repays(graph, name, names, entering) is not None)
            known_sizes = [*map(entering.get, names), *map(leaving.get, (*names, *outside))]
            if not all(x is None or x.size < 2**31 for x in known_sizes):
                continue
            neurons = {name: layer for name in names if name in layers and (layer := alone(name))}
            circuit = cpu.looped(graph, names, own, neurons, dtype, entering)
            if circuit is not None:
                ready[names] = circuit
                joined.update(own)
    return ready, joined


def _found(graph: Graph, stretch: Stretch) -> tuple[str, str, str] | None:
    """The neurons of a stretch, its matrix, and which of matrix and delay is the last on the way back to the neurons.

    None where something else feeds back. A delay behind a matrix holds what the matrix made of the step before, but
    zero before the first: that is the other order, if the matrix has no bias.
    """
    kinds = {type(graph.nodes[name]): name for name in stretch.names}
    name, back, delay = (
        next((kinds[kind] for kind in NEURONS if kind in kinds), None),
        kinds.get(Linear),
        kinds.get(Delay),
    )
    if not stretch.feeds_back or len(stretch.names) != 3 or name is None or back is None or delay is None:
        return None
    node, matrix, past = graph.nodes[name], graph.nodes[back], graph.nodes[delay]
    assert isinstance(node, LIF)
    assert isinstance(matrix, Linear)
    assert isinstance(past, Delay)
    ways = [(name, delay, back), *([(name, back, delay)] if matrix.bias is None else [])]
    way = next((way for way in ways if all(graph.sources(b) == (a,) for a, b in pairwise(way))), None)
    apart = len(graph.sources(name)) > 1 and len(graph.operands(name)) == 1
    return (name, back, way[-1]) if way and past.steps == 1 and len(node.shape) == 1 and apart else None


def _own(
    graph: Graph, name: str, last: str, entering: Mapping[str, Range | None]
) -> tuple[str, tuple[Linear, int | None]] | None:
    """The matrix by which alone something else enters neurons, and the most that enters it, None of real numbers.

    None where there is none, or adding its rows does not repay.
    """
    own, *others = (source for source in graph.sources(name) if source != last)
    found = None if others else _repays(graph, own, (name,), entering)
    return None if found is None else (own, found)


def _repays(
    graph: Graph, name: str, readers: tuple[str, ...], entering: Mapping[str, Range | None]
) -> tuple[Linear, int | None] | None:
    """A matrix of features that these alone read, and the most that enters it, None of real numbers.

    None for other nodes, and where adding its rows does not repay.
    """
    node, x = graph.nodes[name], entering[name]
    if not set(graph.targets(name)) <= set(readers) or name in graph.outputs or not isinstance(node, Linear):
        return None
    before = graph.nodes[graph.sources(name)[0]]
    still = isinstance(before, Input) and before.coding == "direct"
    most = int(x.high) if x is not None and holding(x) == torch.uint8 else None
    known = most is not None or isinstance(graph.arithmetic, Real)
    repays = known and cpu.repays(node, most)
    return (node, most) if repays and len(graph.shapes[name]) == 1 and not still else None
