"""The biases of synapses move into the neurons."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Graph, Synapse, over_neurons
from spikeport.passes.constant import add_constant
from spikeport.passes.linear import real_dtype


def move_bias(graph: Graph) -> Graph:
    """Move every synapse's bias into the neurons and the readout that it reaches, as integer hardware has it.

    1. A bias enters at every step, so behind pools, flattens, scales and further synapses it is still a constant of
       each neuron; behind a padded pool or convolution it is smaller at the border, and becomes a bias a neuron.
    2. A synapse that feeds several nodes gives its bias to each of them.
    3. Behind a delay of k steps a bias is missing at the first k steps: the neurons hold it as in 1, and a `StepAffine`
       before them takes it off at those steps.
    4. A bias that is zero everywhere is taken away.

    Requires: Real arithmetic. Ensures: no synapse has a bias; spikes as before, up to rounding.
    Raises SP351 where the end of the graph, a circle of delays without neurons or what depends on other values stands
    in the way, SP354 for integers.
    """
    real_dtype(graph, "move_bias")
    for name in graph.nodes_of(Synapse):
        node = graph[name]
        assert isinstance(node, Synapse)
        if node.bias is None:
            continue
        bias = node.bias.astype(np.float64)
        graph = graph.replace({name: node.with_(bias=None)})
        if bias.any():
            shape = graph.shapes[name]
            graph = add_constant(graph, name, np.broadcast_to(over_neurons(bias, shape), shape), "move_bias")
    return graph
