"""How large values can get: the one range analysis, for engine, formats, quantisation, targets and checks.

Every value of a graph lies in a `Range` that holds for all inputs within the input's own range, all steps and all
samples. It is found by interval arithmetic, one node after the other:

1. A neuron sends 0 or 1. An edge sum adds the ranges; a pool adds as many as its window has places. An operation
   says itself what leaves it (`Operation.reach`).
2. A synapse's sums, whole and partial, are bounded by its arithmetic (`bounds.product` for both of ours).
3. A delay sends zero before its first step, and what entered it before. Where a loop contains no neuron, the ranges of
   step t follow from those of step t - 1, so repeating the whole graph T times bounds every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

import numpy as np

from spikeport.graph.bounds import Number, Range
from spikeport.graph.graph import Graph
from spikeport.graph.neurons import LIF
from spikeport.graph.operation import Operation, united
from spikeport.graph.plumbing import Delay, Input, Norm, Pool, Scale
from spikeport.graph.shifts import shift_each
from spikeport.graph.synapses import Synapse

BEYOND = 2**62  #: from here on a bound is no bound: no format holds it, and a loop would make it ever longer


def ranges(graph: Graph, entering: Range | None = None) -> dict[str, Range]:
    """The range of what leaves each node; ``entering`` that of the input's values, where it is not the input's own."""
    graph = shift_each(graph)
    bounds: dict[str, Range] = {name: Range(0, 0) for name in graph.nodes_of(Delay)}
    for _ in range(graph.timesteps if graph.recurrent else 1):
        before = dict(bounds)
        for name in graph.order:
            node = graph.nodes[name]
            if isinstance(node, Input):
                bounds[name] = entering or own_range(graph, node)
            elif not (isinstance(node, Delay) and graph.recurrent):  # whose sources may come later
                bounds[name] = _limited(leaving(graph, name, bounds))
        for name in graph.nodes_of(Delay) if graph.recurrent else ():
            bounds[name] = _limited(bounds[name] | into(graph, name, bounds))
        if bounds == before:
            break
    return bounds


def own_range(graph: Graph, node: Input) -> Range:
    """What may enter a graph, as its input says: infinite where that is unknown."""
    low, high = float(node.low), float(node.high)
    if not graph.arithmetic.whole:
        return Range(low, high)
    return Range(int(np.floor(low)) if np.isfinite(low) else low, int(np.ceil(high)) if np.isfinite(high) else high)


def into(graph: Graph, name: str, bounds: Mapping[str, Range]) -> Range:
    """The range of what enters a node: the sum over its edges, or what holds each operand; of an input its own."""
    return united(operands(graph, name, bounds)) if graph.sources(name) else bounds[name]


def operands(graph: Graph, name: str, bounds: Mapping[str, Range]) -> list[Range]:
    """The range of each operand of a node: sums over edges."""
    return [_sum([bounds[source] for source in group]) for group in graph.operands(name)]


def _sum(parts: list[Range]) -> Range:
    return Range(reduce(add, [part.low for part in parts]), reduce(add, [part.high for part in parts]))


def sums(graph: Graph, name: str, bounds: Mapping[str, Range]) -> Range:
    """The range of a synapse's sums and partial sums before its exponent; of other nodes zero.

    ``graph`` holds the weights that are added, as `shift_each` puts them there.
    """
    node = graph.nodes[name]
    return graph.arithmetic.reach(node, into(graph, name, bounds))[0] if isinstance(node, Synapse) else Range(0, 0)


def leaving(graph: Graph, name: str, bounds: Mapping[str, Range]) -> Range:
    """The range of what leaves a node; of a synapse after its exponent."""
    node, (x, *others) = graph.nodes[name], operands(graph, name, bounds)
    if isinstance(node, Operation):
        return node.reach([graph.shapes[group[0]] for group in graph.operands(name)], x, *others)
    if isinstance(node, LIF):
        return Range(0, node.most_spikes)
    if isinstance(node, Synapse):
        return graph.arithmetic.reach(node, x)[1]
    if isinstance(node, Pool):
        area, x = (int(np.prod(node.kernel)) if node.kind == "sum" else 1), x.with_zero()
        return Range(area * x.low, area * x.high)
    if isinstance(node, Scale):
        return x.times(node.factor)
    if isinstance(node, Norm):
        gain, shift = node.gain_and_shift()
        return x.times(gain) + Range(float(shift.min()), float(shift.max()))
    return x.with_zero() if isinstance(node, Delay) else x


def _limited(bound: Range) -> Range:
    return Range(_known(bound.low), _known(bound.high))


def _known(end: Number) -> Number:
    return end if abs(end) < BEYOND else float(np.copysign(np.inf, end))
