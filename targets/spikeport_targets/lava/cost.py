"""How long Lava will take, roughly: enough to set a time limit that a healthy run never meets."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Conv, Graph, Linear

PAIR = 1e-4  #: seconds for one input map times one output map in Lava's Conv, scipy.signal (measured 2e-5 to 8e-5)
PRODUCT = 4e-9  #: seconds a multiplication (measured 1e-9 to 3e-9)
PROCESS = 2e-3  #: seconds a Lava process a step (measured 0.25e-3 with few to 0.7e-3 with 70 processes)
START = 120.0  #: seconds for imports, compilation, forks (measured 2 to 6)
SAFETY = 20.0  #: how much slower a loaded machine may be
STREAM = 2**25  #: values of input that one run holds at most; longer streams are cut


def seconds_a_step(graph: Graph) -> float:
    """Time of one timestep."""
    total = PROCESS * 2 * len(graph.nodes)
    for name, node in graph.nodes_of(Conv, Linear).items():
        positions = int(np.prod(graph.shapes[name][1:], dtype=np.int64))
        total += PRODUCT * node.weight.size * positions
        if isinstance(node, Conv):
            total += PAIR * node.weight.shape[0] * node.weight.shape[1]
    return total


def time_limit(graph: Graph, samples: int) -> float:
    """Seconds after which a run has certainly gone wrong."""
    return START + SAFETY * seconds_a_step(graph) * samples * graph.timesteps


def samples_at_once(graph: Graph, samples: int) -> int:
    """How many samples one stream takes."""
    size = int(np.prod(graph.shapes[graph.input], dtype=np.int64)) * graph.timesteps
    return max(1, min(samples, STREAM // max(size, 1)))
