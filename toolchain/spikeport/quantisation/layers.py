"""What quantisation calls a layer: the synapses whose sums add up, and the neurons that share their unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Never

import numpy as np

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import (
    LIF,
    Delay,
    Dilate,
    Flatten,
    Graph,
    Input,
    Maximum,
    Node,
    Operation,
    Peak,
    Pool,
    Profile,
    Range,
    Readout,
    Scale,
    StepAffine,
    Synapse,
)
from spikeport.quantisation.inputs import Grid

SAME = 1e-6  #: relative: units that factors of float32 leave apart by their rounding are one


@dataclass(frozen=True)
class Value:
    """The integers that leave a node and enter synapses."""

    unit: float  #: real value of one integer
    low: float  #: smallest integer
    high: float  #: largest integer


@dataclass(frozen=True)
class Term:
    """A synapse (or a `Scale` straight before neurons) as one summand of a layer."""

    name: str
    value: Value  #: what enters it
    area: int  #: how many of its sums one neuron gets, by sum pools between


@dataclass(frozen=True)
class Layer:
    """Everything that must share one unit, or one unit a channel."""

    name: str
    sinks: tuple[str, ...]  #: neurons or the readout
    terms: tuple[Term, ...]
    channels: bool  #: whether each channel may have its own unit


def separate(graph: Graph) -> Graph:
    """Put a `Scale` of 1 wherever whole values enter neurons without a synapse, so that they can take the layer's unit.

    Ensures: what enters a neuron or a readout comes from synapses, or from a Scale that quantisation may choose.
    """
    sums = _sums(graph)
    for name in graph.nodes_of(LIF, Readout):
        for source in graph.sources(name):
            if not sums[source] and not isinstance(graph[source], Scale):
                one = Scale(np.asarray(1.0, dtype=np.float32))
                graph = graph.insert(f"{source}.to.{name}", one, (source, name))
    return graph


def find_layers(graph: Graph, grid: Grid, channels: bool = True) -> tuple[Layer, ...]:
    """The layers in the order of the graph; ``channels``: whether thresholds, and so units, may vary over channels.

    Raises SP405 where sums and messages mix, with every place at once.
    """
    values = message_values(graph, grid)
    reached: dict[str, list[str]] = {}
    areas: dict[tuple[str, str], tuple[int, bool]] = {}
    for sink in graph.nodes_of(LIF, Readout):
        for term, area, flat in _terms(graph, sink, values, 1, False):
            reached.setdefault(sink, []).append(term)
            areas[sink, term] = (area, flat)
    layers = []
    for sinks in _joined(reached):
        names = tuple(dict.fromkeys(term for sink in sinks for term in reached[sink]))
        terms = tuple(
            Term(name, _entering(graph, name, values), max(areas[s, name][0] for s in sinks if (s, name) in areas))
            for name in names
        )
        spiking = all(isinstance(graph[sink], LIF) and not isinstance(graph[sink], Peak) for sink in sinks)
        flat = any(flat for (sink, _), (_, flat) in areas.items() if sink in sinks)
        layers.append(Layer(sinks[0], sinks, terms, channels and spiking and not flat))
    return tuple(layers)


def message_findings(layers: tuple[Layer, ...], profile: Profile) -> tuple[Finding, ...]:
    """Where integers between layers are larger than one message of the profile."""
    top = 2**profile.message_bits - 1
    findings = []
    for layer in layers:
        for term in layer.terms:
            most = max(abs(term.value.low), abs(term.value.high))
            if most > top and term.value.unit == 1:
                what = f"gets values up to {most:.0f}, a message of the profile {profile.name!r} holds {top}"
                why = "residual sums and pools must arrive there as separate messages, each through its own synapses."
                findings.append(Finding("SP426", what, f"node {term.name!r}", why, severity="note"))
    return tuple(findings)


def message_values(graph: Graph, grid: Grid) -> dict[str, Value | None]:
    """For each node the integers that leave it; None where sums leave it, whose unit is still to be chosen."""
    values: dict[str, Value | None] = {}
    for _ in range(2 if graph.recurrent else 1):  # a Delay in a cycle shows what comes later in the order
        for name in graph.order:
            values[name] = _leaving(graph, name, values, grid)
    return values


def _leaving(graph: Graph, name: str, values: Mapping[str, Value | None], grid: Grid) -> Value | None:
    node = graph[name]
    if isinstance(node, Input):
        return Value(grid.unit, *(float(bound) for bound in grid.seen))
    if isinstance(node, LIF):
        return Value(1.0, 0.0, 1.0)
    if isinstance(node, Synapse | Readout) or _is_term(graph, name):
        return None
    if any(values.get(source, 0) is None for source in graph.sources(name)):
        return None
    entering, *others = (
        _added(name, [value for source in group if (value := values.get(source)) is not None])
        for group in graph.operands(name)
    )
    if isinstance(node, StepAffine):
        fail(
            "SP405",
            "a gain and bias a timestep of values between layers, or of the input",
            where=f"node {name!r}",
            why="its numbers become integers with the sums of a synapse.",
            mend="put a synapse before it",
        )
    if isinstance(node, Operation):
        return _operated(graph, name, node, [entering, *others])
    if isinstance(node, Pool):
        area = float(np.prod(node.kernel))
        return Value(entering.unit, min(entering.low, 0.0) * area, max(entering.high, 0.0) * area)
    if isinstance(node, Scale):
        return _scaled(name, node, entering)
    return entering


def _operated(graph: Graph, name: str, node: Operation, operands: list[Value]) -> Value:
    """What an operation makes of messages: its unit is theirs, or the product of theirs."""
    units = [value.unit for value in operands]
    if not node.multiplies and not np.allclose(units, units[0], rtol=SAME, atol=0):
        _different(name, f"joins integers of different units ({', '.join(f'{unit:g}' for unit in units)})")
    shapes = [graph.shapes[group[0]] for group in graph.operands(name)]
    x = node.reach(shapes, *(Range(value.low, value.high) for value in operands))
    return Value(float(np.prod(units)) if node.multiplies else units[0], float(x.low), float(x.high))


def _scaled(name: str, node: Scale, value: Value) -> Value:
    if np.array_equal(node.factor, np.rint(node.factor)):
        ends = np.outer([value.low, value.high], node.factor.reshape(-1))
        return Value(value.unit, float(ends.min()), float(ends.max()))
    if node.factor.size > 1:
        fail(
            "SP405",
            "factors that differ and are not whole cannot be kept as integers",
            where=f"node {name!r}",
            mend="put them into the weights of the layers before or of all layers behind; or make them whole, or one",
        )
    factor = float(node.factor)
    low, high = (value.low, value.high) if factor > 0 else (-value.high, -value.low)
    return Value(value.unit * abs(factor), low, high)


def _added(name: str, values: list[Value]) -> Value:
    if values and not np.allclose([value.unit for value in values], values[0].unit, rtol=SAME, atol=0):
        _different(name, f"adds integers of different units ({', '.join(f'{value.unit:g}' for value in values)})")
    if not values:
        return Value(1.0, 0.0, 0.0)
    return Value(values[0].unit, sum(v.low for v in values), sum(v.high for v in values))


def _different(name: str, what: str) -> Never:
    mend = "put a synapse or neurons between, so that the unit can be chosen"
    fail("SP405", what, where=f"node {name!r}", mend=mend)


def _entering(graph: Graph, name: str, values: Mapping[str, Value | None]) -> Value:
    entering = [value for source in graph.sources(name) if (value := values[source]) is not None]
    if len(entering) < len(graph.sources(name)):
        fail(
            "SP405",
            "a synapse takes the sums of another synapse",
            where=f"node {name!r}",
            why="between two synapses there must be neurons: a sum is no message.",
            mend="merge the two synapses into one, or put neurons between",
        )
    return _added(name, entering)


def _is_term(graph: Graph, name: str) -> bool:
    """Whether a Scale stands straight before neurons."""
    node = graph[name]
    targets = graph.targets(name)
    return isinstance(node, Scale) and bool(targets) and all(isinstance(graph[t], LIF | Readout) for t in targets)


def _sums(graph: Graph) -> dict[str, bool]:
    """Whether sums (of a synapse) leave a node, or messages."""
    sums: dict[str, bool] = {}
    for _ in range(2 if graph.recurrent else 1):
        for name in graph.order:
            node = graph[name]
            if isinstance(node, Input | LIF | Synapse | Readout):
                sums[name] = isinstance(node, Synapse | Readout)
            else:
                sums[name] = any(sums.get(source, False) for source in graph.sources(name))
    return sums


def _terms(
    graph: Graph, name: str, values: Mapping[str, Value | None], area: int, flat: bool
) -> list[tuple[str, int, bool]]:
    """The terms that reach ``name``, each with the sum pools between, and whether channels stay what they were."""
    terms: list[tuple[str, int, bool]] = []
    for source in graph.sources(name):
        node: Node = graph[source]
        if isinstance(node, Synapse) or _is_term(graph, source):
            terms.append((source, area, flat))
        elif isinstance(node, Pool | Flatten | Delay | StepAffine) or carries_sums(node):
            window = int(np.prod(node.kernel)) if isinstance(node, Pool) else 1
            window = int(np.abs(node.gain).max()) if isinstance(node, StepAffine) else window
            keeps = isinstance(node, Pool | Delay | Maximum | Dilate | StepAffine)
            terms += _terms(graph, source, values, area * window, flat or not keeps)
        else:
            finding = Finding(
                "SP405",
                f"{type(node).__name__} {source!r} lies between the synapses and the neurons",
                f"node {name!r}",
                mend="make it a matter of weights (one layer of all that is joined, rows in the order that they are "
                "taken), or put it behind the neurons",
            )
            raise SpikeportError(finding)
    return terms


def between(graph: Graph, layer: Layer) -> tuple[str, ...]:
    """The nodes with a gain and bias a timestep between the terms of a layer and its neurons."""
    terms, names = {term.name for term in layer.terms}, dict.fromkeys(_before(graph, layer.sinks))
    return tuple(name for name in names if name not in terms and isinstance(graph[name], StepAffine))


def _before(graph: Graph, names: tuple[str, ...]) -> Iterator[str]:
    for source in (source for name in names for source in graph.sources(name)):
        if not isinstance(graph[source], LIF | Input | Synapse):
            yield source
            yield from _before(graph, (source,))


def carries_sums(node: Node) -> bool:
    """Whether an operation moves the values of one operand, so that sums may pass it on their way to neurons."""
    return isinstance(node, Operation) and node.moves and not node.operands


def _joined(reached: Mapping[str, list[str]]) -> list[tuple[str, ...]]:
    """Sinks in groups that share a term."""
    groups: list[tuple[set[str], set[str]]] = []
    for sink, terms in reached.items():
        sinks, all_terms = {sink}, set(terms)
        for group in [g for g in groups if g[1] & all_terms]:
            groups.remove(group)
            sinks |= group[0]
            all_terms |= group[1]
        groups.append((sinks, all_terms))
    order = {sink: index for index, sink in enumerate(reached)}
    parts = [tuple(sorted(sinks, key=order.__getitem__)) for sinks, _ in groups]
    return sorted(parts, key=lambda part: order[part[0]])
