"""The target `lava`: Lava's fixed-point (or floating-point) models, a process a layer, in a child process."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec

import numpy as np

from spikeport.environments import Environment
from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import Array, Graph, Samples
from spikeport.graph.shifts import shift_each
from spikeport.process import most_memory
from spikeport.record import Record, join
from spikeport.target import Availability, Request, Show, check_input
from spikeport_targets.entering import entering
from spikeport_targets.lava.checks import check, wide_sums
from spikeport_targets.lava.child import ENVIRONMENT, execute
from spikeport_targets.lava.cost import samples_at_once, seconds_a_step, time_limit
from spikeport_targets.lava.current import constant_current, with_constant_current
from spikeport_targets.lava.lowering import lower
from spikeport_targets.lava.records import recorded
from spikeport_targets.lava.support import placements
from spikeport_targets.leaving import wished

INSTALL = (
    f"{ENVIRONMENT.command}; or beside spikeport: pip install 'spikeport[lava]' && "
    "pip install --no-deps --ignore-requires-python lava-nc==0.10.0"
)


class LavaTarget:
    """Intel's Lava 0.10, the reference for Loihi's bits."""

    name = "lava"
    limits_memory = True
    shows: frozenset[Show] = frozenset({"membranes"})

    environment: Environment = ENVIRONMENT

    def availability(self) -> Availability:
        """Looks beside spikeport and for an environment; imports no Lava, which would keep this process from ending."""
        if not sys.platform.startswith("linux"):
            return Availability(False, "", "Lava's child processes are looked after on Linux only", "use Linux")
        here = self.beside()
        if here.ready or ENVIRONMENT.interpreter() is None:
            return here
        return Availability(ready=True, version=ENVIRONMENT.alone[0].partition("==")[2])

    def beside(self) -> Availability:
        """Whether Lava is installed in this Python, and works there."""
        try:
            version = metadata.version("lava-nc")
        except metadata.PackageNotFoundError:
            return Availability(ready=False, why="lava-nc is not installed", mend=INSTALL)
        if version != "0.10.0":
            return Availability(False, version, f"lava-nc {version} is not the release that was measured", INSTALL)
        if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
            why = f"numpy {np.__version__} has no np.reshape(newshape=), which Lava's ports call"
            return Availability(False, version, why, f"{ENVIRONMENT.command}, or pip install 'numpy<2.4'")
        missing = [name for name in ("networkx", "asteval", "scipy") if find_spec(name) is None]
        if missing:
            return Availability(False, version, f"Lava needs {', '.join(missing)}", INSTALL)
        return Availability(ready=True, version=version)

    def check(self, graph: Graph) -> list[Finding]:
        """Errors for what Lava cannot run, notes for what needs a process of ours; stock nodes are not mentioned."""
        return check(graph)

    def processes(self, graph: Graph) -> dict[str, tuple[str, bool]]:
        """For each node the Lava process that runs it, and whether it is Lava's own (stock) rather than ours."""
        return {
            name: (place.process, place.stock)
            for name, place in placements(with_constant_current(shift_each(graph))).items()
        }

    def seconds_a_sample(self, graph: Graph) -> float:
        """About how long one sample takes, Lava's start left out."""
        return seconds_a_step(graph) * graph.timesteps

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        """Stream the samples back to back through Lava.

        Raises the errors of `check`, SP600 where Lava is not available, SP620 to SP623 where the run fails. The
        Record's seconds are those between the first and the last step: Lava's start and end are not in them.
        """
        arriving = Samples.of(graph, samples)
        total = arriving.number
        size = request.batch or samples_at_once(graph, total)
        limit = time.monotonic() + (request.seconds or time_limit(graph, total))
        records: list[Record] = []
        for start in range(0, total, size):

            def shown(done: int, steps: int, start: int = start) -> None:
                request.progress(start + min(size, total - start) * done // steps, total)

            left = replace(request, seconds=max(1.0, limit - time.monotonic()), progress=shown)
            records += run_all([(graph, arriving.cut(start, start + size).array)], left)
        return join(records)


def run_all(jobs: Sequence[tuple[Graph, Array]], request: Request) -> list[Record]:
    """Run several networks, each on samples of its own, one after the other in one child process.

    Lava is imported once for all. ``request.seconds`` limits the whole; progress is told in steps of Lava.
    """
    target = LavaTarget()
    available = target.availability()
    for graph, _ in jobs:
        request.check_layers(graph)
    notes = [raise_errors(check(graph)) for graph, _ in jobs]
    if not available.ready:
        fail("SP600", available.why, where="target 'lava'", mend=available.mend)
    counts = [check_input(graph, samples) for graph, samples in jobs]
    seconds = request.seconds or sum(time_limit(job[0], n) for job, n in zip(jobs, counts, strict=True))
    # ours may lack its first synapse, whose sums then are what enters
    ours = [with_constant_current(shift_each(graph)) for graph, _ in jobs]
    streams = [constant_current(graph, entering(graph, samples)) for graph, samples in jobs]
    plans = [lower(g, stream, membranes=request.keeps_membrane) for g, stream in zip(ours, streams, strict=True)]
    memory = request.memory or most_memory()
    python = None if target.beside().ready else ENVIRONMENT.interpreter()
    with execute(plans, seconds, memory, request.progress, python) as logs:
        records = [
            recorded(graph, planned, log, count)
            for graph, planned, log, count in zip(ours, plans, logs, counts, strict=True)
        ]
    return [
        wished(graph, samples, replace(record, findings=(*note, *wide_sums(graph))), request)
        for record, note, (graph, samples) in zip(records, notes, jobs, strict=True)
    ]
