"""Which functions a command with little to run takes: to load the compiled loops takes longer than a few samples do.

What is to come counts, and not what it took: the same command takes the same functions each time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from spikeport import process
from spikeport.engine.build import kernels_here
from spikeport.engine.program import Kernels
from spikeport.graph import Array, Graph
from spikeport.target import expected_seconds

WORTH = 0.5  #: seconds of plain operations, about half of what loading the loops takes
PRODUCTS = 4e9  #: multiply-adds a second of torch's own operations (4.5e9 of integers measured on two cores)
STEP = 1e-4  #: seconds of a node at a step of theirs, however few its numbers are


@dataclass
class _Plain:
    seconds: float = 0.0  #: of all runs of this process that took the plain functions


_plain = _Plain()


def kernels(graph: Graph, samples: Array, device: str) -> Kernels:
    """The functions for samples: on a CPU the plain ones, as long as all runs of a command come to little.

    ``SPIKEPORT_KERNELS`` in the environment has the last word, and outside of commands nothing is known to be the last.
    """
    usual = kernels_here(device)
    if usual != "fast" or not process.command.single or os.environ.get("SPIKEPORT_KERNELS"):
        return usual
    if samples.ndim <= (axis := int(graph.entry.coding == "events")):  # refused where they enter
        return usual
    seconds = samples.shape[axis] * expected_seconds(graph, PRODUCTS) + graph.timesteps * len(graph.nodes) * STEP
    if _plain.seconds + seconds > WORTH:
        return usual
    _plain.seconds += seconds
    return "plain"
