"""Runs plans in a process group of its own, watched by `guard`, and brings the results or the reason back."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from spikeport.environments import Environment
from spikeport.graph import Array
from spikeport.target import Progress
from spikeport_targets import watched
from spikeport_targets.lava.plan import CLOCK, Plan

#: lava-nc says it needs Python below 3.11 and numpy below 2; `shim` lets it work on later ones
ENVIRONMENT = Environment(
    "lava",
    python=sys.version_info[:2],
    requirements=("numpy==2.3.5", "scipy==1.17.1", "networkx==2.8.7", "asteval==0.9.33"),
    alone=("lava-nc==0.10.0",),
    probe="lava.magma.core.process.variable, networkx, asteval, scipy",
)
ERRORS = watched.Errors("Lava", exception="SP620", time="SP621", memory="SP622", killed="SP623")


@contextlib.contextmanager
def execute(
    plans: Sequence[Plan], seconds: float, memory: int | None, progress: Progress, python: Path | None = None
) -> Iterator[list[Mapping[str, Array]]]:
    """Run the plans one after the other; inside the context their logs can be read, afterwards they are gone.

    ``seconds`` and ``memory`` (bytes) limit the whole; ``progress`` is called with steps done and steps in all;
    ``python`` is that of Lava's own environment, None this one. A plan has a log ``clock`` besides its own: steps done,
    and the times of the first and the last step in seconds. Raises SP620 for an exception inside Lava, SP621 past the
    time, SP622 past the memory, SP623 where the worker was killed.
    """
    with watched.folder_of(f"spikeport-lava-{os.getpid()}-") as folder:
        files = [folder / f"plan-{place:05}" for place in range(len(plans))]
        for plan, file in zip(plans, files, strict=True):
            plan.write(file)
        total = sum(plan.steps for plan in plans)
        clocks = [np.load(file / CLOCK, mmap_mode="r") for file in files]

        def done() -> int:
            return int(sum(clock[0] for clock in clocks))

        segments = f"psm_spikeport_{os.getpid()}_{secrets.token_hex(4)}_"
        watched.run(
            watched.module("spikeport_targets.lava.worker", str(folder), segments, python=python or sys.executable),
            folder,
            ERRORS,
            seconds=seconds,
            memory=memory,
            segments=segments,
            where=lambda: f"Lava, step {done()} of {total}",
            show=lambda: progress(done(), total),
            apart=python is not None,
        )
        yield [plan.read(file) for plan, file in zip(plans, files, strict=True)]
