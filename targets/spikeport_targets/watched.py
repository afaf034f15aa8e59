"""Runs a command in a process group of its own, watched by `guard`, and raises what went wrong in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spikeport
import spikeport_targets
from spikeport.environments import Environment
from spikeport.findings import fail
from spikeport.target import Availability
from spikeport_targets.guard import FAILURE

TAIL = 4000  #: characters of a traceback or of stderr that an error shows
SOCKET = 60  #: characters of a folder in which multiprocessing can name its sockets (108 in all)
POLL = 0.05  #: seconds
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Errors:
    """Whose run it is, and the codes of the ways in which it may end badly."""

    name: str
    exception: str
    time: str
    memory: str
    killed: str


def available(environment: Environment, software: str, version: str) -> Availability:
    """Whether software that has a Python of its own is there, and can be looked after; starts nothing."""
    if not sys.platform.startswith("linux"):
        return Availability(False, version, "its child process is looked after on Linux only", "use Linux")
    if environment.interpreter() is None:
        return Availability(False, why=f"{software} has no environment of its own yet", mend=environment.command)
    return Availability(True, version)


@contextlib.contextmanager
def folder_of(prefix: str) -> Iterator[Path]:
    """A new folder for one run, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def module(name: str, *arguments: str, python: str | Path = sys.executable) -> list[str]:
    """The command that runs a module of ours in a Python, this one unless said."""
    return [str(python), "-m", name, *arguments]


def paths(folder: Path, apart: bool) -> str:
    """PYTHONPATH for a run in ``folder``: ours and the user's; ``apart`` ours alone, without what lies beside them."""
    packages = [Path(package.__path__[0]) for package in (spikeport, spikeport_targets)]
    if not apart:
        roots = dict.fromkeys(str(package.parent) for package in packages)
        return os.pathsep.join(filter(None, (*roots, os.environ.get("PYTHONPATH"))))
    place = folder / "packages"
    place.mkdir()
    for package in packages:
        (place / package.name).symlink_to(package.resolve())
    return str(place)


def run(
    command: Sequence[str],
    folder: Path,
    errors: Errors,
    *,
    seconds: float,
    memory: int | None,
    segments: str,
    where: Callable[[], str],
    show: Callable[[], None] = lambda: None,
    apart: bool = False,
) -> None:
    """Run a command in ``folder``, with one thread; a Python that takes no notice of it finds our packages.

    ``seconds`` and ``memory`` (bytes) limit it; ``segments`` is how the names of its shared memory begin; ``where``
    says how far it came; ``show`` is called every `POLL` seconds; ``apart``: the command's Python is another one, which
    has packages of its own. Whatever happens to this process, nothing that was
    started outlives it. Raises the ``errors`` for an exception inside, past a limit, and where it was killed.
    """
    environment = dict(os.environ) | dict.fromkeys(THREADS, "1") | {"PYTHONPATH": paths(folder, apart)}
    if len(str(folder)) < SOCKET:  # what the child puts aside goes with its folder: multiprocessing's pymp-* stay else
        environment["TMPDIR"] = str(folder)
    order = {
        "command": list(command),
        "environment": environment,
        "segments": segments,
        "seconds": seconds,
        "memory": memory,
    }
    (folder / "guard.json").write_text(json.dumps(order))
    _guarded(folder, show)
    file = folder / "verdict.json"
    verdict = (
        json.loads(file.read_text()) if file.exists() else {"reason": "guard", "text": _tail(folder / "guard.txt")}
    )
    _judge(verdict, folder, errors, where(), seconds, memory)


def _guarded(folder: Path, show: Callable[[], None]) -> None:
    """Start the guard and wait for its end."""
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


def _judge(
    verdict: dict[str, Any], folder: Path, errors: Errors, where: str, seconds: float, memory: int | None
) -> None:
    """Raise what the guard's verdict says, if it is not success.

    Its ``reason``: ended (with ``status`` and ``killed``), time, memory (with ``bytes``), exception, or guard.
    """
    tracebacks = sorted(folder.glob("exception-*.txt")) or sorted(folder.glob(FAILURE))
    if tracebacks:
        text = "\n".join(file.read_text() for file in tracebacks)[-TAIL:].rstrip()
        fail(
            errors.exception,
            f"an exception inside {errors.name}: {text.splitlines()[-1] if text else 'no traceback'}",
            where=where,
            why=f"its traceback:\n{text}",
            mend="report it with the model if the traceback ends in spikeport's own files",
        )
    used, limit = (number / 2**20 for number in (verdict.get("bytes", 0), memory or 0))
    past = {
        "time": (errors.time, f"was stopped after {seconds:.1f} s", "seconds=...), spikeport run --time-limit"),
        "memory": (errors.memory, f"used {used:.0f} MiB, the limit is {limit:.0f} MiB", "memory=...)"),
    }
    if verdict["reason"] in past:
        code, what, option = past[verdict["reason"]]
        why = f"the network is larger than the limit was meant for, or {errors.name} hangs."
        mend = f"run fewer samples, or fewer at once (batch), or raise the limit: Request({option}"
        fail(code, f"the run {what}", where=where, why=why, mend=mend)
    if verdict["reason"] != "ended" or verdict["killed"] or verdict["status"]:
        fail(
            errors.killed,
            f"the worker ended without a result: {', '.join(f'{k} {v}' for k, v in verdict.items() if k != 'text')}",
            where=where,
            why=str(verdict.get("text", "")) or _tail(folder / "stderr.txt"),
            mend="see whether something else on this machine ends processes, such as an out-of-memory killer",
        )


def _tail(file: Path) -> str:
    return file.read_text()[-TAIL:].rstrip() if file.exists() else ""
