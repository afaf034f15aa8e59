"""The target `xylo`: Xylo's arithmetic on xylosim, in a child process of a Python of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spikeport.environments import Environment
from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import LIF, Array, Graph
from spikeport.process import most_memory
from spikeport.record import Record
from spikeport.target import Availability, Request, Show, check_input, expected_seconds
from spikeport_targets import watched
from spikeport_targets.entering import entering
from spikeport_targets.leaving import wished
from spikeport_targets.xylo.checks import check, examined
from spikeport_targets.xylo.child import ENVIRONMENT, execute
from spikeport_targets.xylo.lowering import lower
from spikeport_targets.xylo.records import recorded

START = 120.0  #: seconds for the child's imports (measured below one on an idle machine)
RATE = 1e6  #: multiply-adds a second: events that are added one by one (a tenth of what was measured)


class XyloTarget:
    """Xylo's integers by xylosim 0.1.3 (SynSense), its simulator, not its chip."""

    name = "xylo"
    profile = "xylo"  #: the number format that a whole run quantises for
    limits_memory = True
    shows: frozenset[Show] = frozenset({"membranes", "integers"})
    environment: Environment = ENVIRONMENT

    def availability(self) -> Availability:
        """Looks for the environment; starts nothing."""
        version = f"xylosim {ENVIRONMENT.requirements[-1].partition('==')[2]}"
        return watched.available(ENVIRONMENT, "xylosim", version)

    def check(self, graph: Graph) -> list[Finding]:
        """Errors for what Xylo does not compute, findings for what only a simulator can."""
        return check(graph)

    def seconds_a_sample(self, graph: Graph) -> float:
        """About how long one sample takes."""
        return expected_seconds(graph, RATE)

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        """Run the samples, one after the other.

        Raises the errors of `check`, SP682 where xylosim is not available, SP678 to SP681 where the run fails. The
        Record's seconds are xylosim's: the child's start is not in them.
        """
        return run_all([(graph, samples)], request)[0]


def run_all(jobs: Sequence[tuple[Graph, Array]], request: Request) -> list[Record]:
    """Run several networks, each on samples of its own, one after the other in one child process."""
    target = XyloTarget()
    for graph, _ in jobs:
        request.check_layers(graph)
    examinations = [examined(graph) for graph, _ in jobs]
    notes = [raise_errors(findings) for _, findings in examinations]
    places = [place for place, _ in examinations if place is not None]
    available, python = target.availability(), ENVIRONMENT.interpreter()
    if not available.ready or python is None:
        fail("SP682", available.why, where="target 'xylo'", mend=available.mend)
    counts = [check_input(graph, samples) for graph, samples in jobs]
    streams = [entering(graph, samples) for graph, samples in jobs]
    plans = [lower(graph, place, stream) for (graph, _), place, stream in zip(jobs, places, streams, strict=True)]
    work = sum(target.seconds_a_sample(job[0]) * count for job, count in zip(jobs, counts, strict=True))
    seconds = request.seconds or START + 20 * work
    memory = request.memory or most_memory()
    results = execute(python, plans, seconds, memory, request.progress)
    records = [
        recorded(graph, place, stream, result, _showing(graph, request))
        for (graph, _), place, stream, result in zip(jobs, places, streams, results, strict=True)
    ]
    return [
        wished(graph, samples, replace(record, findings=note), request)
        for (graph, samples), record, note in zip(jobs, records, notes, strict=True)
    ]


def _showing(graph: Graph, request: Request) -> set[str]:
    return {name for name in graph.nodes_of(LIF) if request.keeps_membrane(name)}
