"""States beside the neurons: what comes back to itself with no neuron between."""

from __future__ import annotations

from spikeport.graph.graph import Graph
from spikeport.graph.neurons import LIF
from spikeport.graph.plumbing import Input


def beside_neurons(graph: Graph) -> frozenset[str]:
    """The nodes that come back to themselves with no neuron between.

    What they hold and do is a state and its update, as that of a second membrane, and nothing that is sent.
    """
    return frozenset(name for name in graph.nodes if name in _before(graph, name))


def _before(graph: Graph, name: str) -> set[str]:
    """Every node on a way back from one that ends at neurons and inputs."""
    before: set[str] = set()
    todo = list(graph.sources(name))
    while todo:
        here = todo.pop()
        if here not in before and not isinstance(graph.nodes[here], LIF | Input):
            before.add(here)
            todo += graph.sources(here)
    return before
