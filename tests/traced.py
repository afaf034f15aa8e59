"""What tests of tracing share: neurons that fire, and graphs whose proof says that they did."""

from __future__ import annotations

from spikeport.training import PLIF, method

T = 3


def plif():
    """Neurons that fire often."""
    return PLIF(method("fixed", threshold=0.3), T)


def fired(graph):
    """The graph, proved with spikes in every layer."""
    proof = graph.provenance["verified"]
    assert proof["spikes"] > 0
    assert not proof["silent"]
    return graph
