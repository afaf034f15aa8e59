"""Samples on their way into a target that takes them a step at a time."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Array, Graph, Loihi
from spikeport.graph.inputs import require_within


def entering(graph: Graph, samples: Array) -> Array:
    """The samples as [N, T, *input], integers in units of the input, or floats.

    Raises SP504 where integers lie outside what the graph was made for.
    """
    node = graph.entry
    values = np.asarray(samples)
    if isinstance(graph.arithmetic, Loihi):
        values = np.rint(values.astype(np.float64) / node.unit).astype(np.int64)
        if values.size:
            require_within(graph, values.min(), values.max())
    if node.coding == "events":
        return values.swapaxes(0, 1)
    return np.repeat(values[:, None], graph.timesteps, axis=1)
