"""Two synapses in a row become one: a sum is no message, so neurons must follow each."""

from __future__ import annotations

from math import prod

import numpy as np

from spikeport.graph import Array, Conv, Flatten, Graph, Linear, Reshape, Synapse
from spikeport.passes.linear import real_dtype


def merge_synapses(graph: Graph) -> Graph:
    """Multiply synapses of which the first alone feeds the second, and nothing else.

    1. Two matrices: W = W2 W1, b = W2 b1 + b2.
    2. A convolution of one place (kernel and stride 1, no padding) behind any other: each kernel of the result is the
       sum of those of the first, weighted, whatever its stride and padding; the bias as in 1. Groups stay where both
       have as many, else there is one.
    3. A convolution of one place, which may be padded, before any other: the second's kernels over the first's inputs,
       behind the zeros of both. With a bias, which the second's own zeros would not have, only before one without.

    4. A convolution of one place before a matrix, with nothing but reshapes and a flatten between: W2 over what enters
       the convolution, each place of it by itself.

    All in float64, rounded once to the graph's type. Other pairs stay.

    Requires: Real arithmetic. Ensures: spikes as before, up to rounding. Raises SP354 for integers.
    """
    dtype = real_dtype(graph, "merge_synapses")
    for name in graph.nodes_of(Linear):
        while (between := _reshaped(graph, name)) is not None:
            graph = _into_matrix(graph, name, between, dtype)
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


def _reshaped(graph: Graph, name: str) -> list[str] | None:
    """The convolution of one place before a matrix, and what lies between them; None where there is none."""
    between: list[str] = []
    while True:
        sources = graph.sources(name)
        if len(sources) != 1 or graph.targets(sources[0]) != (name,):
            return None
        (name,) = sources
        between.insert(0, name)
        node = graph[name]
        if isinstance(node, Conv) and len(between) > 1:
            return between if _one_place(node) else None
        if not isinstance(node, Flatten | Reshape):
            return None


def _into_matrix(graph: Graph, name: str, between: list[str], dtype: np.dtype[np.floating]) -> Graph:
    """The graph with the convolution, and what lies behind it, within the matrix."""
    matrix, conv = graph[name], graph[between[0]]
    assert isinstance(matrix, Linear)
    assert isinstance(conv, Conv)
    weight = _wide(matrix.weight)
    for part in reversed(between[1:]):
        weight = _over(graph, part, weight)
    rows = _dense(conv, 1).reshape(conv.channels, -1)
    bias = matrix.bias
    if conv.bias is not None:
        carried = weight.reshape(*weight.shape[:2], -1).sum(2) @ _wide(conv.bias)
        bias = np.asarray(carried + (0 if bias is None else _wide(bias)), dtype)
    weight, gone = np.einsum("oc...,ci->oi...", weight, rows), set(between[:-1])
    sources = graph.sources(between[0])
    while len(sources) == 1 and isinstance(graph[sources[0]], Reshape) and len(graph.targets(sources[0])) == 1:
        weight, gone = _over(graph, sources[0], weight), gone | set(sources)
        sources = graph.sources(sources[0])
    nodes = {each: node for each, node in graph.nodes.items() if each not in gone}
    nodes |= {between[-1]: Flatten(), name: Linear(weight.reshape(len(weight), -1).astype(dtype), bias)}
    edges = [(a, b) for a, b in graph.edges if b not in gone and b != between[-1]]
    return graph.with_(nodes=nodes, edges=(*edges, *((source, between[-1]) for source in sources)))


def _over(graph: Graph, name: str, weight: Array) -> Array:
    """Rows over what leaves a reshape or a flatten, as rows over what enters it: [rows, *shape]."""
    before, node = graph.input_shape(name), graph[name]
    order = node.order if isinstance(node, Reshape) else tuple(range(len(before)))
    moved = weight.reshape(len(weight), *(before[axis] for axis in order))
    return moved.transpose(0, *(1 + order.index(axis) for axis in range(len(order))))


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
