"""Scales disappear into the synapses beside them."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Delay, Flatten, Graph, Node, Pool, Scale, Synapse
from spikeport.passes.linear import feeders, real_dtype, scaled_inputs, scaled_outputs


def fold_scale(graph: Graph) -> Graph:
    """Merge scales into synapses, so that sums reach neurons as they leave the synapse.

    1. Backward: into the synapses that alone feed it; a factor a channel passes pools and delays, one
       factor flattens too.
    2. Behind synapses that feed others, too, straight or by delays, it becomes synapses of its own, with weights times
       its factor, and such delays behind them.
    3. Otherwise forward, where the factor is not whole: into the synapses that follow, if nothing else enters them.
    4. A scale that none takes stays.

    Requires: Real arithmetic. Ensures: spikes as before, up to rounding (to the bit for powers of two).
    """
    dtype = real_dtype(graph, "fold_scale")
    for name, node in graph.nodes_of(Scale).items():
        if node.factor.ndim > 1:
            continue
        if _behind_shared(graph, name):
            graph = _doubled(graph, name, node, dtype)
            continue
        changes: dict[str, Node] = {}
        for source in feeders(graph, name, (Pool, Delay, Flatten) if node.factor.size == 1 else (Pool, Delay)):
            synapse = graph[source]
            assert isinstance(synapse, Synapse)
            changes[source] = scaled_outputs(synapse, node.factor.reshape(-1), dtype)
        whole = np.array_equal(node.factor, np.rint(node.factor))
        targets = graph.targets(name)
        if not changes and not whole and targets and all(graph.sources(t) == (name,) for t in targets):
            for target in targets:
                synapse = graph[target]
                if isinstance(synapse, Synapse):
                    changes[target] = scaled_inputs(synapse, node.factor, dtype)
            if len(changes) < len(targets):
                changes = {}
        if changes and not _doubles_an_edge(graph, name):
            graph = graph.replace(changes).bypass(name)
    return graph


def _behind_shared(graph: Graph, name: str) -> bool:
    """Whether nothing but synapses enters a scale, by delays or not, and one of them feeds others, too."""
    ways = [_way(graph, source) for source in graph.sources(name)]
    shared = any(len(graph.targets(part)) > 1 for way in ways for part in way)
    return shared and all(isinstance(graph[way[-1]], Synapse) for way in ways)


def _way(graph: Graph, name: str) -> list[str]:
    """A node, and what comes before it as long as that is delays."""
    way = [name]
    while isinstance(graph[way[-1]], Delay) and len(graph.sources(way[-1])) == 1:
        way += graph.sources(way[-1])
    return way


def _doubled(graph: Graph, name: str, node: Scale, dtype: np.dtype[np.floating]) -> Graph:
    """The graph with synapses, and their delays, in the place of a scale; the first synapse has its name."""
    nodes, edges, targets = dict(graph.nodes), list(graph.edges), graph.targets(name)
    edges = [edge for edge in edges if name not in edge]
    for number, source in enumerate(graph.sources(name)):
        *delays, first = _way(graph, source)
        synapse = graph[first]
        assert isinstance(synapse, Synapse)
        last = own = f"{name}.{first}" if number else name
        nodes[own] = scaled_outputs(synapse, node.factor.reshape(-1), dtype)
        edges += [(before, own) for before in graph.sources(first)]
        for delay in reversed(delays):
            nodes[f"{own}.{delay}"] = graph[delay]
            edges.append((last, f"{own}.{delay}"))
            last = f"{own}.{delay}"
        edges += [(last, target) for target in targets]
    return graph.with_(nodes=nodes, edges=tuple(edges))


def _doubles_an_edge(graph: Graph, name: str) -> bool:
    """Whether taking a node out would join two nodes twice."""
    return any(set(graph.sources(name)) & set(graph.sources(target)) for target in graph.targets(name))
