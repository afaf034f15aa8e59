"""How much a synapse has to compute."""

from __future__ import annotations

from math import prod

from spikeport.graph.graph import Graph
from spikeport.graph.synapses import Synapse


def multiply_adds(graph: Graph) -> dict[str, int]:
    """Multiply-adds of each synapse for one step of one sample, were all its inputs multiplied."""
    synapses = graph.nodes_of(Synapse).items()
    return {name: node.weight.size * prod(graph.shapes[name][1:]) for name, node in synapses}
