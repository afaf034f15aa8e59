"""Runs a plan in a process group of its own, watched by `guard`, and brings the results or the reason back."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.graph import Array
from spikeport.target import Progress
from spikeport_targets import watched
from spikeport_targets.lava.plan import CLOCK, Plan
from spikeport_targets.watched import TAIL, stderr_of


@contextlib.contextmanager
def execute(
    plans: Sequence[Plan], seconds: float, memory: int | None, progress: Progress
) -> Iterator[list[Mapping[str, Array]]]:
    """Run the plans one after the other; inside the context their logs can be read, afterwards they are gone.

    ``seconds`` and ``memory`` (bytes) limit the whole; ``progress`` is called with steps done and steps in all. A plan
    has a log ``clock`` besides its own: steps done, and the times of the first and the last step in seconds. Raises
    SP620 for an exception inside Lava, SP621 past the time, SP622 past the memory, SP623 where the worker was killed.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"spikeport-lava-{os.getpid()}-"))
    try:
        for place, plan in enumerate(plans):
            plan.write(folder / f"plan-{place:05}")
        files = [folder / f"plan-{place:05}" for place in range(len(plans))]
        total = sum(plan.steps for plan in plans)
        clocks = [np.load(file / CLOCK, mmap_mode="r") for file in files]

        def done() -> int:
            return int(sum(clock[0] for clock in clocks))

        verdict = _watched(folder, seconds, memory, lambda: progress(done(), total))
        _judge(verdict, folder, f"Lava, step {done()} of {total}", seconds, memory)
        yield [plan.read(file) for plan, file in zip(plans, files, strict=True)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watched(folder: Path, seconds: float, memory: int | None, show: Callable[[], None]) -> dict[str, Any]:
    """Lava runs one process a layer: more threads in each would only get in each other's way."""
    segments = f"psm_spikeport_{os.getpid()}_{secrets.token_hex(4)}_"
    return watched.run(
        "spikeport_targets.lava.worker",
        [str(folder), segments],
        folder,
        seconds=seconds,
        memory=memory,
        segments=segments,
        show=show,
    )


def _judge(verdict: Mapping[str, Any], folder: Path, where: str, seconds: float, memory: int | None) -> None:
    """Raise what the verdict says, if it is not success."""
    reason = verdict["reason"]
    texts = sorted(folder.glob("exception-*.txt"))
    if texts or (folder / "failure.txt").exists():
        text = "\n".join(file.read_text() for file in texts or [folder / "failure.txt"])[-TAIL:].rstrip()
        fail(
            "SP620",
            f"an exception inside Lava: {text.splitlines()[-1] if text else 'no traceback'}",
            where=where,
            why=f"its traceback:\n{text}",
            mend="report it with the model if the traceback ends in spikeport's own files",
        )
    if reason == "time":
        fail(
            "SP621",
            f"the run was stopped after {seconds:.1f} s",
            where=where,
            why="Lava hangs, or the network is larger than the limit was made for.",
            mend="run fewer samples, or raise the limit: Request(seconds=...), spikeport run --time-limit",
        )
    if reason == "memory":
        fail(
            "SP622",
            f"the run used {verdict['bytes'] / 2**20:.0f} MiB, the limit is {(memory or 0) / 2**20:.0f} MiB",
            where=where,
            mend="run fewer samples at once (batch), or raise the limit: Request(memory=...)",
        )
    if reason != "ended" or verdict["killed"] or verdict["status"]:
        text = str(verdict.get("text", "")) or stderr_of(folder)
        fail(
            "SP623",
            f"the worker ended without a result: {', '.join(f'{k} {v}' for k, v in verdict.items() if k != 'text')}",
            where=where,
            why=text.rstrip(),
            mend="see whether something else on this machine ends processes, such as an out-of-memory killer",
        )
