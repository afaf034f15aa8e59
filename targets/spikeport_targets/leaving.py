"""Records on their way out of a target that counts no events of its own."""

from __future__ import annotations

from dataclasses import replace

from spikeport.costs.events import derive
from spikeport.graph import Array, Graph
from spikeport.record import Record
from spikeport.target import Request


def wished(graph: Graph, samples: Array, record: Record, request: Request) -> Record:
    """The record with the events and without the spike trains, as requested."""
    record = derive(graph, samples, record) if request.events else record
    return replace(record, trains=request.kept(record.trains))
