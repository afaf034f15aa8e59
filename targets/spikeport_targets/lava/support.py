"""Which Lava process runs each node: Lava's own where it can, ours where it cannot, none where nothing can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeport.graph import (
    LIF,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Loihi,
    Node,
    Pool,
    Readout,
    Scale,
)
from spikeport.graph.ranges import value_ranges

BIAS_MANTISSA = 2**12  #: Lava's bias mantissa has 13 signed bits (proc/lif/models.py)
BIAS_EXPONENT = 7  #: and its exponent 3 bits
SUM_MAX = 2**23  #: Lava's Conv keeps 24 bits of its sum (proc/conv/utils.py)


@dataclass(frozen=True, slots=True)
class Placement:
    """What runs a node."""

    process: str  #: name of the Lava process; "" for what needs none
    stock: bool  #: Lava's own process, or ours
    why: str = ""  #: why Lava's own will not do


def bias_parts(bias: Array) -> tuple[Array, Array] | None:
    """Mantissas and exponents of a bias as Lava stores it, or None where 13 + 3 bits do not hold it."""
    value = np.asarray(np.rint(bias), dtype=np.int64)
    exponent = np.zeros_like(value)
    for _ in range(BIAS_EXPONENT):
        shrink = ((value < -BIAS_MANTISSA) | (value >= BIAS_MANTISSA)) & (value % 2 == 0)
        value, exponent = np.where(shrink, value // 2, value), exponent + shrink
    fits = ((value >= -BIAS_MANTISSA) & (value < BIAS_MANTISSA)).all()
    return (value, exponent) if fits else None


def placements(graph: Graph) -> dict[str, Placement]:
    """What runs each node of a graph that `check` accepts."""
    known = {name: node for name, node in graph.nodes.items() if type(node) in PLACE}
    placed = {name: PLACE[type(node)](graph, name, node) for name, node in known.items()}
    if not isinstance(graph.arithmetic, Loihi):
        return placed
    for name, (low, high) in value_ranges(graph, leaving=True).items():
        if isinstance(graph.nodes[name], Conv) and max(-low, high) >= SUM_MAX:
            why = f"its sums may reach {max(-low, high):.3g}, and Lava's Conv wraps at 2**23"
            placed[name] = Placement("ShiftedConv", stock=False, why=why)
    return placed


def _input(graph: Graph, name: str, node: Node) -> Placement:
    return Placement("io.source.RingBuffer", stock=True)


def _linear(graph: Graph, name: str, node: Node) -> Placement:
    return Placement("Dense", stock=True)


def _conv(graph: Graph, name: str, node: Node) -> Placement:
    assert isinstance(node, Conv)
    if node.exponent < 0:
        return Placement("ShiftedConv", stock=False, why="Lava's Conv cannot shift its sum to the right")
    return Placement("Conv", stock=True)


def _neuron(graph: Graph, name: str, node: Node) -> Placement:
    assert isinstance(node, LIF)
    reason = _not_stock(node, isinstance(graph.arithmetic, Loihi))
    return Placement("ScheduledLIF", stock=False, why=reason) if reason else Placement("LIFReset", stock=True)


def _not_stock(node: LIF, integers: bool) -> str:
    def varies(value: Array) -> bool:
        return bool((value != value.flat[0]).any())

    current = node.current_decay if isinstance(node, CubaLIF) else np.zeros(())
    reasons = {
        "its thresholds vary over time": bool((node.threshold != node.threshold[:1]).any()),
        "its thresholds vary over channels or neurons": varies(node.threshold[0]),
        "its decay varies over channels or neurons": varies(node.decay) or varies(current),
        f"its reset is {node.reset!r}": node.reset != "zero",
        f"it fires on {node.compare}": node.compare != ">",
        "it has a gain": bool((node.gain != 1).any()),
        "its bias needs more than 13 bits and an exponent": integers and bias_parts(node.bias) is None,
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def _pool(graph: Graph, name: str, node: Node) -> Placement:
    return Placement("WindowSum", stock=False, why="Lava has no pool")


def _flatten(graph: Graph, name: str, node: Node) -> Placement:
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


def _scale(graph: Graph, name: str, node: Node) -> Placement:
    return Placement("Multiply", stock=False, why="Lava has no gain between layers")


def _readout(graph: Graph, name: str, node: Node) -> Placement:
    return Placement("Recorder", stock=False, why="Lava's sink hands back one number a message")


def _delay(graph: Graph, name: str, node: Node) -> Placement:
    return Placement("RingDelay", stock=False, why="Lava's DelayDense multiplies by a matrix")


PLACE: dict[type[Node], Callable[[Graph, str, Node], Placement]] = {
    Input: _input,
    Linear: _linear,
    Conv: _conv,
    LIF: _neuron,
    CubaLIF: _neuron,
    Pool: _pool,
    Flatten: _flatten,
    Scale: _scale,
    Readout: _readout,
    Delay: _delay,
}
