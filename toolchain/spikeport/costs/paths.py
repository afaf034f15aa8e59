"""Which synapses and layers the spikes of a layer reach, through sums, pools and reshapes."""

from __future__ import annotations

from collections.abc import Callable

from spikeport.graph import LIF, Graph, Input, Node, Readout, Synapse


def receivers(graph: Graph, name: str) -> tuple[str, ...]:
    """The synapses, neuron layers and readouts that the output of a node enters without another of these between."""
    return _nearest(graph, name, graph.targets, (Synapse, LIF, Readout))


def senders(graph: Graph, name: str) -> tuple[str, ...]:
    """The inputs, neuron layers and synapses whose outputs enter a node without another of these between."""
    return _nearest(graph, name, graph.sources, (Synapse, LIF, Input))


def _nearest(
    graph: Graph, name: str, neighbours: Callable[[str], tuple[str, ...]], kinds: tuple[type[Node], ...]
) -> tuple[str, ...]:
    """The first nodes of some kinds on every way out of ``name``, each once, in breadth-first order."""
    nearest: list[str] = []
    todo = list(neighbours(name))
    seen: set[str] = set()
    while todo:
        here = todo.pop(0)
        if here in seen:
            continue
        seen.add(here)
        if isinstance(graph.nodes[here], kinds):
            nearest.append(here)
        else:
            todo += neighbours(here)
    return tuple(nearest)
