"""Which synapses and layers the spikes of a layer reach, through sums, pools and reshapes."""

from __future__ import annotations

from spikeport.graph import LIF, Graph, Input, Readout, Synapse


def receivers(graph: Graph, name: str) -> tuple[str, ...]:
    """The synapses, neuron layers and readouts that the output of a node enters without another of these between."""
    found: list[str] = []
    todo = list(graph.targets(name))
    seen: set[str] = set()
    while todo:
        here = todo.pop(0)
        if here in seen:
            continue
        seen.add(here)
        if isinstance(graph.nodes[here], Synapse | LIF | Readout):
            found.append(here)
        else:
            todo += graph.targets(here)
    return tuple(found)


def senders(graph: Graph, name: str) -> tuple[str, ...]:
    """The inputs, neuron layers and synapses whose outputs enter a node without another of these between."""
    found: list[str] = []
    todo = list(graph.sources(name))
    seen: set[str] = set()
    while todo:
        here = todo.pop(0)
        if here in seen:
            continue
        seen.add(here)
        if isinstance(graph.nodes[here], Synapse | LIF | Input):
            found.append(here)
        else:
            todo += graph.sources(here)
    return tuple(found)
