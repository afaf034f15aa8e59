"""What the passes share: which synapses alone feed a node, and how a synapse takes in a factor."""

from __future__ import annotations

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.graph import Array, Conv, Graph, Node, Real, Synapse


def real_dtype(graph: Graph, name: str) -> np.dtype[np.floating]:
    """The float type of a graph in Real arithmetic. Raises SP354 for integers."""
    if not isinstance(graph.arithmetic, Real):
        fail(
            "SP354", f"the pass {name} works on real numbers, this graph holds integers", mend="run it before quantize"
        )
    return np.dtype(graph.arithmetic.dtype)


def feeders(graph: Graph, name: str, through: tuple[type[Node], ...]) -> tuple[str, ...]:
    """The synapses that feed ``name`` and nothing else, through nodes of the types ``through``; () if there are others.

    Whatever scales these synapses scales what enters ``name``, and nothing but that.
    """
    synapses: list[str] = []
    for source in graph.sources(name):
        if graph.targets(source) != (name,):
            return ()
        if isinstance(graph[source], Synapse):
            synapses.append(source)
            continue
        behind = feeders(graph, source, through) if isinstance(graph[source], through) else ()
        if not behind:
            return ()
        synapses += behind
    return tuple(dict.fromkeys(synapses))


def scaled_outputs(node: Synapse, gain: Array, dtype: np.dtype[np.floating]) -> Synapse:
    """The synapse with each output channel times ``gain`` ([] or [C]): computed in float64, rounded once."""
    gain = np.broadcast_to(np.asarray(gain, dtype=np.float64), (node.channels,))
    weight = node.weight.astype(np.float64) * gain.reshape(-1, *(1,) * (node.weight.ndim - 1))
    bias = None if node.bias is None else (node.bias.astype(np.float64) * gain).astype(dtype)
    return node.with_(weight=weight.astype(dtype), bias=bias)


def scaled_inputs(node: Synapse, gain: Array, dtype: np.dtype[np.floating]) -> Synapse:
    """The synapse with each input channel times ``gain`` ([] or [C]): computed in float64, rounded once."""
    groups = node.groups if isinstance(node, Conv) else 1
    inputs = node.weight.shape[1]
    each = np.broadcast_to(np.asarray(gain, dtype=np.float64), (groups * inputs,)).reshape(groups, 1, inputs)
    weight = node.weight.astype(np.float64).reshape(groups, -1, inputs, *node.weight.shape[2:])
    weight = weight * each.reshape(*each.shape, *(1,) * (node.weight.ndim - 2))
    return node.with_(weight=weight.reshape(node.weight.shape).astype(dtype))


def finding(code: str, name: str, what: str, why: str, mend: str) -> Finding:
    """An error about one node."""
    return Finding(code, what, f"node {name!r}", why, mend)
