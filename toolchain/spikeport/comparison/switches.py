"""The differences between two versions of a network, each as a switch that moves A one step towards B.

A switch takes (A, B), both in float64 and in the same units (`spikeport.comparison.units`), and returns A with one kind
of parameter as B has it. Where nothing differs it returns A itself, equal to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from spikeport.comparison.kinds import BIAS, BOUND, COMPARE, DECAY, RESET, SCHEDULE, SKEW, THRESHOLDS, WEIGHTS, Kind
from spikeport.findings import Finding, SpikeportError
from spikeport.graph import LIF, Array, CubaLIF, Delay, Graph, Node, Readout, Scale, StepAffine, Synapse
from spikeport.quantisation.collapse_schedule import between

Switch = Callable[[Graph, Graph], Graph]


def weights(a: Graph, b: Graph) -> Graph:
    """Weights of synapses and factors of scales."""
    changes: dict[str, Node] = {n: node.with_(weight=_of(b, n, "weight")) for n, node in a.nodes_of(Synapse).items()}
    changes |= {n: node.with_(factor=_of(b, n, "factor")) for n, node in a.nodes_of(Scale).items()}
    changes |= {n: node.with_(weight=_of(b, n, "weight")) for n, node in a.nodes_of(Readout).items()}
    changes |= {n: node.with_(gain=_of(b, n, "gain")) for n, node in a.nodes_of(StepAffine).items()}
    return a.replace(changes)


def biases(a: Graph, b: Graph) -> Graph:
    """Biases of synapses, neurons and the readout."""
    kinds = (Synapse, LIF, Readout, StepAffine)
    return a.replace({n: node.with_(bias=_of(b, n, "bias")) for n, node in a.nodes.items() if isinstance(node, kinds)})


def decays(a: Graph, b: Graph) -> Graph:
    """Decays of membranes and of currents."""
    changes: dict[str, Node] = {}
    for name, node in a.nodes_of(LIF).items():
        fields = ("decay", "current_decay", "gain") if isinstance(node, CubaLIF) else ("decay", "gain")
        changes[name] = node.with_(**{field: _of(b, name, field) for field in fields})
    return a.replace(changes)


def comparisons(a: Graph, b: Graph) -> Graph:
    """Whether a membrane exactly at its threshold fires."""
    return a.replace({name: node.with_(compare=_lif(b, name).compare) for name, node in a.nodes_of(LIF).items()})


def resets(a: Graph, b: Graph) -> Graph:
    """What a membrane becomes when its neuron has fired."""

    def reset(name: str, node: LIF) -> LIF:
        other = _lif(b, name)
        return node.with_(reset=other.reset, reset_value=other.reset_value)

    return a.replace({name: reset(name, node) for name, node in a.nodes_of(LIF).items()})


def bounds(a: Graph, b: Graph) -> Graph:
    """Where membranes end below."""
    return a.replace({name: n.with_(lower_bound=_lif(b, name).lower_bound) for name, n in a.nodes_of(LIF).items()})


def schedules(a: Graph, b: Graph) -> Graph:
    """Schedules that vary over time in A and not in B become constants: the summary of A's that lies nearest to B's."""
    return a.replace(
        {
            name: node.with_(threshold=collapsed(node.threshold, _lif(b, name).threshold, how(b) == "best"))
            for name, node in a.nodes_of(LIF).items()
        }
    )


def thresholds(a: Graph, b: Graph) -> Graph:
    """What is left of the difference of the thresholds once the collapse of a schedule is taken out."""
    changes: dict[str, Node] = {}
    for name, node in a.nodes_of(LIF).items():
        ours, theirs = node.threshold, _lif(b, name).threshold
        flat = collapsed(ours, theirs, how(b) == "best")
        if flat is ours:
            changes[name] = node.with_(threshold=theirs)
        elif not np.array_equal(flat, theirs):
            ours, theirs, flat = _alike(ours, theirs, flat)
            changes[name] = node.with_(threshold=ours + (theirs - flat))
    return a.replace(changes)


def skew(a: Graph, b: Graph) -> Graph:
    """B's delays that A has not, put where B has them."""
    late = {name: node for name, node in b.nodes_of(Delay).items() if name not in a.nodes}
    return a.with_(nodes={**a.nodes, **late}, edges=b.edges) if late else a


SWITCHES: Mapping[Kind, Switch] = {
    WEIGHTS: weights,
    THRESHOLDS: thresholds,
    SCHEDULE: schedules,
    DECAY: decays,
    BIAS: biases,
    COMPARE: comparisons,
    RESET: resets,
    BOUND: bounds,
    SKEW: skew,
}


def how(graph: Graph) -> str:
    """How its schedules became constants, as `spikeport quantize` wrote it down; nothing where they did not."""
    return str(dict(graph.provenance.get("quantised", {})).get("thresholds") or "")


def collapsed(ours: Array, theirs: Array, best: bool = False) -> Array:
    """``ours`` itself unless it varies over time and ``theirs`` does not; else the constant nearest to ``theirs``.

    Constants are the usual summaries of ``ours``, and where the ``best`` was looked for those that were looked at.
    """
    if np.array_equal(ours, np.broadcast_to(ours[:1], ours.shape)):
        return ours
    if not np.array_equal(theirs, np.broadcast_to(theirs[:1], theirs.shape)):
        return ours
    summaries = [ours.mean(0), ours[0], ours[-1], ours.min(0), ours.max(0), np.median(ours, axis=0)]
    constants = [np.broadcast_to(value, ours.shape) for value in summaries]
    if best:
        constants.append(_between(ours, theirs))
    return min(constants, key=lambda constant: _distance(constant, theirs))


def _between(ours: Array, theirs: Array) -> Array:
    """Of the constants that quantisation looks at, for each channel or neuron of ``ours`` the nearest to B's."""
    ours, theirs = _alike(ours, theirs)
    constants = between(ours)
    away = np.abs(constants - theirs[:1])
    nearest = np.take_along_axis(constants, away.argmin(0)[None], 0) if away.shape == constants.shape else constants[:1]
    return np.broadcast_to(nearest, ours.shape)


def _distance(a: Array, b: Array) -> float:
    a, b = _alike(a, b)
    return float(np.abs(a - b).sum())


def _alike(*schedules: Array) -> tuple[Array, ...]:
    """Schedules [T], [T, C] or [T, *shape] with as many axes each."""
    most = max(value.ndim for value in schedules)
    return tuple(value.reshape(value.shape + (1,) * (most - value.ndim)) for value in schedules)


def differences(a: Graph, b: Graph) -> None:
    """Raises SP805 with every difference that no switch can express: these are not two versions of one network."""
    findings = []
    own = set(a.nodes)
    theirs = {name for name in b.nodes if name in own or not isinstance(b[name], Delay)}
    for name in sorted(own ^ theirs):
        findings.append(Finding("SP805", f"only {'A' if name in own else 'B'} has this node", where=f"node {name!r}"))
    for name in sorted(own & theirs):
        if type(a[name]) is not type(b[name]) or a.shapes[name] != b.shapes[name]:
            what = f"A has {type(a[name]).__name__} {a.shapes[name]}, B {type(b[name]).__name__} {b.shapes[name]}"
            findings.append(Finding("SP805", what, where=f"node {name!r}"))
    if a.timesteps != b.timesteps:
        findings.append(Finding("SP805", f"A runs {a.timesteps} timesteps, B {b.timesteps}"))
    if findings:
        raise SpikeportError(findings)


def _of(graph: Graph, name: str, field: str) -> Array:
    value: Array = getattr(graph[name], field)
    return value


def _lif(graph: Graph, name: str) -> LIF:
    node = graph[name]
    assert isinstance(node, LIF)
    return node
