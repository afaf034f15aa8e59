"""Which Lava process runs each node: Lava's own where it can, ours where it cannot, none where nothing can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spikeport.graph import LIF, Conv, CubaLIF, Delay, Flatten, Graph, Input, Linear, Loihi, Node, Pool, Readout, Scale
from spikeport.graph.ranges import ranges
from spikeport_targets.lava.neurons import beyond_stock

SUM_MAX = 2**23  #: Lava's Conv keeps 24 bits of its sum (proc/conv/utils.py)


@dataclass(frozen=True, slots=True)
class Placement:
    """What runs a node."""

    process: str  #: name of the Lava process; a reshape port is none, only a way of connecting
    stock: bool  #: Lava's own process, or ours
    why: str = ""  #: why Lava's own will not do


def placements(graph: Graph) -> dict[str, Placement]:
    """What runs each node of a graph that `check` accepts."""
    known = {name: node for name, node in graph.nodes.items() if type(node) in PLACE}
    placed = {name: PLACE[type(node)](graph, name, node) for name, node in known.items()}
    if not isinstance(graph.arithmetic, Loihi):
        return placed
    for name, x in ranges(graph).items():
        if isinstance(graph.nodes[name], Conv) and x.size >= SUM_MAX:
            why = f"its sums may reach {x.size:.3g}, and Lava's Conv wraps at 2**23"
            placed[name] = Placement("ShiftedConv", stock=False, why=why)
    return placed


def _always(process: str, why: str = "") -> Callable[[Graph, str, Any], Placement]:
    """The same for every node of a type: Lava's own where there is no reason against it."""
    placement = Placement(process, stock=not why, why=why)
    return lambda graph, name, node: placement


def _conv(graph: Graph, name: str, node: Conv) -> Placement:
    if node.exponent < 0:
        return Placement("ShiftedConv", stock=False, why="Lava's Conv cannot shift its sum to the right")
    return Placement("Conv", stock=True)


def _neuron(graph: Graph, name: str, node: LIF) -> Placement:
    reason = beyond_stock(node, isinstance(graph.arithmetic, Loihi))
    return Placement("ScheduledLIF", stock=False, why=reason) if reason else Placement("LIFReset", stock=True)


def _flatten(graph: Graph, name: str, node: Flatten) -> Placement:
    if flattens_by_port(graph, name):
        return Placement("reshape port", stock=True)
    return Placement("ChannelsFirst", stock=False, why="what follows it needs the order [C, H, W]")


def flattens_by_port(graph: Graph, name: str) -> bool:
    """Whether only Linear layers read this Flatten, so that permuting their columns does the work."""
    shape = graph.input_shape(name)
    if len(shape) == 1:
        return True
    readers = graph.targets(name)
    return bool(readers) and all(
        isinstance(graph.nodes[reader], Linear)
        and all(isinstance(graph.nodes[s], Flatten) and graph.input_shape(s) == shape for s in graph.sources(reader))
        for reader in readers
    )


PLACE: dict[type[Node], Callable[[Graph, str, Any], Placement]] = {
    Input: _always("io.source.RingBuffer"),
    Linear: _always("Dense"),
    Conv: _conv,
    LIF: _neuron,
    CubaLIF: _neuron,
    Pool: _always("WindowSum", "Lava has no pool"),
    Flatten: _flatten,
    Scale: _always("Multiply", "Lava has no gain between layers"),
    Readout: _always("Recorder", "Lava's sink hands back one number a message"),
    Delay: _always("RingDelay", "Lava's DelayDense multiplies by a matrix"),
}
