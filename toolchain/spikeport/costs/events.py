"""Event counts from any target's Record that holds spike trains: the engine's counts, by numpy alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.costs.values import Values
from spikeport.graph import LIF, Arithmetic, Array, Graph, Synapse
from spikeport.graph.adaptive import settled
from spikeport.graph.reach import reach
from spikeport.record import Events, NeuronEvents, Record, SynapseEvents
from spikeport.spike_train import Counts


def derive(graph: Graph, samples: Array, record: Record) -> Record:
    """The record with the events of every synapse and neuron layer; those it has already are kept.

    ``samples`` are those of the run: [B, *input] for direct coding, [T, B, *input] for events. Raises SP704 where a
    spike train is missing, SP706 where a cycle passes through no spiking neuron.
    """
    values = Values(graph, samples, record)
    events: dict[str, Events] = {}
    for name, node in graph.nodes_of(Synapse, LIF).items():
        if name in record.events:
            events[name] = record.events[name]
        elif isinstance(node, Synapse):
            events[name] = of_synapse(node, values.into(name), graph.timesteps)
        else:
            assert isinstance(node, LIF)
            events[name] = of_neurons(node, values.into(name), values.train(name), graph.arithmetic)
    return replace(record, events=events)


def of_synapse(node: Synapse, x: Array, steps: int) -> SynapseEvents:
    """Events of one synapse whose input is ``x`` [T or 1, B, *shape] (1: the same at every step)."""
    shape = x.shape[2:]
    effective, fanout = (reach(node, shape, effective=kind).ravel() for kind in (True, False))
    analog = bool((x != np.rint(x)).any())
    nonzero = (x != 0).sum(1, dtype=np.int64).reshape(x.shape[0], -1)
    graded = ((x != 0) & (np.abs(x) != 1)).sum(1, dtype=np.int64).reshape(x.shape[0], -1)
    size = np.zeros_like(nonzero) if analog else np.abs(x).sum(1).reshape(x.shape[0], -1).astype(np.int64)

    def each_step(value: Array) -> Counts:
        return np.broadcast_to(value, steps).astype(np.int64)

    return SynapseEvents(
        inputs=each_step(nonzero.sum(1)),
        payload=each_step(size.sum(1)),
        synops=each_step(nonzero @ effective),
        fanout=each_step(nonzero @ fanout),
        graded=each_step(graded @ fanout),
        unary=each_step(size @ fanout),
        dense=each_step(fanout.sum() * x.shape[1]),
        analog=analog,
        constant=x.shape[0] == 1 and steps > 1,
    )


def of_neurons(node: LIF, x: Array, spikes: Array, arithmetic: Arithmetic) -> NeuronEvents:
    """Events of one layer from its input [T or 1, B, *shape] and its spikes; active: an input, a state or a bias."""
    steps, batch = spikes.shape[:2]
    v = current = rise = np.zeros(x.shape[1:])
    active = []
    for t in range(steps):
        arriving = x[min(t, x.shape[0] - 1)]
        active.append(int(np.count_nonzero(arithmetic.active(node, v, arriving) | (rise != 0))))
        u, current, _ = arithmetic.charge(node, v, current, arriving)
        v, rise = settled(arithmetic, node, u, rise, spikes[t], t)
    return NeuronEvents(
        spikes=spikes.reshape(steps, -1).sum(1, dtype=np.int64),
        updates=np.full(steps, node.size * batch, dtype=np.int64),
        active=np.asarray(active, dtype=np.int64),
    )
