"""Sum pools disappear into the synapses behind them."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from spikeport.findings import SpikeportError
from spikeport.graph import Array, Conv, Flatten, Graph, Linear, Node, Pool, Synapse
from spikeport.passes.linear import real_dtype


def merge_pool(graph: Graph) -> Graph:
    """Merge every sum pool into the convolution or linear layer behind it, where that is exact.

    1. Before a convolution (stride S, padding P, dilation D) a pool (kernel k, stride s, padding p) makes it one of
       stride s * S and padding p + s * P, in which the weight at i stands at the k places from s * D * i on.
    2. Before a linear layer (a `Flatten` may lie between) each weight is copied to the places that its value sums.
    3. A pool that feeds several nodes stays, and one before a padded convolution where the zeros around its map would
       become sums that reach into the image.

    One layer less in a pipeline, and more weights. Requires: Real arithmetic; averages are sums (`fold_pool`).
    Ensures: the same spikes, up to the order of summation. Raises SP354 for integers.
    """
    real_dtype(graph, "merge_pool")
    for name in reversed(list(graph.nodes_of(Pool))):
        pool, target = graph[name], _target(graph, name)
        if not isinstance(pool, Pool) or pool.kind != "sum" or not target:
            continue
        synapse, size = graph[target], graph.input_shape(name)
        made: Synapse | None = None
        if isinstance(synapse, Linear):
            made = _linear(pool, synapse, size, graph.shapes[name])
        elif isinstance(synapse, Conv) and graph.sources(target) == (name,):
            made = _conv(pool, synapse, size, graph.shapes[name])
        graph = _without(graph, name, {target: made}) if made is not None else graph
    return graph


def _target(graph: Graph, name: str) -> str:
    """The synapse that a node alone feeds, alone, perhaps through a flatten; "" if there is none."""
    targets = graph.targets(name)
    if len(targets) != 1 or graph.sources(targets[0]) != (name,):
        return ""
    node = graph[targets[0]]
    if isinstance(node, Flatten):
        return _target(graph, targets[0])
    return targets[0] if isinstance(node, Conv | Linear) else ""


def _conv(pool: Pool, node: Conv, size: tuple[int, ...], pooled: tuple[int, ...]) -> Conv | None:
    axes = range(len(pool.kernel))
    k, s, p = pool.kernel, pool.stride, pool.padding
    for a in axes:  # the zeros around the pooled map must be sums of zeros outside the image
        inside = k[a] > s[a] + p[a] or pooled[a + 1] * s[a] - p[a] < size[a + 1]
        if node.padding[a] and inside:
            return None
    step = tuple(s[a] * node.dilation[a] for a in axes)
    kernel = tuple((node.kernel[a] - 1) * step[a] + k[a] for a in axes)
    weight = np.zeros((*node.weight.shape[:2], *kernel))
    for at in product(*(range(n) for n in k)):
        places = tuple(slice(at[a], at[a] + (node.kernel[a] - 1) * step[a] + 1, step[a]) for a in axes)
        weight[_at(places)] += node.weight
    made = node.with_(
        weight=weight.astype(node.weight.dtype),
        stride=tuple(s[a] * node.stride[a] for a in axes),
        padding=tuple(p[a] + s[a] * node.padding[a] for a in axes),
        dilation=(1,) * len(k),
    )
    try:  # a rest at the border must not make room for another window
        return made if made.output_shape(size) == node.output_shape(pooled) else None
    except SpikeportError:
        return None


def _linear(pool: Pool, node: Linear, size: tuple[int, ...], pooled: tuple[int, ...]) -> Linear:
    axes = range(len(pool.kernel))
    padded = tuple(size[a + 1] + 2 * pool.padding[a] for a in axes)
    weight: Array = np.zeros((node.channels, size[0], *padded))
    old = node.weight.reshape(node.channels, *pooled)
    for at in product(*(range(n) for n in pool.kernel)):
        places = tuple(slice(at[a], at[a] + (pooled[a + 1] - 1) * pool.stride[a] + 1, pool.stride[a]) for a in axes)
        weight[_at(places)] += old
    inner = tuple(slice(pool.padding[a], pool.padding[a] + size[a + 1]) for a in axes)
    return node.with_(weight=weight[_at(inner)].reshape(node.channels, -1).astype(node.weight.dtype))


def _at(places: tuple[slice, ...]) -> Any:
    """The places on the last axes."""
    return (..., *places)


def _without(graph: Graph, name: str, changes: dict[str, Synapse]) -> Graph:
    """The graph without one node, and with others in the place of some: in one step, since both change shapes."""
    (target,) = graph.targets(name)
    nodes: dict[str, Node] = {n: changes.get(n, node) for n, node in graph.nodes.items() if n != name}
    edges = [(a, target if b == name else b) for a, b in graph.edges if a != name]
    return graph.with_(nodes=nodes, edges=tuple(edges))
