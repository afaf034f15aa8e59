"""Two versions of a network in the same units, so that one parameter at a time can be exchanged between them.

The common ground is floating point (float64) in the units of B: where B holds Loihi's integers they stay the whole
numbers that they are, exact, and A's real numbers are divided by the unit of the layer that they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import require
from spikeport.graph import (
    DECAY_ONE,
    LIF,
    STATE_SHIFT,
    CubaLIF,
    Graph,
    Input,
    Loihi,
    Node,
    Readout,
    Real,
    Scale,
    StepAffine,
    Synapse,
)
from spikeport.graph.arrays import Array, in_units, schedule_over_neurons

SUM = float(1 << STATE_SHIFT)  #: membrane units in one unit of a sum


def as_written(graph: Graph) -> Graph:
    """The graph's own numbers in float64, in its own units; integers as Loihi means them, without their rounding.

    1. Real numbers are only widened.
    2. Loihi: a sum enters a membrane shifted by 6 bits and scaled by 2**exponent, so ``W' = 64 * 2**exponent * W``,
       ``threshold' = 64 * threshold``, ``decay' = decay / 4096``. What truncation and saturation do is left out.
    3. Xylo's currents decay as they arrive: their gain is their decay.
    """
    integers = isinstance(graph.arithmetic, Loihi)
    nodes = {name: _written(node, integers, feeds_membrane(graph, name)) for name, node in graph.nodes.items()}
    if isinstance(graph.arithmetic, Loihi) and graph.arithmetic.profile.neuron == "xylo":
        late = {name: node for name, node in nodes.items() if isinstance(node, CubaLIF)}
        nodes |= {name: node.with_(gain=node.current_decay) for name, node in late.items()}
    return graph.with_(nodes=nodes, arithmetic=Real("float64"))


def _written(node: Node, integers: bool, before_membrane: bool) -> Node:
    factor = SUM if integers else 1.0
    if isinstance(node, Input):
        return node.with_(unit=np.asarray(1.0), low=-np.inf, high=np.inf)
    if isinstance(node, Synapse):
        bias = None if node.bias is None else node.bias.astype(np.float64)
        return node.with_(weight=node.weight * (factor * 2.0**node.exponent), bias=bias, exponent=0)
    if isinstance(node, Scale):
        return node.with_(factor=node.factor * (factor if before_membrane else 1.0))
    if isinstance(node, StepAffine):
        return node.with_(gain=_wide(node.gain), bias=node.bias * factor)
    if isinstance(node, LIF):
        return _written_neuron(node, factor, DECAY_ONE if integers else 1.0)
    if isinstance(node, Readout):
        return node.with_(weight=_wide(node.weight), bias=_wide(node.bias), unit=np.asarray(1.0))
    return node


def _written_neuron(node: LIF, factor: float, decay_one: float) -> LIF:
    changes = {"gain": _wide(node.gain), "bias": _wide(node.bias), "reset_value": _wide(node.reset_value)}
    changes |= {"decay": node.decay / decay_one, "threshold": node.threshold * factor, "unit": np.asarray(1.0)}
    if isinstance(node, CubaLIF):
        changes["current_decay"] = node.current_decay / decay_one
    if node.lower_bound is not None:
        changes["lower_bound"] = node.lower_bound
    return node.with_(**{name: _wide(np.asarray(value)) for name, value in changes.items()})


def in_units_of(a: Graph, b: Graph) -> Graph:
    """A's numbers in float64 and in B's units; nodes that only one of them has stay as they are.

    Samples are to be divided by B's `entering_unit`. Raises SP805 for a unit that is not positive.
    """
    if a == b:
        return as_written(b)
    nodes = dict(_real(a).nodes)
    shared = [name for name in nodes if name in b.nodes]
    weights = {name: _weight_ratio(nodes[name], b[name]) for name in b.nodes_of(Readout) if name in nodes}
    for name in shared:
        sink = next(sinks(b, name), "")
        unit = _unit(b, sink) / weights.get(sink, 1.0)
        entering = entering_unit(b) if from_input(b, name) else 1.0
        nodes[name] = _divided(nodes[name], unit, entering, feeds_membrane(b, name), weights.get(name, 1.0))
    return a.with_(nodes=nodes, arithmetic=Real("float64"))


def snapped(base: Graph, view: Graph) -> Graph:
    """``base`` with every number that lies within 1e-12 of the one in ``view`` made equal to it.

    Dividing by a unit moves the last bits, and integers meet their thresholds exactly: such noise would flip spikes.
    """
    nodes = dict(base.nodes)
    for name, node in base.nodes.items():
        other = view.nodes.get(name)
        if type(other) is type(node):
            changes = {field: _snap(getattr(node, field), getattr(other, field)) for field in node.arrays}
            nodes[name] = node.with_(**changes)
    return base.with_(nodes=nodes)


def _snap(ours: Array | None, theirs: Array | None) -> Array | None:
    if ours is None or theirs is None:
        return ours
    same = np.ndim(ours) == np.ndim(theirs) and np.isclose(ours, theirs, rtol=1e-12, atol=0)
    return np.where(same, theirs, ours) if np.any(same) else ours


def inclusive(view: Graph, base: Graph) -> Graph:
    """Integers that fire above m as integers that fire from m + 1 on, which is the same and compares with ``>=``.

    A quantiser lowers thresholds so that > does what >= did; taken apart, each half would look like a fault. Layers
    whose thresholds were not lowered (they equal those of ``base``) keep their comparison: there it is the fault.
    """

    def same(name: str, node: LIF) -> bool:
        other = base.nodes.get(name)
        if not isinstance(other, LIF) or other.compare == node.compare:
            return True
        ours, theirs = (schedule_over_neurons(n.threshold, n.shape) for n in (node, other))
        return bool(np.allclose(ours, theirs, rtol=1e-9, atol=0))

    changes = {
        name: node.with_(threshold=node.threshold + 1, compare=">=")
        for name, node in view.nodes_of(LIF).items()
        if node.compare == ">" and not same(name, node)
    }
    return view.replace(changes)


def _real(a: Graph) -> Graph:
    """A in real numbers."""
    written = as_written(a)
    if not isinstance(a.arithmetic, Loihi):
        return written
    nodes = {}
    for name, node in written.nodes.items():
        entering = entering_unit(a) if from_input(a, name) else 1.0
        nodes[name] = _divided(node, 1.0 / _unit(a, next(sinks(a, name), "")), 1.0 / entering, feeds_membrane(a, name))
    return written.with_(nodes=nodes)


def _weight_ratio(a: Node, b: Node) -> float:
    """What a readout weight of one in B is in A: the quantiser moves the rest into the unit of the output."""
    assert isinstance(b, Readout)
    if not isinstance(a, Readout) or not np.any(b.weight):
        return 1.0
    return float(np.abs(a.weight).max() / np.abs(b.weight).max()) or 1.0


def _divided(node: Node, unit: Array, entering: float, before_membrane: bool, weight: float = 1.0) -> Node:
    """Currents, biases and thresholds over the unit of the membrane; weights times the unit of what enters."""
    if isinstance(node, Synapse):
        spread = unit.reshape(-1, *(1,) * (node.weight.ndim - 1)) if unit.ndim else unit
        bias = None if node.bias is None else node.bias / unit
        return node.with_(weight=node.weight * entering / spread, bias=bias)
    if isinstance(node, Scale):
        return node.with_(factor=node.factor * entering / unit) if before_membrane else node
    if isinstance(node, StepAffine):
        return node.with_(bias=_each_step(node.bias, unit))
    if isinstance(node, LIF):
        return node.measured_in(unit)
    if isinstance(node, Readout):
        return node.with_(bias=in_units(node.bias, unit, node.shape), weight=node.weight / weight)
    return node


def _each_step(bias: Array, unit: Array) -> Array:
    """Biases [T], [T, C] or [T, *shape] over a unit [] or [C]."""
    if unit.ndim and bias.ndim == 1:
        bias = bias[:, None]
    return np.asarray(bias / (unit.reshape(-1, *(1,) * (bias.ndim - 2)) if unit.ndim else unit))


def sinks(graph: Graph, name: str) -> Iterator[str]:
    """The neurons or the readout whose membranes a node's values enter; the node itself if it is one."""
    node = graph[name]
    if isinstance(node, LIF | Readout):
        yield name
    elif not isinstance(node, Input):
        for target in graph.targets(name):
            if not isinstance(graph[target], Synapse):
                yield from sinks(graph, target)


def feeds_membrane(graph: Graph, name: str) -> bool:
    """Whether a node is a `Scale` straight before neurons, whose factor is then in the membrane's unit."""
    return isinstance(graph[name], Scale) and all(isinstance(graph[t], LIF | Readout) for t in graph.targets(name))


def from_input(graph: Graph, name: str) -> bool:
    """Whether the samples themselves enter a node, perhaps pooled or delayed."""
    waiting = list(graph.sources(name))
    while waiting:
        source = waiting.pop()
        if isinstance(graph[source], Input):
            return True
        if not isinstance(graph[source], LIF | Synapse):
            waiting += graph.sources(source)
    return False


def entering_unit(graph: Graph) -> float:
    """Real value of one integer of the input; 1 in Real arithmetic."""
    return float(graph.entry.unit) if isinstance(graph.arithmetic, Loihi) else 1.0


def _unit(graph: Graph, sink: str) -> Array:
    """Real value of one unit of the membranes of ``sink``, [] or [C]; 1 in Real arithmetic and where there is none."""
    node = graph.nodes.get(sink)
    if not isinstance(graph.arithmetic, Loihi) or not isinstance(node, LIF | Readout):
        return np.asarray(1.0)
    require(bool(np.all(node.unit > 0)), "SP805", "its unit is not positive", where=f"node {sink!r}")
    return _wide(node.unit)


def _wide(value: Array) -> Array:
    return value.astype(np.float64)
