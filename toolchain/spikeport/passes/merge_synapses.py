"""Two synapses in a row become one: a sum is no message, so neurons must follow each."""

from __future__ import annotations

from math import prod

import numpy as np

from spikeport.graph import Array, Conv, Graph, Linear, Synapse
from spikeport.passes.linear import real_dtype


def merge_synapses(graph: Graph) -> Graph:
    """Multiply synapses of which the first alone feeds the second, and nothing else.

    1. Two matrices: W = W2 W1, b = W2 b1 + b2.
    2. A convolution of one place (kernel and stride 1, no padding) behind any other: each kernel of the result is the
       sum of those of the first, weighted, whatever its stride and padding; the bias as in 1. Groups stay where both
       have as many, else there is one.
    3. A convolution of one place, which may be padded, before any other: the second's kernels over the first's inputs,
       behind the zeros of both. With a bias, which the second's own zeros would not have, only before one without.

    All in float64, rounded once to the graph's type. Other pairs stay.

    Requires: Real arithmetic. Ensures: spikes as before, up to rounding. Raises SP354 for integers.
    """
    dtype = real_dtype(graph, "merge_synapses")
    for name in graph.nodes_of(Synapse):
        sources = graph.sources(name)
        first, second = graph.nodes.get(sources[0]), graph[name]
        if len(sources) > 1 or graph.targets(sources[0]) != (name,) or not isinstance(first, Synapse):
            continue
        assert isinstance(second, Synapse)
        merged = _merged(first, second, dtype)
        if merged is not None:
            graph = _in_place(graph, sources[0], name, merged)
    return graph


def _in_place(graph: Graph, first: str, second: str, merged: Synapse) -> Graph:
    """The graph with one synapse in the place of two."""
    nodes = {name: merged if name == second else node for name, node in graph.nodes.items() if name != first}
    edges = [(a, second if b == first else b) for a, b in graph.edges if a != first]
    return graph.with_(nodes=nodes, edges=tuple(edges))


def _merged(first: Synapse, second: Synapse, dtype: np.dtype[np.floating]) -> Synapse | None:
    if isinstance(first, Linear) and isinstance(second, Linear):
        weight = _wide(second.weight) @ _wide(first.weight)
        return Linear(weight.astype(dtype), _bias(first, second, _wide(second.weight), dtype))
    if not isinstance(first, Conv) or not isinstance(second, Conv):
        return None
    groups = first.groups if first.groups == second.groups else 1
    a, b = (_dense(each, groups) for each in (first, second))  # [groups, out, in, *kernel]
    if _one_place(second):
        rows = b.reshape(b.shape[:3])
        weight = np.einsum("gom,gmi...->goi...", rows, a)
        bias = _bias(first, second, _dense(second, 1).reshape(second.channels, -1), dtype)
        kept = first
    elif prod(first.kernel) == prod(first.stride) == 1 and (first.bias is None or not any(second.padding)):
        weight = np.einsum("gom...,gmi->goi...", b, a.reshape(a.shape[:3]))
        whole = _dense(second, 1)
        bias = _bias(first, second, whole.reshape(*whole.shape[1:3], -1).sum(2), dtype)
        kept = second.with_(padding=tuple(p + q for p, q in zip(first.padding, second.padding, strict=True)))
    else:
        return None
    return kept.with_(weight=weight.reshape(-1, *weight.shape[2:]).astype(dtype), bias=bias, groups=groups)


def _one_place(node: Conv) -> bool:
    return prod(node.kernel) == prod(node.stride) == 1 and not any(node.padding)


def _dense(node: Conv, groups: int) -> Array:
    """The weight as [groups, out, in, *kernel] of so many groups: its own number, or 1 with zeros between them."""
    apart = _wide(node.weight).reshape(node.groups, -1, *node.weight.shape[1:])
    if groups == node.groups:
        return apart
    outputs, inputs = apart.shape[1:3]
    whole = np.zeros((1, node.groups * outputs, node.groups * inputs, *apart.shape[3:]))
    for g, part in enumerate(apart):
        whole[0, g * outputs : (g + 1) * outputs, g * inputs : (g + 1) * inputs] = part
    return whole


def _bias(first: Synapse, second: Synapse, rows: Array, dtype: np.dtype[np.floating]) -> Array | None:
    """What the first's bias becomes behind ``rows`` [out, in], and the second's."""
    if first.bias is None:
        return second.bias
    carried = rows @ _wide(first.bias)
    return np.asarray(carried + (0 if second.bias is None else _wide(second.bias)), dtype)


def _wide(value: Array) -> Array:
    return np.asarray(value, np.float64)
