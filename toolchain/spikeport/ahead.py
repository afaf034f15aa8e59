"""Compiles the engine's loops in a process beside a command, while that imports, reads data and trains: once a machine.

A command that is through them first compiles what it needs itself, and ends the process beside it when it ends. That
one ends by itself as soon as nobody waits for it any more.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from spikeport import process

VERBS = frozenset({"run", "quantize"})  #: that need loops late, and many
HELP = frozenset({"--help", "-h"})
LEAST = 4 << 30  #: bytes of memory: two processes with torch in them, and what a training takes
WATCH = 0.5  #: seconds
PACKAGE = Path(__file__).parent


@contextmanager
def compiling(words: Sequence[str]) -> Iterator[None]:
    """While a command runs that somebody waits for, compile in a process beside it what this machine has not yet.

    Nothing where there is no second processor, little memory, or nothing to compile.
    """
    if not (VERBS.intersection(words) and worthwhile(words)):
        yield
        return
    child = _begun()
    try:
        yield
    finally:
        if child is not None:
            child.kill()
            child.wait()


def _begun() -> subprocess.Popen[bytes] | None:
    """The process beside this one; None where the system gives none, and the command does without.

    Ctrl-C is not for it. It stays in the session: of two sessions Linux gives each half of a processor, however little
    a process in one of them asks for (autogroup).
    """
    words = [sys.executable, "-m", "spikeport.verbs.prepare", "beside", str(os.getpid())]
    nowhere = subprocess.DEVNULL
    try:
        return subprocess.Popen(words, stdin=nowhere, stdout=nowhere, stderr=nowhere, process_group=0)
    except OSError:
        return None


def worthwhile(words: Sequence[str]) -> bool:
    """Whether somebody waits for a command that takes loops, this machine lacks them, and has room for another."""
    waits = sys.stderr is not None and sys.stderr.isatty()
    wants = not HELP.intersection(words) and os.environ.get("SPIKEPORT_KERNELS", "fast") == "fast"
    room = process.processors() > 1 and process.most_memory() >= LEAST
    return waits and wants and room and not stamp().exists()


def stamp() -> Path:
    """A file that is there once all parts were compiled: for this code, this Python and this machine."""
    digest = hashlib.sha256()
    files = (PACKAGE.glob(some) for some in ("machine/*.py", "engine/**/*.py", "training/*.py", "verbs/prepare.py"))
    for file in sorted(file for some in files for file in some):
        digest.update(file.read_bytes())
    facts = sys.version, sys.prefix, platform.node(), platform.machine(), os.environ.get("NUMBA_CACHE_DIR")
    digest.update(repr(facts).encode())
    return Path(process.cached_files(), "spikeport") / f"loops-{digest.hexdigest()[:16]}"


def compiled() -> None:
    """Note that all parts are compiled. Where nothing may be written, it is tried again the next time."""
    with suppress(OSError):
        stamp().parent.mkdir(parents=True, exist_ok=True)
        stamp().touch()


def stand_back(command: int) -> None:
    """Have this process, which compiles for a command, leave the processor to it and end when it is gone."""
    os.nice(19)

    def watch() -> None:
        while os.getppid() == command:
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
