"""Values of different units that meet between layers get one: half a residual beside whole spikes."""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, Delay, Graph, Input, Operation, Readout, Scale, Synapse
from spikeport.passes.linear import real_dtype

FINEST = 8  #: a unit is at most so many halvings below the finest that meets
LARGEST = 2**8  #: by which whole values are multiplied at most


def common_units(graph: Graph) -> Graph:
    """Write values that add up, or stand side by side, as whole multiples of one power of two.

    1. A neuron's spikes have the unit 1, a factor that is not whole multiplies it, a product multiplies those of both.
    2. Where several known units meet, the largest power of two of which all are whole multiples becomes the unit: what
       is k times as coarse goes through factors of k and 1 / k, of which integers keep the first.
    3. What the input sends, whose unit the data choose, and units without such a power of two stay.

    Requires: Real arithmetic, before units are chosen. Ensures: values as before, up to rounding.
    """
    units = _units(graph)
    dtype = real_dtype(graph, "common_units")
    for name, node in graph.nodes.items():
        meeting = {source: units.get(source) for source in graph.sources(name)}
        known = {source: unit for source, unit in meeting.items() if unit is not None}
        into_neurons = isinstance(node, LIF | Readout)  # each gets a factor of its own there
        multiplies = isinstance(node, Operation) and node.multiplies
        if into_neurons or multiplies or len(known) < len(meeting) or len({*known.values()}) < 2:
            continue
        one = _one(list(known.values()))
        if one is None:
            continue
        for source, unit in known.items():
            times = round(unit / one)
            if times > 1:
                whole, back = (Scale(np.asarray(factor, dtype)) for factor in (times, 1 / times))
                edge = f"{source}.times.{name}"
                graph = graph.insert(edge, whole, (source, name)).insert(f"{edge}.back", back, (edge, name))
    return graph


def _units(graph: Graph) -> dict[str, float | None]:
    """What one is worth of the whole values that leave each node; None where sums leave it, or the input's."""
    units: dict[str, float | None] = {}
    for _ in range(2 if graph.recurrent else 1):
        for name in graph.order:
            units[name] = _leaving(graph, name, units)
    return units


def _leaving(graph: Graph, name: str, units: dict[str, float | None]) -> float | None:
    node = graph[name]
    if isinstance(node, LIF):
        return 1.0
    entering = [units.get(source) for source in graph.sources(name)]
    known = [unit for unit in entering if unit is not None]
    partly = len(known) < len(entering) and not isinstance(node, Delay)
    if isinstance(node, Input | Synapse | Readout) or not known or partly:
        return None
    if isinstance(node, Operation) and node.multiplies:
        return float(np.prod([units.get(operand) or 1.0 for operand in node.operands]))
    unit = _one(known) if len({*known}) > 1 else known[0]
    if unit is None or not isinstance(node, Scale) or np.array_equal(node.factor, np.rint(node.factor)):
        return unit
    return unit * abs(float(node.factor)) if node.factor.size == 1 else None


def _one(units: list[float]) -> float | None:
    """The largest power of two of which all units are whole multiples."""
    finest = 2.0 ** np.floor(np.log2(min(units)))
    for halvings in range(FINEST + 1):
        one = float(finest / 2.0**halvings)
        if all(unit / one == round(unit / one) <= LARGEST for unit in units):
            return one
    return None
