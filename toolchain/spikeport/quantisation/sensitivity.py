"""Which layers need their bits, and the cheapest assignment of bits that keeps the accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from spikeport.findings import fail
from spikeport.graph import Graph, Synapse
from spikeport.quantisation.layers import Layer
from spikeport.quantisation.plan import Plan
from spikeport.quantisation.post_training import Quantised, measure
from spikeport.quantisation.ranges import ranges
from spikeport.quantisation.scales import largest_weights
from spikeport.quantisation.sweep import Calibration
from spikeport.target import Progress, silent

Accuracy = Callable[[Graph], float]  #: share of right answers of a graph on labelled samples, between 0 and 1
POINTS = 16  #: of the trade-off curve that are measured, besides those that the search for the budget needs


@dataclass(frozen=True)
class Probe:
    """One layer at some bits, all others as they were."""

    layer: str
    bits: int
    output_error: float  #: root mean square, relative
    spike_mismatch: float  #: share of spikes that differ, between 0 and 1
    argmax_agreement: float  #: between 0 and 1
    accuracy: float | None  #: between 0 and 1


@dataclass(frozen=True)
class Point:
    """One assignment of bits."""

    bits: Mapping[str, int]  #: by synapse
    weight_bits: int  #: number of weights times their bits, summed
    mean_bits: float  #: of a weight
    accuracy: float  #: between 0 and 1


@dataclass(frozen=True)
class TradeOff:
    """What the search for mixed bits found."""

    chosen: Point
    real_accuracy: float
    max_drop: float  #: in points
    curve: tuple[Point, ...]  #: from most bits to fewest
    probes: tuple[Probe, ...]


def sensitivity(
    quantised: Quantised, *, accuracy: Accuracy | None = None, progress: Progress = silent
) -> tuple[Probe, ...]:
    """Each layer at each number of bits below its own, the others untouched, on the calibration samples."""
    plan, seen = quantised.plan, quantised.calibration
    tasks = [(layer, bits) for layer in _weighted(plan) for bits in range(_bits(plan, layer) - 1, 0, -1)]
    probes = []
    for index, (layer, bits) in enumerate(tasks):
        progress(index, len(tasks))
        candidate = with_bits(plan, layer, bits, seen)
        graph, _ = candidate.build()
        share = accuracy(graph) if accuracy is not None and graph is not None else None
        probes.append(Probe(layer.name, bits, accuracy=share, **measure(candidate, seen)))
    progress(len(tasks), len(tasks))
    return tuple(probes)


def mixed_bits(
    quantised: Quantised, *, accuracy: Accuracy, real_accuracy: float, max_drop: float, progress: Progress = silent
) -> TradeOff:
    """The cheapest assignment of bits to layers whose accuracy is at most ``max_drop`` points below the real one.

    1. `sensitivity` gives the squared output error that each layer adds at each number of bits.
    2. From all bits on, the layer that loses the least of it for each weight bit saved loses one bit, again and again:
       a path from most to fewest bits. Errors of layers are taken to add, so the path needs no run.
    3. Points along the path are measured with ``accuracy``; the cheapest that keeps the budget is chosen. A bisection
       finds it where accuracy falls along the path; the measured points between are looked at too.

    Deterministic. Raises SP425 if not even the bits that ``quantised`` has keep the budget.
    """
    if max_drop < 0:
        fail("SP400", f"a drop of at most {max_drop} points", mend="allow at least 0")
    probes = sensitivity(quantised, progress=progress)
    path = _path(quantised.plan, probes, measure(quantised.plan, quantised.calibration)["output_error"])
    measured: dict[int, float] = {}

    def keeps(index: int) -> bool:
        if index not in measured:
            graph, _ = _assigned(quantised, path[index]).build()
            measured[index] = accuracy(graph) if graph is not None else 0.0
        return measured[index] >= real_accuracy - max_drop / 100

    if not keeps(0):
        fail(
            "SP425",
            f"with all bits the accuracy is {measured[0]:.4f}, the real network's is {real_accuracy:.4f}",
            where="the budget of accuracy",
            mend=f"allow a larger drop than {max_drop} points",
        )
    good, bad = 0, len(path)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if keeps(middle) else (good, middle)
    for index in range(0, len(path), max(1, len(path) // POINTS)):
        keeps(index)
    best = max(index for index in measured if keeps(index))
    points = tuple(_point(quantised.plan, path[index], measured[index]) for index in sorted(measured))
    return TradeOff(_point(quantised.plan, path[best], measured[best]), real_accuracy, max_drop, points, probes)


def with_bits(plan: Plan, layer: Layer, bits: int, seen: Calibration) -> Plan:
    """The plan with other bits for one layer, its ranges chosen again."""
    names = [term.name for term in layer.terms if term.name in plan.mantissas]
    mantissas = {**plan.mantissas, **{name: replace(plan.mantissas[name], bits=bits) for name in names}}
    alone = plan.with_(mantissas=mantissas).with_limits(layer, largest_weights(plan.real, layer))
    chosen = ranges(alone, seen, "mse")
    return alone.with_limits(layer, chosen.limits[layer.name])


def _assigned(quantised: Quantised, bits: Mapping[str, int]) -> Plan:
    plan = quantised.plan
    for layer in _weighted(plan):
        if bits[layer.name] != _bits(plan, layer):
            plan = with_bits(plan, layer, bits[layer.name], quantised.calibration)
    return plan


def _path(plan: Plan, probes: tuple[Probe, ...], base: float) -> list[dict[str, int]]:
    """Assignments by layer, from all bits to one bit everywhere."""
    start = {layer.name: _bits(plan, layer) for layer in _weighted(plan)}
    error = {(probe.layer, probe.bits): max(0.0, probe.output_error**2 - base**2) for probe in probes}
    error |= dict.fromkeys(start.items(), 0.0)
    weights = {layer.name: _weights(plan, layer) for layer in _weighted(plan)}
    path, current = [dict(start)], dict(start)
    while any(bits > 1 for bits in current.values()):
        moves = {
            name: (error[name, bits - 1] - error[name, bits]) / weights[name]
            for name, bits in current.items()
            if bits > 1
        }
        cheapest = min(moves, key=moves.__getitem__)
        current = {**current, cheapest: current[cheapest] - 1}
        path.append(dict(current))
    return path


def _point(plan: Plan, bits: Mapping[str, int], accuracy: float) -> Point:
    by_synapse = {
        term.name: bits[layer.name] for layer in _weighted(plan) for term in layer.terms if term.name in plan.mantissas
    }
    total = sum(_weights(plan, layer) * bits[layer.name] for layer in _weighted(plan))
    count = sum(_weights(plan, layer) for layer in _weighted(plan))
    return Point(by_synapse, total, total / count, accuracy)


def _weighted(plan: Plan) -> list[Layer]:
    return [layer for layer in plan.layers if any(term.name in plan.mantissas for term in layer.terms)]


def _bits(plan: Plan, layer: Layer) -> int:
    return max(plan.mantissas[term.name].bits for term in layer.terms if term.name in plan.mantissas)


def _weights(plan: Plan, layer: Layer) -> int:
    nodes = [plan.real[term.name] for term in layer.terms]
    return sum(int(node.weight.size) for node in nodes if isinstance(node, Synapse))
