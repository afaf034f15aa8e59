"""Runs a command in a process group of its own, watched by `guard`, and says how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import spikeport_targets

TAIL = 4000  #: characters of a traceback or of stderr that an error shows
POLL = 0.05  #: seconds
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(
    module: str,
    arguments: Sequence[str],
    folder: Path,
    *,
    seconds: float,
    memory: int | None,
    segments: str,
    show: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run ``python -m module arguments`` in ``folder``, with one thread, and return the guard's verdict.

    ``seconds`` and ``memory`` (bytes) limit it; ``segments`` is how the names of its shared memory begin; ``show`` is
    called every `POLL` seconds. Whatever happens to this process, nothing that was started outlives it. ``reason`` of
    the verdict: ended (with ``status`` and ``killed``), time, memory (with ``bytes``), exception, or guard.
    """
    root = str(Path(spikeport_targets.__path__[0]).parent)
    environment = dict(os.environ) | dict.fromkeys(THREADS, "1")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    order = {
        "command": [sys.executable, "-m", module, *arguments],
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
    try:
        while guard.poll() is None:
            show()
            with contextlib.suppress(subprocess.TimeoutExpired):
                guard.wait(POLL)
        show()
    finally:
        assert guard.stdin is not None
        with contextlib.suppress(OSError):
            guard.stdin.close()  # the guard ends the group now, if it has not yet
        guard.wait()
    file = folder / "verdict.json"
    if not file.exists():
        return {"reason": "guard", "text": (folder / "guard.txt").read_text()[-TAIL:]}
    verdict: dict[str, Any] = json.loads(file.read_text())
    return verdict


def stderr_of(folder: Path) -> str:
    """The end of what the command said on stderr."""
    file = folder / "stderr.txt"
    return file.read_text()[-TAIL:].rstrip() if file.exists() else ""
