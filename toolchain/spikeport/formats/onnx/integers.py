"""How large the integers between the nodes of an ONNX model get: they run as int32."""

from __future__ import annotations

import math

from spikeport.findings import fail
from spikeport.graph import LIF, Graph, Input, Range, Readout
from spikeport.graph import ranges as analysis

LARGEST = 2**31 - 1  #: integers run as int32 between nodes


def ranges(graph: Graph) -> dict[str, Range]:
    """The range of what leaves each node. Raises SP206 beyond 32 bits and where unknown."""
    _every_loop_spikes(graph)
    bounds = analysis.ranges(graph)
    for name in graph.order:
        node, size = graph.nodes[name], bounds[name].size
        where = f"node {name!r}"
        if isinstance(node, Input) and math.isinf(size):
            fail("SP206", "the input has no bounds", where=where, mend="quantise again: calibration sets them")
        if size > LARGEST and not isinstance(node, Readout):
            what = f"its values may reach {size:g}, beyond 32 bits"
            fail("SP206", what, where=where, mend="quantise with fewer bits")
    return bounds


def _every_loop_spikes(graph: Graph) -> None:
    """SP206 for a loop without neuron: a model may run any number of steps, and integers grow there without end."""
    waiting = [name for name, node in graph.nodes.items() if not isinstance(node, LIF)]
    left = [name for name in waiting if set(graph.sources(name)) & set(waiting)]
    while len(left) < len(waiting):
        waiting = left
        left = [name for name in waiting if set(graph.sources(name)) & set(waiting)]
    if waiting:
        fail(
            "SP206",
            f"a loop without neurons passes through {', '.join(map(repr, waiting))}",
            mend="integers could grow there without end: put a neuron into the loop",
        )
