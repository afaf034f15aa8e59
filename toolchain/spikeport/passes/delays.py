"""Delays of single weights, by nodes that a graph has already."""

from __future__ import annotations

import numpy as np

from spikeport.findings import require
from spikeport.graph import Array, Delay, Graph, Node, Operation, Scale, Synapse


def delay_weights(graph: Graph, name: str, delays: Array) -> Graph:
    """Give every weight of the synapse ``name`` a delay: ``a[o, t] = sum_i weight[o, i] * x[i, t - delays[o, i]]``.

    ``delays`` has the shape of the weight, or one that broadcasts to it (a delay an input: ``[in]``), in whole steps of
    at least 0; nothing enters before the first step.

    1. The weights of each delay become a synapse of their own, the others zero there; its input waits in a `Delay`.
    2. All of them lead where ``name`` led, and add up there; the bias stays at the one that waits least.
    3. An operation that names ``name`` as an operand gets their sum through a `Scale` of 1.

    So every arithmetic, format, target and cost model that knows synapses and delays knows these, and integers are
    exact. The zeros count as weights: in dense operations, and in the memory of a chip that stores them.

    Requires: nothing. Ensures: the synapse of the smallest delay keeps the name. Raises SP107 for other delays.
    """
    node = graph[name]
    assert isinstance(node, Synapse)
    waits = np.broadcast_to(delays, node.weight.shape)
    whole = waits.size > 0 and bool((waits == np.rint(waits)).all()) and waits.min() >= 0
    require(whole, "SP107", "delays of weights are whole steps, at least 0", where=f"node {name!r}")
    kinds = [int(wait) for wait in np.unique(waits)]
    parts = {wait: name if wait == kinds[0] else _free(graph, f"{name}.{wait}") for wait in kinds}
    nodes: dict[str, Node] = dict(graph.nodes)
    edges = [edge for edge in graph.edges if name not in edge]
    for wait, part in parts.items():
        weight = np.where(waits == wait, node.weight, np.zeros((), node.weight.dtype))
        nodes[part] = node.with_(weight=weight, bias=node.bias if part == name else None)
        before = part
        if wait:
            before = _free(graph, f"{name}.after{wait}")
            nodes[before] = Delay(graph.input_shape(name), wait)
            edges.append((before, part))
        edges += [(part if source == name else source, before) for source in graph.sources(name)]
    for target in graph.targets(name):
        reader = nodes[target]
        if isinstance(reader, Operation) and reader.operands and len(parts) > 1:
            one = _free(graph, f"{name}.sum")
            nodes[one] = Scale(np.ones((), node.weight.dtype))
            nodes[target] = reader.with_(operands=tuple(one if each == name else each for each in reader.operands))
            edges = [*edges, *((part, one) for part in parts.values() if (part, one) not in edges), (one, target)]
        else:
            edges += [(part, target) for part in parts.values()]
    return graph.with_(nodes=nodes, edges=tuple(edges))


def _free(graph: Graph, name: str) -> str:
    """The name, or one that no node has."""
    while name in graph.nodes:
        name += "_"
    return name
