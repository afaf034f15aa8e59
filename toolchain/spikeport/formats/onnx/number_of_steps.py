"""How many steps an ONNX model runs: as many as its user likes where the schedules say how they go on, else its own.

Event frames bring their number of steps along; for direct coding it is the input ``timesteps``, which has the graph's
own number as its default. Schedules are stored once, as the graph has them, and read at an index that stays at their
last entry ("hold") or starts again ("cycle").
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from spikeport.formats.onnx.builder import Builder
from spikeport.graph import Graph, Readout

Continuation = Literal["hold", "cycle"]
STEPS = "timesteps"  #: name of the free axis, and of the input that sets it


def continuation(graph: Graph) -> Continuation | None:
    """How schedules go on past the graph's own steps (`passes.extend`); None where nothing says so.

    A mean or the last step's value has other weights for each number of steps (`Readout.follows_length`): None, too,
    unless it never changes in a graph that says nothing, whose readout keeps its weights.
    A schedule that never changes holds, whatever the graph says.
    """
    readouts = graph.nodes_of(Readout).values()
    if graph.after_end != "error":
        return None if any(node.follows_length for node in readouts) else graph.after_end
    schedules = [getattr(node, name) for node in graph.nodes.values() for name in node.schedules]
    return "hold" if all(bool((schedule == schedule[:1]).all()) for schedule in schedules) else None


def count(graph: Graph, builder: Builder) -> str:
    """The number of steps of this run, int64 [1]."""
    if graph.entry.coding == "events":
        return builder.op("Shape", ["input"], STEPS, exact=True, start=0, end=1)
    return builder.default(STEPS, np.array([graph.timesteps]))


def numbers(builder: Builder, count: str) -> str:
    """The steps themselves, 0 ... T - 1."""
    zero, one = (builder.constant(n, np.int64, "index") for n in (0, 1))
    front = builder.constant([0], np.int64, "front")
    return builder.op("Range", [zero, builder.op("Squeeze", [count, front], "steps/count"), one], "steps")


def within(builder: Builder, steps: str, length: int, how: Continuation) -> str:
    """Where schedules of ``length`` entries are read at the given steps."""
    if how == "cycle":
        return builder.op("Mod", [steps, builder.constant(length, np.int64, "index")], "steps/within")
    return builder.op("Min", [steps, builder.constant(length - 1, np.int64, "index")], "steps/within")
