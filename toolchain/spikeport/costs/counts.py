"""What a run did per sample, gathered from its Record for the cost models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spikeport.costs.deliveries import Delivery, deliveries
from spikeport.costs.identities import Identity, identities, sent_by
from spikeport.costs.model import Range, exactly
from spikeport.costs.paths import receivers
from spikeport.findings import fail
from spikeport.graph import LIF, Array, Conv, Graph, Input, Readout, Synapse
from spikeport.graph.reach import reach
from spikeport.record import NeuronEvents, Record, SynapseEvents
from spikeport.spike_train import Counts as Events


@dataclass(frozen=True, slots=True)
class SynapseCounts:
    """One synapse, per sample, summed over the timesteps."""

    conv: bool
    inputs: float  #: inputs that are not zero
    accumulates: Range  #: additions: operations by inputs of size one; low leaves out weights that are zero
    macs: Range  #: multiply-adds by other inputs; once where the input is constant, `high`: at every step
    steps: Range  #: multiply-adds of dense steps; low takes a constant input once
    dense: Range  #: multiply-adds of the same layer in an ANN: one dense pass; low leaves out weights that are zero
    sizes: Sizes
    analog: bool  #: priced as multiply-adds of a dense frame
    constant: bool  #: whether the input is the same at every step, and so does not follow the firing rate


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much one synapse holds, in numbers."""

    weights: int
    inputs: int
    outputs: int
    taps: int  #: positions of the kernel; 1 for a matrix


@dataclass(frozen=True, slots=True)
class NeuronCounts:
    """One neuron layer, or the readout, per sample, summed over the timesteps."""

    spikes: float
    updates: float  #: all neurons at every step
    active: float  #: those with an input, a state or a bias


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages that one layer sends, and the mesh hops they take: [T] int64, exact, summed over samples."""

    messages: Events  #: one a spike and destination core
    east_west: Events
    north_south: Events

    def __add__(self, other: Traffic) -> Traffic:
        """That of more samples."""
        return Traffic(
            self.messages + other.messages, self.east_west + other.east_west, self.north_south + other.north_south
        )


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """Spikes that enter a layer without a synapse, per sample, summed over the timesteps."""

    source: str
    layer: str
    operations: float  #: one for each spike and neuron that it reaches
    dense: float  #: additions of the same in an ANN
    spatial: bool  #: priced as a convolution's operations, else as a matrix's


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """What an event-driven chip does for one sender's spikes, per sample, summed over the timesteps."""

    source: str
    target: str  #: the synapse, or the layer that they enter without one
    operations: Range  #: one a spike and weight; low leaves out weights that are zero
    spatial: bool  #: priced as a convolution's operations, else as a matrix's


@dataclass(frozen=True, slots=True)
class Counts:
    """All layers, by node name, per sample."""

    timesteps: int
    samples: int  #: of the run
    synapses: Mapping[str, SynapseCounts]
    neurons: Mapping[str, NeuronCounts]
    identities: tuple[IdentityCounts, ...]
    deliveries: tuple[DeliveryCounts, ...]
    traffic: Mapping[str, Traffic]  #: by sending layer; summed over samples
    mapped: bool  #: whether the traffic comes from a mapping, or is one message a spike and layer that it reaches
    rate: float  #: spikes per neuron and step, over all spiking layers


def counts(
    graph: Graph,
    record: Record,
    *,
    traffic: Mapping[str, Traffic] | None = None,
    enter: Sequence[Identity] | None = None,
    delivered: Sequence[Delivery] | None = None,
    samples: Array | None = None,
    drain: int = 0,
) -> Counts:
    """The counts per sample. Raises SP704 where the record lacks events.

    ``traffic`` is that of a mapping; ``enter`` and ``delivered`` are counted here unless given, with the ``samples`` of
    the run where what an input sends matters; ``drain`` the steps for which all neurons run on after the last sample
    until a pipeline is empty, shared among the samples.
    """
    missing = [name for name in graph.nodes_of(Synapse, LIF) if name not in record.events]
    if missing:
        fail(
            "SP704",
            f"the record has no events of {', '.join(map(repr, missing[:3]))}",
            where=f"a record of {record.target!r} with {record.samples} samples",
            mend="run with Request(events=True), or derive them from the spike trains: energy.derive",
        )
    synapses = {name: _synapse(graph, name, node, record) for name, node in graph.nodes_of(Synapse).items()}
    neurons = {name: _neurons(record, name, node.size * drain) for name, node in graph.nodes_of(LIF).items()}
    spikes, updates = (sum(getattr(layer, what) for layer in neurons.values()) for what in ("spikes", "updates"))
    for name, out in graph.nodes_of(Readout).items():
        size = int(np.prod(out.shape, dtype=np.int64))
        active = float(size * graph.timesteps)
        neurons[name] = NeuronCounts(0.0, active + size * drain / record.samples, active)
    entering = identities(graph, record, samples) if enter is None else enter
    sent = deliveries(graph, record, samples) if delivered is None else delivered
    return Counts(
        graph.timesteps,
        record.samples,
        synapses,
        neurons,
        tuple(
            IdentityCounts(
                each.source, each.layer, float(each.operations.sum()) / record.samples, float(each.dense), each.spatial
            )
            for each in entering
        ),
        tuple(_delivery(each, record.samples) for each in sent),
        _unmapped(graph, record, samples) if traffic is None else traffic,
        traffic is not None,
        spikes / updates if updates else 0.0,
    )


def _neurons(record: Record, name: str, drained: int) -> NeuronCounts:
    events = record.events[name]
    assert isinstance(events, NeuronEvents)
    spikes, updates, active = (float(v.sum()) for v in (events.spikes, events.updates, events.active))
    return NeuronCounts(spikes / record.samples, (updates + drained) / record.samples, active / record.samples)


def _delivery(sent: Delivery, samples: int) -> DeliveryCounts:
    low, whole = (float(value.sum()) / samples for value in (sent.effective, sent.operations))
    return DeliveryCounts(sent.source, sent.target, Range(low, whole, whole), sent.spatial)


def _synapse(graph: Graph, name: str, node: Synapse, record: Record) -> SynapseCounts:
    """Inputs of size one are added, all others multiplied: an analog frame, a graded message, an average.

    A constant analog frame is multiplied by every weight, zeros in it or not, once: the sums are cached.
    """
    events = record.events[name]
    assert isinstance(events, SynapseEvents)
    inputs, synops, fanout, graded, dense = (
        float(value.sum()) / record.samples
        for value in (events.inputs, events.synops, events.fanout, events.graded, events.dense)
    )
    shape = graph.input_shape(name)
    steps = len(events.inputs)
    once = dense / steps
    framed = events.constant and bool(events.analog or graded)
    if framed:
        units, macs = exactly(0.0), Range(synops / steps, once, dense)
    elif events.analog:
        units, macs = exactly(0.0), Range(synops, fanout, fanout)
    else:
        kept = synops / fanout if fanout else 0.0
        macs = Range(graded * kept, graded, graded)
        share = 1 / steps if events.constant else 1.0
        units = Range((synops - macs.low) * share, (fanout - graded) * share, fanout - graded)
    return SynapseCounts(
        conv=isinstance(node, Conv),
        inputs=inputs,
        accumulates=units,
        macs=macs,
        steps=Range(once if events.constant else dense, dense, dense),
        dense=Range(float(reach(node, shape, effective=True).sum()), once, once),
        sizes=Sizes(
            node.weight.size, int(np.prod(shape)), int(np.prod(graph.shapes[name])), int(np.prod(node.weight.shape[2:]))
        ),
        analog=framed or events.analog,
        constant=events.constant,
    )


def _unmapped(graph: Graph, record: Record, samples: Array | None) -> dict[str, Traffic]:
    """One message a spike and layer that it reaches: the least that any mapping can do."""
    none = np.zeros(graph.timesteps, dtype=np.int64)
    messages = {}
    for name in graph.nodes_of(Input, LIF):
        reached = receivers(graph, name)
        known = [record.events[to] for to in reached if to in record.events]
        entered = [each.inputs for each in known if isinstance(each, SynapseEvents)]
        if isinstance(graph.nodes[name], Input) and entered:
            sent = np.min(entered, axis=0)
        else:
            sent = sent_by(graph, name, record, samples)
        messages[name] = Traffic(sent * len(reached), none, none)
    return messages
