"""Watches over one run of a child; started as a script of its own, with the standard library only.

    parent --pipe--> guard (own session) --> worker (leads its own process group) --> what it forks

The guard ends the worker's whole group and unlinks the shared memory of the run as soon as the worker ends, a limit is
passed, or the pipe closes: that happens when the parent is done, is interrupted, or is killed, however hard.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h: orphans of the group come to the guard, which reaps them
POLL = 0.05  # seconds
WEIGH = 2.0  # seconds between two looks at the memory, which walk the page tables of every process
FAILURE = "failure.txt"  # the worker's own traceback; those of what it forks are in exception-*.txt
GRACE = 2.0  # seconds between an exception inside one of the processes and the end of the run


def main(folder: Path) -> None:
    """Run the worker described in ``guard.json``; write ``verdict.json``."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    plan = json.loads((folder / "guard.json").read_text())
    with (folder / "stdout.txt").open("wb") as out, (folder / "stderr.txt").open("wb") as err:
        worker = subprocess.Popen(
            plan["command"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            cwd=folder,
            env=plan["environment"],
        )
    verdict: dict[str, Any] = {"reason": "orphaned"}
    try:
        verdict = watch(worker.pid, folder, plan)
    finally:
        end_group(worker.pid)
        unlink_shared_memory(plan["segments"])
        (folder / "verdict.part").write_text(json.dumps(verdict))
        os.replace(folder / "verdict.part", folder / "verdict.json")
        if verdict["reason"] == "orphaned":
            shutil.rmtree(folder, ignore_errors=True)


def watch(worker: int, folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Wait until the run is over, and say why."""
    begun = time.monotonic()
    failed = None
    weigh = POLL  # the first look comes at once, so that a short run does not slip through
    while True:
        if select.select([sys.stdin], [], [], POLL)[0] and not os.read(sys.stdin.fileno(), 1):
            return {"reason": "orphaned"}
        ended = os.waitid(os.P_PID, worker, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            return {"reason": "ended", "status": ended.si_status, "killed": ended.si_code != os.CLD_EXITED}
        elapsed = time.monotonic() - begun
        if elapsed > plan["seconds"]:
            return {"reason": "time", "seconds": elapsed}
        if failed is None and any(folder.glob("exception-*.txt")):
            failed = elapsed
        if failed is not None and elapsed > failed + GRACE:
            return {"reason": "exception"}
        if plan["memory"] is not None and elapsed > weigh:
            weigh = elapsed + WEIGH
            if (used := group_memory(worker)) > plan["memory"]:
                return {"reason": "memory", "bytes": used}


def members(group: int) -> list[int]:
    """The processes of a group."""
    numbers = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # pid (name) state ppid pgrp ...; the name may hold blanks and brackets
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[2]) == group:
                    numbers.append(int(entry.name))
    return numbers


def group_memory(group: int) -> int:
    """Proportional memory of a group in bytes: pages shared by n processes count 1/n in each."""
    total = 0
    for pid in members(group):
        with contextlib.suppress(OSError, ValueError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def end_group(group: int) -> None:
    """Kill every process of the group and wait until none is left."""
    for _ in range(200):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            if not members(group):
                return
        time.sleep(0.01)


def unlink_shared_memory(prefix: str) -> None:
    """Remove the shared-memory segments of this run."""
    for segment in Path("/dev/shm").glob(prefix + "*"):
        segment.unlink(missing_ok=True)


@contextlib.contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """In the worker: leave the traceback of whatever is raised inside where the parent looks for it."""
    try:
        yield
    except BaseException:
        (folder / FAILURE).write_text(traceback.format_exc(), encoding="utf-8")
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
