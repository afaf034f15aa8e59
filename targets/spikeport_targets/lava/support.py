"""Which Lava process runs each node: Lava's own where it can, ours where it cannot, none where nothing can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from spikeport.findings import Finding, SpikeportError
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
    Norm,
    Pool,
    Readout,
    Real,
    Scale,
    Synapse,
)
from spikeport.passes.align_delays import align_delays

BIAS_MANTISSA = 2**12  #: Lava's bias mantissa has 13 signed bits (proc/lif/models.py)
BIAS_EXPONENT = 7  #: and its exponent 3 bits
DECAY_ONE = 4096


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
    return {name: PLACE[type(node)](graph, name, node) for name, node in graph.nodes.items() if type(node) in PLACE}


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
    Input: _input, Linear: _linear, Conv: _conv, LIF: _neuron, CubaLIF: _neuron, Pool: _pool, Flatten: _flatten,
    Scale: _scale, Readout: _readout, Delay: _delay,
}  # fmt: skip


def check(graph: Graph) -> list[Finding]:
    """Everything that stands in the way, and a note for every node that needs a process of ours."""
    found = [*_unknown(graph), *_biased_synapses(graph), *_binary(graph), *_pipelined(graph)]
    for name, place in placements(graph).items():
        if not place.stock and not isinstance(graph.nodes[name], Readout):
            found.append(
                Finding("SP602", f"runs as our process {place.process}, since {place.why}", f"node {name!r}",
                        severity="note")
            )  # fmt: skip
    return found


def _unknown(graph: Graph) -> Iterator[Finding]:
    for name, node in graph.nodes.items():
        if type(node) not in PLACE:
            mend = "fold it first: passes.fold_norm" if isinstance(node, Norm) else "take it out"
            yield Finding("SP610", f"Lava cannot run a {type(node).__name__}", f"node {name!r}", mend=mend)


def _biased_synapses(graph: Graph) -> Iterator[Finding]:
    for name, node in graph.nodes_of(Synapse).items():
        if node.bias is not None and isinstance(graph.arithmetic, Real):
            yield Finding("SP610", "Lava's connections have no bias", f"node {name!r}",
                          mend="move it into the neurons: passes.move_bias")  # fmt: skip


def _binary(graph: Graph) -> Iterator[Finding]:
    """Messages of one bit: an input of 2 would arrive as 1."""
    if not isinstance(graph.arithmetic, Loihi) or graph.arithmetic.profile.message_bits > 1:
        return
    ranges = value_ranges(graph)
    for name in graph.nodes_of(Synapse):
        low, high = ranges[name]
        if low < 0 or high > 1:
            yield Finding(
                "SP613",
                f"gets values of {low:g} ... {high:g}, and messages of the profile "
                f"{graph.arithmetic.profile.name!r} hold 0 and 1",
                f"node {name!r}",
                why="Lava would turn every value but 0 into 1.",
                mend="use the profile loihi2, or a network whose synapses see spikes only",
            )


def value_ranges(graph: Graph) -> dict[str, tuple[float, float]]:
    """Smallest and largest value that can enter each node, from the bounds of the input and of the spikes."""
    delays = len(graph.nodes_of(Delay))
    leaves: dict[str, tuple[float, float]] = dict.fromkeys(graph.nodes, (0.0, 0.0))
    enters: dict[str, tuple[float, float]] = {}
    for _ in range(1 + delays):  # more passes for what the delays hand back
        for name in graph.order:
            node = graph.nodes[name]
            sums = [leaves[source] for source in graph.sources(name)]
            enters[name] = (sum(low for low, _ in sums), sum(high for _, high in sums))
            leaves[name] = _leaving(node, enters[name])
    return enters


def _leaving(node: Node, entering: tuple[float, float]) -> tuple[float, float]:
    low, high = entering
    if isinstance(node, Input):
        return float(node.low), float(node.high)
    if isinstance(node, LIF):
        return 0.0, 1.0
    if isinstance(node, Pool):
        area = float(np.prod(node.kernel)) if node.kind == "sum" else 1.0
        return min(low * area, 0.0), max(high * area, 0.0)
    if isinstance(node, Scale):
        ends = [float(f) * e for f in node.factor.flat for e in entering]
        return min(ends), max(ends)
    if isinstance(node, Delay):
        return min(low, 0.0), max(high, 0.0)
    if isinstance(node, Synapse):
        flat = node.weight.reshape(node.channels, -1).astype(np.float64)
        up, down = np.maximum(flat, 0).sum(1), np.minimum(flat, 0).sum(1)
        with np.errstate(invalid="ignore"):
            worst = np.nan_to_num(np.stack([up * high + down * low, up * low + down * high]), nan=0.0)
        factor = 2.0**node.exponent
        return min(float(worst.min()) * factor, 0.0), max(float(worst.max()) * factor, 0.0)
    return low, high


def _pipelined(graph: Graph) -> Iterator[Finding]:
    try:
        align_delays(graph)
    except SpikeportError as error:
        yield from error.findings


def wide_sums(graph: Graph) -> Iterator[Finding]:
    """A note for each layer whose sums could pass 24 bits, where Lava wraps and does not count."""
    if not isinstance(graph.arithmetic, Loihi):
        return
    ranges = value_ranges(graph)
    placed = placements(graph)
    for name in graph.nodes_of(LIF):
        largest = max(map(abs, ranges[name]))
        if placed[name].stock and largest > 2**17:
            yield Finding(
                "SP624",
                f"its sums may reach {largest:g} times 64, and hold 24 bits",
                f"node {name!r}",
                why="Lava's LIF would wrap such a sum once and not say so; the integer engine counts them.",
                mend="compare with the integer engine: where it counts no overflow, none happened",
                severity="note",
            )
