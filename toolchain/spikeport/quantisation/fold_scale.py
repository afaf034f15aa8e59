"""Scales disappear into the synapses beside them."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Flatten, Graph, Node, Pool, Scale, Synapse
from spikeport.passes.linear import feeders, real_dtype, scaled_inputs, scaled_outputs


def fold_scale(graph: Graph) -> Graph:
    """Merge scales into synapses, so that sums reach neurons as they leave the synapse.

    1. Backward: into the synapses that alone feed it; a factor a channel passes pools, one factor flattens too.
    2. Otherwise forward, where the factor is not whole: into the synapses that follow, if nothing else enters them.
    3. A scale that neither takes stays.

    Requires: Real arithmetic. Ensures: spikes as before, up to rounding (to the bit for powers of two).
    """
    dtype = real_dtype(graph, "fold_scale")
    for name, node in graph.nodes_of(Scale).items():
        if node.factor.ndim > 1:
            continue
        changes: dict[str, Node] = {}
        for source in feeders(graph, name, (Pool, Flatten) if node.factor.size == 1 else (Pool,)):
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


def _doubles_an_edge(graph: Graph, name: str) -> bool:
    """Whether taking a node out would join two nodes twice."""
    return any(set(graph.sources(name)) & set(graph.sources(target)) for target in graph.targets(name))
