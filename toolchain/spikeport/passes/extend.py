"""Run a network for another number of steps, where it says how its schedules continue."""

from __future__ import annotations

import numpy as np

from spikeport.findings import fail, require
from spikeport.graph import Array, Graph, Node, Readout


def extend(graph: Graph, timesteps: int) -> Graph:
    """Give every schedule ``timesteps`` entries.

    1. "hold" repeats the last entry, "cycle" starts again; fewer steps keep the first entries.
    2. A readout that is the mean over time, or the last step's value, stays that; its other weights go as in 1.
    3. A graph that says "error" runs the steps that it was trained with, and no others: SP113.

    Ensures: the graph as it was, if it has as many steps already.
    """
    if timesteps == graph.timesteps:
        return graph
    require(timesteps >= 1, "SP113", f"timesteps is {timesteps}", mend="a network runs at least one timestep")
    if graph.after_end == "error":
        fail(
            "SP113",
            f"the model has schedules for {graph.timesteps} timesteps, not for {timesteps}",
            why="thresholds are learned a timestep; there is none for the others.",
            mend=f"run {graph.timesteps} steps",
        )
    steps = np.arange(timesteps)
    index = steps % graph.timesteps if graph.after_end == "cycle" else np.minimum(steps, graph.timesteps - 1)

    def longer(schedule: Array) -> Array:
        return np.broadcast_to(schedule, (timesteps, *schedule.shape[1:])) if len(schedule) == 1 else schedule[index]

    def continued(node: Node) -> Node:
        if isinstance(node, Readout) and node.follows_length:
            return node.with_(weight=node.for_length(timesteps))
        return node.with_(**{name: longer(getattr(node, name)) for name in node.schedules}) if node.schedules else node

    return graph.with_(nodes={name: continued(node) for name, node in graph.nodes.items()}, timesteps=timesteps)
