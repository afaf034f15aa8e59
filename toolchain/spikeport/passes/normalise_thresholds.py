"""Every layer is measured in units of its own threshold."""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, Graph
from spikeport.passes.fold_gain import into_synapses, measured_in
from spikeport.passes.linear import real_dtype


def normalise_thresholds(graph: Graph, *, power_of_two: bool = True) -> Graph:
    """Scale each neuron layer, its weights and biases with it, so that its largest threshold at t = 0 is 1.

    1. With c = 1 / threshold[0], the layer's weights, biases, thresholds and reset value are multiplied by c. Decay,
       reset and comparison are linear, so no spike changes (DS-ATGO's thresholds drift far from 1 in long training).
    2. With ``power_of_two`` c is the nearest power of two, so that this holds to the bit, and the threshold at t = 0
       lies between sqrt(1/2) and sqrt(2) instead.
    3. A layer without synapses of its own, or whose first threshold is not positive and finite, stays as it is.

    Requires: Real arithmetic. Ensures: the same spikes. Raises SP354 for integers.
    """
    dtype = real_dtype(graph, "normalise_thresholds")
    for name, node in graph.nodes_of(LIF).items():
        first = float(node.threshold[0].max())
        if not (first > 0 and np.isfinite(first)):
            continue
        unit = 2.0 ** np.rint(np.log2(first)) if power_of_two else first
        if changes := into_synapses(graph, name, np.asarray(1.0 / unit)):
            graph = graph.replace({**changes, name: measured_in(node, np.asarray(unit), dtype)})
    return graph
