"""Runs a plan in a process group of its own, watched by `guard`, and brings the results or the reason back."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import spikeport_targets
from spikeport.findings import fail
from spikeport.graph import Array
from spikeport.targets import Progress
from spikeport_targets.lava.plan import Plan

TAIL = 4000  #: characters of a traceback or of stderr that an error shows
POLL = 0.05  #: seconds


@contextlib.contextmanager
def execute(plan: Plan, seconds: float, memory: int | None, progress: Progress) -> Iterator[Mapping[str, Array]]:
    """Run the plan; inside the context its logs can be read, afterwards they are gone.

    ``seconds`` and ``memory`` (bytes) limit the run; ``progress`` is called with steps done and steps in all.
    Raises SP620 for an exception inside Lava, SP621 past the time, SP622 past the memory, SP623 where the worker was
    killed.
    """
    folder = Path(tempfile.mkdtemp(prefix="spikeport-lava-"))
    try:
        plan.write(folder)
        verdict = _supervised(plan, folder, seconds, memory, progress)
        _judge(verdict, folder, plan, seconds, memory)
        yield {name: np.load(folder / plan.file(name), mmap_mode="r") for name in plan.logs}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _supervised(plan: Plan, folder: Path, seconds: float, memory: int | None, progress: Progress) -> dict[str, Any]:
    segments = f"psm_spikeport_{os.getpid()}_{secrets.token_hex(4)}_"
    root = str(Path(spikeport_targets.__path__[0]).parent)
    environment = dict(os.environ)
    # Lava runs one process a layer: more threads in each would only get in each other's way
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    order = {
        "command": [sys.executable, "-m", "spikeport_targets.lava.worker", str(folder), segments],
        "environment": environment,
        "segments": segments,
        "seconds": seconds,
        "memory": memory,
    }
    (folder / "guard.json").write_text(json.dumps(order))
    script = Path(__file__).with_name("guard.py")
    with (folder / "guard.txt").open("wb") as log:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    done = np.load(folder / "progress.npy", mmap_mode="r")
    try:
        while guard.poll() is None:
            progress(int(done[0]), plan.steps)
            with contextlib.suppress(subprocess.TimeoutExpired):
                guard.wait(POLL)
        progress(int(done[0]), plan.steps)
    finally:
        assert guard.stdin is not None
        guard.stdin.close()  # the guard ends the group now, if it has not yet
        guard.wait()
    file = folder / "verdict.json"
    if not file.exists():
        return {"reason": "guard", "text": (folder / "guard.txt").read_text()[-TAIL:]}
    verdict: dict[str, Any] = json.loads(file.read_text())
    return verdict


def _judge(verdict: Mapping[str, Any], folder: Path, plan: Plan, seconds: float, memory: int | None) -> None:
    reason = verdict["reason"]
    done = int(np.load(folder / "progress.npy")[0])
    where = f"Lava, step {done} of {plan.steps}"
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
            f"the run was stopped after {seconds:g} s",
            where=where,
            why="Lava hangs, or the network is larger than the limit was made for.",
            mend="run fewer samples, or raise the limit: Request(seconds=...), --seconds",
        )
    if reason == "memory":
        fail(
            "SP622",
            f"the run used {verdict['bytes'] / 2**20:.0f} MiB, the limit is {(memory or 0) / 2**20:.0f} MiB",
            where=where,
            mend="run fewer samples at once (batch), or raise the limit: Request(memory=...)",
        )
    if reason != "ended" or verdict["killed"] or verdict["status"]:
        file = folder / "stderr.txt"
        text = str(verdict.get("text", "")) or (file.read_text()[-TAIL:] if file.exists() else "")
        fail(
            "SP623",
            f"the worker ended without a result: {', '.join(f'{k} {v}' for k, v in verdict.items() if k != 'text')}",
            where=where,
            why=text.rstrip(),
            mend="see whether something else on this machine ends processes, such as an out-of-memory killer",
        )
