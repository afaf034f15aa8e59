"""What a run did per sample, gathered from its Record for the cost models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeport.energy.model import Range, exactly
from spikeport.energy.reach import reach
from spikeport.findings import fail
from spikeport.graph import LIF, Graph, Readout, Synapse
from spikeport.record import NeuronEvents, Record, SynapseEvents


@dataclass(frozen=True, slots=True)
class SynapseCounts:
    """One synapse, per sample, summed over the timesteps."""

    inputs: float  #: inputs that are not zero
    accumulates: Range  #: additions: operations by inputs of size one; low leaves out weights that are zero
    macs: Range  #: multiply-adds by other inputs; once where the input is constant, `high`: at every step
    operations: Range  #: all synaptic operations, at every step; low leaves out weights that are zero
    dense: Range  #: multiply-adds of the same layer in an ANN: one dense pass; low leaves out weights that are zero


@dataclass(frozen=True, slots=True)
class NeuronCounts:
    """One neuron layer, or the readout, per sample, summed over the timesteps."""

    spikes: float
    updates: float  #: all neurons at every step
    active: float  #: those with an input, a state or a bias


@dataclass(frozen=True, slots=True)
class Counts:
    """All layers, by node name, per sample."""

    timesteps: int
    synapses: Mapping[str, SynapseCounts]
    neurons: Mapping[str, NeuronCounts]
    constant: frozenset[str]  #: synapses whose input is the same at every step, and so does not follow the firing rate
    rate: float  #: spikes per neuron and step, over all spiking layers


def counts(graph: Graph, record: Record) -> Counts:
    """The counts per sample. Raises SP704 where the record has no events, or those of another graph."""
    missing = [name for name in graph.nodes_of(Synapse, LIF) if name not in record.events]
    if missing:
        fail(
            "SP704",
            f"the record has no events of {', '.join(map(repr, missing[:3]))}",
            where=f"a record of {record.target!r} with {record.samples} samples",
            mend="run with Request(events=True), or derive them from the spike trains: energy.events.derive",
        )
    samples = record.samples
    synapses, neurons = {}, {}
    for name, node in graph.nodes_of(Synapse).items():
        events = record.events[name]
        assert isinstance(events, SynapseEvents)
        synapses[name] = _synapse(node, reach(node, graph.input_shape(name), effective=True).sum(), events, samples)
    for name in graph.nodes_of(LIF):
        fired = record.events[name]
        assert isinstance(fired, NeuronEvents)
        spikes, updates, active = (float(v.sum()) / samples for v in (fired.spikes, fired.updates, fired.active))
        neurons[name] = NeuronCounts(spikes, updates, active)
    total = sum(layer.updates for layer in neurons.values())
    rate = sum(layer.spikes for layer in neurons.values()) / total if total else 0.0
    for name, out in graph.nodes_of(Readout).items():
        updates = float(np.prod(out.shape, dtype=np.int64) * graph.timesteps)
        neurons[name] = NeuronCounts(0.0, updates, updates)
    constant = frozenset(n for n, e in record.events.items() if isinstance(e, SynapseEvents) and e.constant)
    return Counts(graph.timesteps, synapses, neurons, constant, rate)


def _synapse(node: Synapse, weights: int, events: SynapseEvents, samples: int) -> SynapseCounts:
    """Inputs of size one are added, all others multiplied: an analog frame, a graded message, an average.

    A constant analog frame is multiplied by every weight, zeros in it or not, once: the sums are cached.
    """
    inputs, synops, fanout, graded, dense = (
        float(value.sum()) / samples
        for value in (events.inputs, events.synops, events.fanout, events.graded, events.dense)
    )
    steps = len(events.inputs)
    once = dense / steps
    operations = Range(synops, fanout, fanout)
    ann = Range(float(weights), once, once)
    if events.constant and (events.analog or graded):
        return SynapseCounts(inputs, exactly(0.0), Range(synops / steps, once, dense), operations, ann)
    if events.analog:
        return SynapseCounts(inputs, exactly(0.0), operations, operations, ann)
    kept = synops / fanout if fanout else 0.0
    macs = Range(graded * kept, graded, graded)
    units = Range(synops - macs.low, fanout - graded, fanout - graded)
    if events.constant:
        units = Range(units.low / steps, units.nominal / steps, units.high)
    return SynapseCounts(inputs, units, macs, operations, ann)
