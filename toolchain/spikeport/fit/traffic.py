"""Messages and mesh hops of a run under a mapping: one message a spike and destination core."""

from __future__ import annotations

import numpy as np

from spikeport.energy.counts import Traffic
from spikeport.fit.mapping import Mapping
from spikeport.graph import LIF, Array, Graph, Input, Loihi
from spikeport.record import Record


def traffic(mapping: Mapping, record: Record, samples: Array | None = None) -> dict[str, Traffic]:
    """Per sample, by sending layer.

    Exact where the record has the layer's spike train, or ``samples`` those of the run for the input; else the layer's
    spikes are taken as spread evenly over its neurons.
    """
    graph = mapping.graph
    found = {}
    for name in graph.nodes_of(Input, LIF):
        sent = _sent(graph, name, record, samples) / record.samples
        messages = east_west = north_south = 0.0
        for target, layer in mapping.fit.layers.items():
            if not any(name in projection.senders for projection in layer.layer.projections):
                continue
            reached = mapping.destinations(name, target).reshape(sent.size, -1)
            pairs = _by_source_core(mapping.core_of(name).ravel(), sent.ravel(), reached)
            cores = np.arange(reached.shape[1]) + mapping.first[target]
            there = mapping.position(cores)
            for core, row in pairs.items():
                here = mapping.position(np.asarray(core))
                messages += float(row.sum())
                east_west += float(row @ np.abs(there[0] - here[0]))
                north_south += float(row @ np.abs(there[1] - here[1]))
        found[name] = Traffic(messages, east_west, north_south)
    return found


def _sent(graph: Graph, name: str, record: Record, samples: Array | None) -> Array:
    """[*shape]: messages that each neuron, or each value of the input, sends in all samples and steps."""
    shape = graph.shapes[name]
    size = int(np.prod(shape))
    node = graph.nodes[name]
    if isinstance(node, LIF):
        if name in record.trains:
            return np.asarray(record.trains[name].unpack().sum((0, 1), dtype=np.int64))
        return np.full(shape, record.spike_counts[name].sum() / size)
    assert isinstance(node, Input)
    if samples is None:
        return np.full(shape, float(record.samples * graph.timesteps))
    nonzero = (
        np.rint(np.asarray(samples, dtype=np.float64) / node.unit)
        if isinstance(graph.arithmetic, Loihi)
        else np.asarray(samples)
    )
    lead = nonzero.ndim - len(shape)
    each = (nonzero != 0).sum(tuple(range(lead)), dtype=np.int64)
    return np.asarray(each * (graph.timesteps if lead == 1 else 1))


def _by_source_core(cores: Array, sent: Array, reached: Array) -> dict[int, Array]:
    """For each source core, the messages to each destination core."""
    found = {}
    for core in np.unique(cores):
        here = np.flatnonzero((cores == core) & (sent > 0))
        found[int(core)] = sent[here] @ reached[here].astype(np.float64)
    return found
