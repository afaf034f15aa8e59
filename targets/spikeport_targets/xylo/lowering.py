"""From a Graph and its layout to a `Plan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from spikeport.graph import DECAY_ONE, STATE_SHIFT, Array, CubaLIF, Graph, over_neurons, schedule_over_neurons
from spikeport.mapping.population import Layout
from spikeport_targets.xylo.plan import Neurons, Plan, Synapses


def lower(graph: Graph, place: Layout, stream: Array) -> Plan:
    """The network for ``stream`` [N, T, *input] in units of the input; ``place`` is the graph's layout."""
    steps = graph.timesteps + max(place.depth.values())
    events = np.zeros((len(stream), steps, int(np.prod(stream.shape[2:]))), np.uint8)
    begin = place.depth[graph.input]
    events[:, begin : begin + graph.timesteps] = stream.reshape(*stream.shape[:2], -1)
    neurons = {
        "hidden": _population(graph, place, place.hidden),
        "out": _population(graph, place, () if place.out is None else (place.out,)),
    }
    synapses = {
        name: Synapses(weight >> place.shifts[name], place.shifts[name]) for name, weight in place.weights.items()
    }
    return Plan(events, neurons, synapses)


def _population(graph: Graph, place: Layout, names: Sequence[str]) -> Neurons:
    none = (np.zeros(0, np.int64),) * len(fields(Neurons))
    parts = [none, *(_layer(graph.nodes[name], place.depth[name]) for name in names)]
    return Neurons(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _layer(node: object, first: int) -> tuple[Array, ...]:
    """Threshold, bias, first step of the bias and the two shifts of each neuron of a layer."""
    assert isinstance(node, CubaLIF)

    def each(value: Array) -> Array:
        return np.asarray(np.broadcast_to(value, node.shape).ravel().astype(np.int64))

    decay, fade = (_bits(each(over_neurons(value, node.shape))) for value in (node.decay, node.current_decay))
    bias = each(over_neurons(node.bias, node.shape)) >> STATE_SHIFT
    threshold = each(schedule_over_neurons(node.threshold, node.shape)[0])
    return threshold, bias, np.full(node.size, first, np.int64), decay, fade


def _bits(decay: Array) -> Array:
    """n of a decay of 1 - 2**-n over 4096."""
    return np.asarray(np.rint(np.log2(DECAY_ONE / (DECAY_ONE - decay))).astype(np.int64))
