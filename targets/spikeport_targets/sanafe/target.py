"""The target ``sanafe``: SANA-FE's neurons compute small integer graphs, as an outside check."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from spikeport.costs import derive
from spikeport.costs.values import Values
from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import LIF, Array, Graph, Readout
from spikeport.mapping import Mapping
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport.target import Availability, Request, Show, check_input
from spikeport_targets.sanafe import child, functional
from spikeport_targets.sanafe.child import HOW, Outcome, execute
from spikeport_targets.sanafe.replay import replay


class SanaFeTarget:
    """SANA-FE 2.2 in a child process."""

    name = "sanafe"
    limits_memory = True
    shows: frozenset[Show] = frozenset()

    def availability(self) -> Availability:
        version = child.installed()
        if version is None:
            return Availability(False, why="the package sanafe (GPL-3.0) is not installed", mend=HOW)
        return Availability(True, version=f"sanafe {version}")

    def check(self, graph: Graph) -> list[Finding]:
        return list(functional.findings(graph))

    def replay(self, mapping: Mapping, samples: Array, record: Record, *, seconds: float | None = None) -> Outcome:
        """SANA-FE's account of a run that was recorded with its spike trains, see `replay.replay`."""
        return replay(mapping, samples, record, seconds=seconds)

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        """One chip a sample, one after the other. Raises also SP746 if sanafe is not installed."""
        here = self.availability()
        if not here.ready:
            fail("SP746", here.why, where="sanafe", mend=here.mend)
        request.check_layers(graph)
        notes = raise_errors(self.check(graph))
        total = check_input(graph, samples)
        begun = time.perf_counter()
        plans, start = functional.plans(graph, samples)
        parts: dict[str, list[Array]] = {name: [] for name in graph.nodes_of(LIF)}
        for done, plan in enumerate(plans):
            request.progress(done, total)
            left = None if request.seconds is None else request.seconds - (time.perf_counter() - begun)
            if left is not None and left <= 0:
                fail(
                    "SP744",
                    f"the run was stopped at its time limit ({request.seconds:g} s)",
                    where="sanafe",
                    mend="run fewer samples, or raise the limit",
                )
            outcome = execute(plan, left, request.memory)
            for name in parts:
                parts[name].append(outcome.trains[name][start[name] : start[name] + graph.timesteps])
        request.progress(total, total)
        trains = {
            name: np.stack(each, 1).reshape(graph.timesteps, total, *graph.shapes[name]) for name, each in parts.items()
        }
        return replace(_record(graph, samples, trains, request, time.perf_counter() - begun), findings=notes)


def _record(graph: Graph, samples: Array, trains: dict[str, Array], request: Request, seconds: float) -> Record:
    """The record; the readout, which is no neuron, adds up what its synapses bring."""
    record = Record(
        target="sanafe",
        outputs=np.zeros((trains[next(iter(trains))].shape[1], 0)),
        neurons={name: node.size for name, node in graph.nodes_of(LIF).items()},
        spike_counts={n: train.reshape(graph.timesteps, -1).sum(1, dtype=np.int64) for n, train in trains.items()},
        trains={name: Train.pack(train) for name, train in trains.items()},
        seconds=seconds,
    )
    outputs = _outputs(graph, samples, record)
    full = derive(graph, samples, record) if request.events else record
    return replace(full, outputs=outputs, trains=request.kept(record.trains))


def _outputs(graph: Graph, samples: Array, record: Record) -> Array:
    node = graph.nodes[graph.output]
    values = Values(graph, samples, record)
    if not isinstance(node, Readout):
        return np.asarray(values.out_of(graph.output).sum(0).astype(np.int64))
    x = values.into(graph.output)
    return graph.arithmetic.read_out(node, x).astype(np.int64)
