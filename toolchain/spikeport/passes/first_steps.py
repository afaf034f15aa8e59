"""Run only the first steps of a network: what a sequence that ends early needs of it."""

from __future__ import annotations

from spikeport.findings import require
from spikeport.graph import Graph, Node, Readout


def first_steps(graph: Graph, timesteps: int) -> Graph:
    """The network as far as its step ``timesteps - 1``, and read out there.

    1. Every schedule keeps its first entries.
    2. A readout keeps its last weights: the one of the last step is that of the last step that is run. So the last
       step's value stays that, a leaky integrator's stays its own, and a mean over T keeps its factor 1/T.

    Requires: 1 <= timesteps <= T (SP113). Ensures: what is computed at a step is what was computed there before, for
    no step looks ahead.
    """
    steps = graph.timesteps
    require(1 <= timesteps <= steps, "SP113", f"{timesteps} steps", mend=f"the network runs 1 to {steps}")

    def first(node: Node) -> Node:
        if isinstance(node, Readout):
            return node.with_(weight=node.weight[-timesteps:])
        kept = {name: getattr(node, name)[:timesteps] for name in node.schedules}
        return node.with_(**kept) if kept else node

    if timesteps == steps:
        return graph
    return graph.with_(nodes={name: first(node) for name, node in graph.nodes.items()}, timesteps=timesteps)
