"""The target `speck`: Speck's arithmetic on sinabs' layers, in a child process of a Python of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spikeport.environments import Environment
from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import Array, Graph
from spikeport.process import most_memory
from spikeport.record import Record
from spikeport.target import Availability, Request, Show, check_input, expected_seconds
from spikeport_targets import watched
from spikeport_targets.entering import entering
from spikeport_targets.leaving import wished
from spikeport_targets.speck.checks import ASYNCHRONOUS, check
from spikeport_targets.speck.child import ENVIRONMENT, execute
from spikeport_targets.speck.lowering import lower
from spikeport_targets.speck.records import recorded
from spikeport_targets.speck.reorder import asynchronous

START = 120.0  #: seconds for the child's imports (measured 4 to 10 on a busy machine)
RATE = 1e8  #: multiply-adds a second of float64 products, one thread (a tenth of what was measured)
VALUES = 2**22  #: values of all layers that run together


class SpeckTarget:
    """Speck's integers by sinabs 3.1 (SynSense): its integrate-and-fire layers, not its chip."""

    name = "speck"
    profile = "speck"  #: the number format that a whole run quantises for
    limits_memory = True
    shows: frozenset[Show] = frozenset({"membranes", "integers"})
    environment: Environment = ENVIRONMENT

    def availability(self) -> Availability:
        """Looks for the environment; starts nothing."""
        version = f"sinabs {ENVIRONMENT.alone[0].partition('==')[2]}"
        return watched.available(ENVIRONMENT, "sinabs", version)

    def check(self, graph: Graph) -> list[Finding]:
        """Errors for what Speck does not compute, findings for what only a simulator can."""
        return check(graph)

    def seconds_a_sample(self, graph: Graph) -> float:
        """About how long one sample takes."""
        return expected_seconds(graph, RATE)

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        """Run the samples, some at a time.

        Raises the errors of `check`, SP663 where sinabs is not available, SP659 to SP662 where the run fails. The
        Record's seconds are those of the layers: the child's start is not in them.
        """
        record = run_all([(graph, samples)], request)[0]
        order = {ASYNCHRONOUS: asynchronous(graph, samples)}
        return replace(record, findings=tuple(order.get(finding, finding) for finding in record.findings))


def run_all(jobs: Sequence[tuple[Graph, Array]], request: Request) -> list[Record]:
    """Run several networks, each on samples of its own, one after the other in one child process."""
    target = SpeckTarget()
    for graph, _ in jobs:
        request.check_layers(graph)
    notes = [raise_errors(check(graph)) for graph, _ in jobs]
    available, python = target.availability(), ENVIRONMENT.interpreter()
    if not available.ready or python is None:
        fail("SP663", available.why, where="target 'speck'", mend=available.mend)
    counts = [check_input(graph, samples) for graph, samples in jobs]
    plans = [
        lower(
            graph,
            entering(graph, samples),
            membranes=request.keeps_membrane,
            at_once=request.batch or samples_at_once(graph),
        )
        for graph, samples in jobs
    ]
    work = sum(target.seconds_a_sample(job[0]) * count for job, count in zip(jobs, counts, strict=True))
    seconds = request.seconds or START + 20 * work
    memory = request.memory or most_memory()
    results = execute(python, plans, seconds, memory, request.progress)
    return [
        wished(graph, samples, replace(recorded(graph, result), findings=note), request)
        for (graph, samples), result, note in zip(jobs, results, notes, strict=True)
    ]


def samples_at_once(graph: Graph) -> int:
    """How many samples sinabs takes together."""
    return max(1, VALUES // (graph.timesteps * sum(int(np.prod(shape)) for shape in graph.shapes.values())))
