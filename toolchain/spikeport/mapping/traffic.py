"""What a run does to a mapping, step by step: messages, mesh hops, and the synaptic operations of every core."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeport.costs.counts import Traffic
from spikeport.costs.identities import per_position
from spikeport.graph import LIF, Array, Input, Shape
from spikeport.mapping.layers import Axis, Layer, Projection, spread_to
from spikeport.mapping.placement import Mapping
from spikeport.record import Record
from spikeport.spike_train import Counts

Work = NDArray[np.int64]  #: [T, cores of a layer]


def traffic(mapping: Mapping, record: Record, samples: Array) -> dict[str, Traffic]:
    """Messages, one a spike and destination core, and their hops, by sending layer.

    ``samples`` are those of the run. Raises SP704 where the record lacks a layer's spike train.
    """
    graph = mapping.graph
    by_sender = {}
    for name in graph.nodes_of(Input, LIF):
        sent = per_position(graph, name, record, samples).reshape(graph.timesteps, -1)
        messages, east_west, north_south = (np.zeros(graph.timesteps, dtype=np.int64) for _ in range(3))
        for target, layer in mapping.fit.layers.items():
            if not any(name in projection.senders for projection in layer.layer.projections):
                continue
            reached = mapping.destinations(name, target).reshape(sent.shape[1], -1)
            cores = np.arange(reached.shape[1]) + mapping.first[target]
            there = mapping.position(cores)
            for core, rows in _by_source_core(mapping.core_of(name).ravel(), sent, reached):
                here = mapping.position(np.asarray(core))
                messages += rows.sum(1)
                east_west += rows @ np.abs(there[0] - here[0])
                north_south += rows @ np.abs(there[1] - here[1])
        by_sender[name] = Traffic(messages, east_west, north_south)
    return by_sender


def work(mapping: Mapping, record: Record, samples: Array) -> dict[str, Work]:
    """Synaptic operations of each core of each layer at each step, summed over samples: one a spike and synapse.

    A spike that enters without a synapse counts as one of weight 1. Raises as `traffic`.
    """
    graph = mapping.graph
    sent = {name: per_position(graph, name, record, samples) for name in graph.nodes_of(Input, LIF)}
    by_layer = {}
    for name, layer in mapping.fit.layers.items():
        total = np.zeros((graph.timesteps, layer.tile.cores), dtype=np.int64)
        for projection in layer.layer.projections:
            for sender in projection.senders:
                total += operations(projection, sent[sender], layer.layer, layer.tile.shape)
        by_layer[name] = total
    return by_layer


def _by_source_core(cores: Array, sent: Work, reached: NDArray[np.bool_]) -> list[tuple[int, Counts]]:
    """For each source core, the messages to each destination core at each step, [T, destinations].

    Products of floats, which are fast, and exact: no sum comes near 2**53.
    """
    messages = []
    fired = sent.any(0)
    for core in np.unique(cores):
        here = np.flatnonzero((cores == core) & fired)
        rows = sent[:, here].astype(np.float64) @ reached[here].astype(np.float64)
        messages.append((int(core), np.rint(rows).astype(np.int64)))
    return messages


def operations(projection: Projection, sent: NDArray[np.int64], layer: Layer, tile: Shape) -> Work:
    """[T, cores]: spikes [T, *shape] times the synapses that each has on each core, one axis after the other."""
    outputs = np.arange(layer.shape[0])
    tiles = outputs // tile[0]
    shape = sent.shape[1:]
    space: list[NDArray[np.int64]]
    if projection.axes or projection.groups > 1:
        of_group = np.zeros((projection.groups, tiles[-1] + 1), dtype=np.int64)
        np.add.at(of_group, (outputs // projection.outputs, tiles), 1)
        channels = of_group[np.arange(shape[0]) // projection.inputs]
        space = [_synapses(axis, part) for axis, part in zip(projection.axes, tile[1:], strict=True)]
        if projection.before:
            pairs = zip(projection.before, space, strict=True)
            space = [spread_to(pool, 1).astype(np.int64) @ taps for pool, taps in pairs]
    else:
        channels = np.broadcast_to(np.bincount(tiles), (shape[0], tiles[-1] + 1))
        space = [np.ones((size, 1), dtype=np.int64) for size in shape[1:]]
        if projection.before:
            space = [spread_to(pool, 1).sum(1, keepdims=True) for pool in projection.before]
    result = sent
    for matrix in (channels, *space):  # the first axis after time is always the next one; its result goes to the end
        result = np.tensordot(result, matrix, axes=(1, 0))
    return result.reshape(len(sent), -1)


def _synapses(axis: Axis, tile: int) -> NDArray[np.int64]:
    """[inputs, tiles]: by how many taps an input reaches the outputs of each tile."""
    counts = np.zeros((axis.inputs, -(-axis.outputs // tile)), dtype=np.int64)
    inputs, taps = np.nonzero(axis.reached >= 0)
    np.add.at(counts, (inputs, axis.reached[inputs, taps] // tile), 1)
    return counts
