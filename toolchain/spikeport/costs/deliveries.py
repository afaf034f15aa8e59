"""What an event-driven chip does for each spike: one operation a synapse that the spike reaches, whatever lies between.

An average pool, a factor or a norm is part of the synapses beside it, so that a function costs the same however it is
written; a synapse that leads into two layers is held by each. Each spike that a layer sends is delivered: to a loop
after the last step too, as the next sample's first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spikeport.costs.identities import sent_by, ways
from spikeport.costs.paths import senders
from spikeport.graph import LIF, Array, Conv, Flatten, Graph, Input, Readout, Synapse
from spikeport.graph.pooled import held
from spikeport.graph.reach import reach
from spikeport.record import Record, SynapseEvents
from spikeport.spike_train import Counts


@dataclass(frozen=True, slots=True)
class Delivery:
    """Operations for one sender's spikes at one synapse, or at a layer that they enter without one; over samples."""

    source: str
    target: str  #: the synapse, or the neuron layer
    operations: Counts  #: [T] one a spike and weight, by the step at which the spike was sent
    effective: Counts  #: [T] the same without weights that are zero
    spatial: bool  #: a convolution's, else a matrix's

    def __add__(self, other: Delivery) -> Delivery:
        """That of more samples."""
        operations, effective = self.operations + other.operations, self.effective + other.effective
        return replace(self, operations=operations, effective=effective)


def deliveries(graph: Graph, record: Record, samples: Array | None = None) -> tuple[Delivery, ...]:
    """All of them. ``samples`` are those of the run.

    Where the record has no spike trains, the events of a synapse tell, unless more than a reshape stands before it:
    then SP704 is raised.
    """
    every: list[Delivery] = []
    for name in graph.nodes_of(Synapse):
        if _needs_values(graph, name, record, samples):
            every.append(_from_events(graph, name, record))
            continue
        for synapse in held(graph, name):
            every += _sent_to(graph, name, synapse, record, samples)
    for name in graph.nodes_of(LIF, Readout):
        for source, fan, _ in ways(graph, name, np.ones(graph.shapes[name], dtype=np.int64)):
            every.append(_sent(graph, source, name, record, samples, (fan, fan), fan.ndim > 1))
    return tuple(every)


def _sent_to(graph: Graph, name: str, synapse: Synapse, record: Record, samples: Array | None) -> Iterator[Delivery]:
    shape = graph.input_shape(name)
    all_weights, not_zero = (_once(graph, name, reach(synapse, shape, effective=kind)) for kind in (False, True))
    for way, fan in all_weights.items():
        yield _sent(graph, way[0], name, record, samples, (fan, not_zero[way]), isinstance(synapse, Conv))


def _once(graph: Graph, name: str, fan: NDArray[np.int64]) -> dict[tuple[str, int], NDArray[np.int64]]:
    """By sender and delay, the synapses that each of its values reaches: one a weight, however many ways lead there."""
    fans: dict[tuple[str, int], NDArray[np.int64]] = {}
    for source, way, late in ways(graph, name, fan):
        fans[source, late] = np.maximum(fans.get((source, late), 0), way)
    return fans


def _sent(
    graph: Graph,
    source: str,
    target: str,
    record: Record,
    samples: Array | None,
    fans: tuple[NDArray[np.int64], NDArray[np.int64]],
    spatial: bool,
) -> Delivery:
    operations, effective = (sent_by(graph, source, record, samples, fan) for fan in fans)
    return Delivery(source, target, operations, effective, spatial)


def _needs_values(graph: Graph, name: str, record: Record, samples: Array | None) -> bool:
    """Whether what enters a synapse is no layer's spikes, or trains are missing and its events say the same."""
    before = senders(graph, name)
    if any(isinstance(graph.nodes[source], Synapse) for source in before):
        return True
    known = all(samples is not None if isinstance(graph.nodes[s], Input) else s in record.trains for s in before)
    kinds = {type(graph.nodes[s]) for s in before}
    alone = [*held(graph, name)] == [graph.nodes[name]]
    return not known and alone and _bare(graph, name) and (kinds == {Input} or Input not in kinds)


def _bare(graph: Graph, name: str) -> bool:
    """Whether spikes enter a node as they were sent: nothing but reshapes lies between."""
    sources = {source: graph.nodes[source] for source in graph.sources(name)}
    return all(
        isinstance(node, LIF | Input) or (isinstance(node, Flatten) and _bare(graph, source))
        for source, node in sources.items()
    )


def _from_events(graph: Graph, name: str, record: Record) -> Delivery:
    """By what entered the synapse: two spikes that add up are two operations, a frame's values one each."""
    events = record.events[name]
    assert isinstance(events, SynapseEvents)
    before = senders(graph, name)
    framed = events.analog or any(isinstance(graph.nodes[source], Input) for source in before)
    operations = events.fanout if framed else events.unary
    effective = np.minimum(events.synops, operations)
    return Delivery(before[0], name, operations, effective, isinstance(graph.nodes[name], Conv))
