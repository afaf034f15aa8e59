"""How near its threshold a neuron was when two runs parted: one sample, run again with the decision put off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from spikeport.comparison.divergence import Divergence, Moment
from spikeport.graph import LIF, Array, Graph, Loihi, Samples, over_neurons
from spikeport.record import Record
from spikeport.target import Request

Run = Callable[[Graph, Array, Request], Record]


class Side(NamedTuple):
    """One of the two networks, and what runs it."""

    graph: Graph
    run: Run


def with_moments(place: Divergence, a: Side | None, b: Side | None, samples: Array | Samples) -> Divergence:
    """The divergence with membrane, threshold and margin of each side whose network is known.

    ``samples`` are those of the records, [B, *input] or [T, B, *input].
    """

    def of(side: Side | None) -> Moment | None:
        if side is None:
            return None
        return moment(side, place, Samples.of(side.graph, samples).take([place.sample]).array)

    return replace(place, a=of(a), b=of(b))


def moment(side: Side, place: Divergence, sample: Array) -> Moment | None:
    """Membrane before the reset, threshold and margin of one neuron at one step; None where they cannot be had.

    Targets show membranes after the reset. So the layer's thresholds of this one step are put out of reach: nothing
    before it changes, and the neuron keeps its membrane. ``sample`` is one sample, with its axis.
    """
    node = side.graph.nodes.get(place.layer)
    if not isinstance(node, LIF) or len(place.neuron) != len(node.shape):
        return None
    held = _with_schedules(side.graph).replace({place.layer: _held(node, place.t, side.graph)})
    record = side.run(held, sample, Request(trains=True, membranes=True))
    at = (place.t, 0, *place.neuron)
    if place.layer not in record.membranes or record.trains[place.layer].unpack()[at]:
        return None
    unit, threshold = unit_of(side.graph, node)[place.neuron], threshold_at(side.graph, node, place.t)[place.neuron]
    membrane = record.membranes[place.layer][at]
    return Moment(float(membrane * unit), float(threshold * unit), float((membrane - threshold) * unit))


def _with_schedules(graph: Graph) -> Graph:
    """The graph in a format whose thresholds may vary over time, which is the same for constant ones."""
    if not isinstance(graph.arithmetic, Loihi):
        return graph
    return graph.with_(arithmetic=Loihi(replace(graph.arithmetic.profile, schedule=True)))


def _held(node: LIF, t: int, graph: Graph) -> LIF:
    """The layer with thresholds at one step that no membrane reaches."""
    threshold = node.threshold.copy()
    arithmetic = graph.arithmetic
    if isinstance(arithmetic, Loihi):
        threshold[t] = 2**arithmetic.profile.threshold_bits - 1
    else:
        threshold[t] = np.finfo(threshold.dtype).max / 4
    return node.with_(threshold=threshold)


def threshold_at(graph: Graph, node: LIF, t: int) -> Array:
    """[*neurons]: the thresholds of one step, in the membrane's unit."""
    return np.broadcast_to(graph.arithmetic.threshold(node, t), node.shape)


def unit_of(graph: Graph, node: LIF) -> Array:
    """[*neurons]: the real value of one unit of the membrane."""
    unit = node.unit if isinstance(graph.arithmetic, Loihi) else np.asarray(1.0)
    return np.broadcast_to(over_neurons(unit, node.shape), node.shape)
