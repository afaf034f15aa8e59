"""Samples on their way into a target that takes them a step at a time."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Array, Graph, Loihi, Samples
from spikeport.graph.inputs import require_samples_within


def entering(graph: Graph, samples: Array) -> Array:
    """The samples as [N, T, *input], integers in units of the input, or floats.

    Raises SP504 where integers lie outside what the graph was made for.
    """
    node = graph.entry
    values = np.asarray(samples)
    if isinstance(graph.arithmetic, Loihi):
        require_samples_within(graph, Samples(values, node.coding))
        values = np.rint(values.astype(np.float64) / node.unit).astype(np.int64)
    if node.coding == "events":
        return values.swapaxes(0, 1)
    return np.repeat(values[:, None], graph.timesteps, axis=1)
