"""An analog first layer on binary messages: its sums enter the neurons as a constant current.

With direct coding the input is the same at every step, so the sums of the first synapse are too. Where messages hold 0
and 1 only, they are formed before the run and sent straight into the neurons, as a bias of each sample would be.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import Array, Graph, Input
from spikeport.graph.hosted import by_host
from spikeport.graph.meaning import apply
from spikeport.graph.ranges import ranges


def first_synapse(graph: Graph) -> str | None:
    """The synapse whose sums become a constant current; None where a host forms none, or more than one's."""
    names = [name for name in graph.nodes if by_host(graph, name)]
    alone = len(names) == 1 and _ends(graph, names[0]) == {names[0]}
    return names[0] if alone else None


def _before(graph: Graph, name: str) -> list[str]:
    """What stands between the input and a synapse, in the order of the graph."""
    passed, waiting = set[str](), [*graph.sources(name)]
    while waiting:
        here = waiting.pop()
        passed.add(here)
        waiting += graph.sources(here)
    return [each for each in graph.order if each in passed and each != graph.input]


def _ends(graph: Graph, name: str) -> set[str]:
    """The nodes that the input, and what stands between it and a synapse, lead to."""
    before = _before(graph, name)
    return {target for each in (graph.input, *before) for target in graph.targets(each) if target not in before}


def with_constant_current(graph: Graph) -> Graph:
    """The graph without its first synapse and what stands before it: what that would have summed is the input."""
    name = first_synapse(graph)
    if name is None:
        return graph
    gone = {name, *_before(graph, name)}
    bounds = ranges(graph)[name]
    low, high = float(bounds.low), float(bounds.high)
    source = Input(graph.shapes[name], "direct", unit=np.asarray(1.0), low=low, high=high)
    nodes = {n: source if n == graph.input else node for n, node in graph.nodes.items() if n not in gone}
    edges = [edge for edge in graph.edges if not gone.intersection(edge)]
    return graph.with_(nodes=nodes, edges=(*edges, *((graph.input, target) for target in graph.targets(name))))


def constant_current(graph: Graph, stream: Array) -> Array:
    """The first synapse's sums for ``stream`` [N, T, *input]: [N, T, *current]. The stream where there is none."""
    name = first_synapse(graph)
    if name is None:
        return stream
    values = {graph.input: stream[None, :, 0].astype(np.float64)}
    for each in (*_before(graph, name), name):
        first, *others = (values[source] for source in graph.sources(each))
        values[each] = apply(graph.nodes[each], sum(others, first), graph.arithmetic)
    total = values[name].astype(np.int64)
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
