"""An analog first layer on binary messages: its sums enter the neurons as a constant current.

With direct coding the input is the same at every step, so the sums of the first synapse are too. Where messages hold 0
and 1 only, they are formed before the run and sent straight into the neurons, as a bias of each sample would be.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import Array, Graph, Input, Loihi, Synapse
from spikeport.graph.ranges import ranges


def first_synapse(graph: Graph) -> str | None:
    """The synapse whose sums become a constant current; None where messages are graded or the input is binary."""
    node = graph.entry
    binary = isinstance(graph.arithmetic, Loihi) and graph.arithmetic.profile.message_bits == 1
    if not binary or node.coding != "direct" or (node.low >= 0 and node.high <= 1):
        return None
    readers = graph.targets(graph.input)
    alone = len(readers) == 1 and graph.sources(readers[0]) == (graph.input,)
    return readers[0] if alone and isinstance(graph.nodes[readers[0]], Synapse) else None


def with_constant_current(graph: Graph) -> Graph:
    """The graph without its first synapse: what that would have summed is the input."""
    name = first_synapse(graph)
    if name is None:
        return graph
    after = graph.targets(name)
    bounds = ranges(graph)[name]
    low, high = float(bounds.low), float(bounds.high)
    source = Input(graph.shapes[name], "direct", unit=np.asarray(1.0), low=low, high=high)
    nodes = {n: source if n == graph.input else node for n, node in graph.nodes.items() if n != name}
    edges = [edge for edge in graph.edges if name not in edge]
    return graph.with_(nodes=nodes, edges=(*edges, *((graph.input, target) for target in after)))


def constant_current(graph: Graph, stream: Array) -> Array:
    """The first synapse's sums for ``stream`` [N, T, *input]: [N, T, *current]. The stream where there is none."""
    name = first_synapse(graph)
    if name is None:
        return stream
    node = graph.nodes[name]
    assert isinstance(node, Synapse)
    total = graph.arithmetic.synapse(node, stream[None, :, 0]).astype(np.int64)
    return np.repeat(total[0, :, None], graph.timesteps, axis=1)


def substituted(graph: Graph) -> Iterator[Finding]:
    """That the first layer's sums enter as a current."""
    name = first_synapse(graph)
    if name is not None:
        low, high = graph.entry.low, graph.entry.high
        yield Finding(
            "SP603",
            f"the sums of an input of {low:g} ... {high:g} enter its neurons as a constant current",
            f"node {name!r}",
            why="messages hold 0 and 1; the sums are the same at every step, as a bias set for each sample would be.",
            mend="nothing, or quantise for the profile loihi2, whose messages hold such values",
            severity="substituted",
        )
