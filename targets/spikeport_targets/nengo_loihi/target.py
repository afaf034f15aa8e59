"""The target `nengo-loihi`: nengo-loihi's emulator of Loihi 1, in a child process of a Python of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spikeport.environments import Environment
from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import Array, Graph, Samples
from spikeport.process import most_memory
from spikeport.record import Record, join
from spikeport.target import Availability, Request, Show, check_input
from spikeport_targets import watched
from spikeport_targets.entering import entering
from spikeport_targets.leaving import wished
from spikeport_targets.nengo_loihi.checks import check
from spikeport_targets.nengo_loihi.child import ENVIRONMENT, execute
from spikeport_targets.nengo_loihi.lowering import lower
from spikeport_targets.nengo_loihi.records import recorded

START = 60.0  #: seconds for the child's imports (measured 1 to 3)
SAFETY = 20.0  #: how much slower a loaded machine may be
STEP = 2e-4  #: seconds a step (measured 1e-4) ...
NEURON = 5e-6  #: ... and a neuron at a step: were each to fire, its spike would take as long (measured 3e-6)
STREAM = 2**25  #: values of input and of spikes that one run holds at most; longer ones are cut


class NengoLoihiTarget:
    """nengo-loihi 1.1, by Applied Brain Research: Loihi 1's bits without the chip."""

    name = "nengo-loihi"
    limits_memory = True
    profile = "loihi1"
    shows: frozenset[Show] = frozenset({"membranes", "integers"})
    environment: Environment = ENVIRONMENT

    def availability(self) -> Availability:
        """Looks for the environment; starts nothing."""
        version = ENVIRONMENT.requirements[0].partition("==")[2]
        return watched.available(ENVIRONMENT, "nengo-loihi", version)

    def check(self, graph: Graph) -> list[Finding]:
        """Errors for what Loihi 1 cannot do, findings for what only its emulator can."""
        return check(graph)

    def seconds_a_sample(self, graph: Graph) -> float:
        """About how long one sample takes, with one in five neurons firing at every step."""
        neurons = sum(int(np.prod(shape)) for shape in graph.shapes.values())
        return 2 * graph.timesteps * (STEP * len(graph.nodes) + NEURON * neurons / 5)

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        """Run the samples one after the other.

        Raises the errors of `check`, SP630 where nengo-loihi is not available, SP640 to SP643 where the run fails. The
        Record's seconds are those of the emulator's steps: the child's start is not in them.
        """
        arriving = Samples.of(graph, samples)
        total = arriving.number
        size = request.batch or samples_at_once(graph, total)
        limit = time.monotonic() + (request.seconds or self.time_limit(graph, total))
        records: list[Record] = []
        for start in range(0, total, size):

            def shown(done: int, count: int, start: int = start) -> None:
                request.progress(start + done, total)

            left = replace(request, seconds=max(1.0, limit - time.monotonic()), progress=shown)
            records += run_all([(graph, arriving.cut(start, start + size).array)], left)
        return join(records)

    def time_limit(self, graph: Graph, samples: int) -> float:
        """Seconds after which a run has certainly gone wrong."""
        return START + SAFETY * self.seconds_a_sample(graph) * samples


def samples_at_once(graph: Graph, samples: int) -> int:
    """How many samples one child takes."""
    size = graph.timesteps * sum(int(np.prod(shape)) for shape in graph.shapes.values())
    return max(1, min(samples, STREAM // size))


def run_all(jobs: Sequence[tuple[Graph, Array]], request: Request) -> list[Record]:
    """Run several networks, each on samples of its own, one after the other in one child process."""
    target = NengoLoihiTarget()
    for graph, _ in jobs:
        request.check_layers(graph)
    notes = [raise_errors(check(graph)) for graph, _ in jobs]
    available, python = target.availability(), ENVIRONMENT.interpreter()
    if not available.ready or python is None:
        fail("SP630", available.why, where="target 'nengo-loihi'", mend=available.mend)
    counts = [check_input(graph, samples) for graph, samples in jobs]
    plans = [lower(g, entering(g, samples), membranes=request.keeps_membrane) for g, samples in jobs]
    seconds = request.seconds or sum(target.time_limit(job[0], n) for job, n in zip(jobs, counts, strict=True))
    memory = request.memory or most_memory()
    results = execute(python, plans, seconds, memory, request.progress)
    return [
        wished(graph, samples, replace(recorded(graph, result), findings=note), request)
        for (graph, samples), result, note in zip(jobs, results, notes, strict=True)
    ]
