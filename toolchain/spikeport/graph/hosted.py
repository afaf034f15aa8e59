"""Sums that a host forms: of a first layer whose input is no spikes, where messages are spikes only.

With direct coding what enters is the same at every step, so the sums are too: whoever feeds the chip forms them once a
sample, and they enter the neurons as a constant current.
"""

from __future__ import annotations

from collections.abc import Iterator

from spikeport.graph.bounds import Number
from spikeport.graph.graph import Graph
from spikeport.graph.loihi import Loihi
from spikeport.graph.node import Node
from spikeport.graph.operation import Operation
from spikeport.graph.plumbing import Flatten, Input, Pool, Scale
from spikeport.graph.profile import Profile
from spikeport.graph.synapses import Synapse


def by_host(graph: Graph, name: str) -> bool:
    """Whether a host forms a synapse's sums: messages are spikes only, other values enter, the same at every step."""
    arithmetic, source = graph.arithmetic, graph.entry
    return isinstance(arithmetic, Loihi) and formed(graph, name, arithmetic.profile, source.low, source.high)


def formed(graph: Graph, name: str, profile: Profile, low: Number, high: Number) -> bool:
    """The same of a graph that is yet to get the profile, and whole input from ``low`` to ``high``."""
    binary, node = profile.message_bits == 1, graph.nodes[name]
    return isinstance(node, Synapse) and binary and not spikes(low, high) and steady(graph, name)


def analog(node: Input) -> bool:
    """Whether an input's values are the same at every step, and more than spikes."""
    return node.coding == "direct" and not spikes(node.low, node.high)


def spikes(low: Number, high: Number) -> bool:
    """Whether values from ``low`` to ``high`` are 0 and 1 only, where they are whole."""
    return low >= 0 and high <= 1


def steady(graph: Graph, name: str) -> bool:
    """Whether what enters a node is the input alone, the same at every step."""
    return graph.entry.coding == "direct" and all(isinstance(each, Input) for each in _senders(graph, name))


def _senders(graph: Graph, name: str) -> Iterator[Node]:
    for source in graph.sources(name):
        node = graph.nodes[source]
        if isinstance(node, Flatten | Pool | Scale | Operation):
            yield from _senders(graph, source)
        else:
            yield node
