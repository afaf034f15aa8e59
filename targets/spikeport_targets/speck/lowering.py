"""From a Graph to a `Plan`: each node a module, in the order of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeport.graph import (
    LIF,
    STATE_SHIFT,
    Array,
    Conv,
    Flatten,
    Graph,
    Linear,
    Node,
    Pool,
    Shape,
    Synapse,
    over_neurons,
)
from spikeport_targets.speck.orders import lowest
from spikeport_targets.speck.plan import Part, Plan


def lower(graph: Graph, stream: Array, *, membranes: Callable[[str], bool], at_once: int) -> Plan:
    """The network for ``stream`` [N, T, *input] in units of the input. ``graph`` is one that `check` accepts."""
    plan = Plan(graph.input, stream, at_once=at_once)
    for name in graph.order:
        if name != graph.input:
            plan.parts.append(_part(graph, name, graph.nodes[name], membranes))
    return plan


def _part(graph: Graph, name: str, node: Node, membranes: Callable[[str], bool]) -> Part:
    sources = graph.sources(name)
    ends = ("sums",) if name == graph.output else ()
    if isinstance(node, LIF):
        options = {"threshold": int(node.threshold.flat[0]), "reset": node.reset, "lowest": lowest(node)}
        return Part(name, "neurons", sources, options, kept=("spikes", "membrane") if membranes(name) else ("spikes",))
    if isinstance(node, Synapse):
        kind, options = ("linear", {}) if isinstance(node, Linear) else ("conv", _conv(node))
        arrays = {"weight": _weight(node), "bias": _bias(graph, name, node)}
        return Part(name, kind, sources, options, arrays, ends)
    if isinstance(node, Pool):
        return Part(name, "pool", sources, _pool(node, graph.input_shape(name)), kept=ends)
    return Part(name, "flatten" if isinstance(node, Flatten) else "end", sources, kept=ends)


def _conv(node: Synapse) -> dict[str, Any]:
    assert isinstance(node, Conv)
    return {**_over_axes(stride=node.stride, padding=node.padding, dilation=node.dilation), "groups": node.groups}


def _pool(node: Pool, shape: Shape) -> dict[str, Any]:
    """Over two axes, of which one is of one place where the map has one; padded beforehand."""
    missing = (1,) * (2 - len(node.kernel))
    size = tuple(n + 2 * p for n, p in zip(shape[1:], node.padding, strict=True))
    options = _over_axes(kernel=node.kernel + missing, stride=node.stride + missing, map=size + missing)
    return {**options, "padding": [side for p in reversed(node.padding) for side in (p, p)]}


def _over_axes(**settings: tuple[int, ...]) -> dict[str, Any]:
    return {key: list(value) for key, value in settings.items()}


def _weight(node: Synapse) -> Array:
    return node.weight.astype(np.int64)


def _bias(graph: Graph, name: str, node: Synapse) -> Array:
    """The bias of the neurons behind a synapse, in sums: the chip adds it beside the kernel."""
    channels = node.weight.shape[0]
    (target,) = graph.targets(name) or ("",)
    neurons = graph.nodes.get(target)
    if not isinstance(neurons, LIF):
        return np.zeros(channels, np.int64)
    bias = np.broadcast_to(over_neurons(neurons.bias, (channels,)), (channels,))
    return np.asarray(bias.astype(np.int64) >> STATE_SHIFT)
