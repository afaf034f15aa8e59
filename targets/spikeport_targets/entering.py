"""Samples on their way into a target that takes them a step at a time."""

from __future__ import annotations

import numpy as np

from spikeport.findings import fail
from spikeport.graph import Array, Graph, Loihi


def entering(graph: Graph, samples: Array) -> Array:
    """The samples as [N, T, *input], integers in units of the input, or floats.

    Raises SP504 where integers lie outside what the graph was made for.
    """
    node = graph.entry
    values = np.asarray(samples)
    if isinstance(graph.arithmetic, Loihi):
        values = np.rint(values.astype(np.float64) / node.unit).astype(np.int64)
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        if values.size and (values.min() < node.low or values.max() > node.high):
            fail(
                "SP504",
                f"input spans {low} ... {high} units of {float(node.unit):g}, the graph was made for "
                f"{node.low:g} ... {node.high:g}",
                where=f"node {graph.input!r}",
                mend="scale the input as the calibration data were, or quantise again with data that span it",
            )
    if node.coding == "events":
        return values.swapaxes(0, 1)
    return np.repeat(values[:, None], graph.timesteps, axis=1)
