"""Plans that a worker in another Python runs one after the other, watched by `guard`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from spikeport.target import Progress
from spikeport_targets import watched

DONE = "done.npy"  #: the file of a plan in which the worker counts finished samples

Results = TypeVar("Results", covariant=True)


class Plan(Protocol[Results]):
    """What a worker is told about one run, in a folder of its own."""

    @property
    def input(self) -> Any:
        """The samples, first axis."""

    def write(self, folder: Path) -> None:
        """Everything for the worker, and `DONE` at 0."""

    def read(self, folder: Path) -> Results:
        """What the worker left."""


def execute(
    worker: Path,
    errors: watched.Errors,
    python: Path,
    plans: Sequence[Plan[Results]],
    seconds: float,
    memory: int | None,
    progress: Progress,
) -> list[Results]:
    """Run the plans by the file ``worker``, which imports nothing of ours, in the interpreter ``python``.

    ``seconds`` and ``memory`` (bytes) limit the whole; ``progress`` is called with samples done and samples in all.
    Raises the codes of ``errors``.
    """
    room = worker.parent.name.replace("_", "-")
    with watched.folder_of(f"spikeport-{room}-{os.getpid()}-") as folder:
        files = [folder / f"plan-{place:05}" for place in range(len(plans))]
        for plan, file in zip(plans, files, strict=True):
            plan.write(file)
        total = sum(len(plan.input) for plan in plans)
        counters = [np.load(file / DONE, mmap_mode="r") for file in files]

        def done() -> int:
            return int(sum(counter[0] for counter in counters))

        watched.run(
            [str(python), "-I", "-B", str(worker), str(folder)],
            folder,
            errors,
            seconds=seconds,
            memory=memory,
            segments=f"spikeport_{worker.parent.name}_{os.getpid()}_none_",
            where=lambda: f"{errors.name}, {done()} of {total} samples done",
            show=lambda: progress(done(), total),
        )
        return [plan.read(file) for plan, file in zip(plans, files, strict=True)]
