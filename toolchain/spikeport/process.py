"""What a command asks of its own process; a program that imports spikeport decides for itself. No result changes."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  #: of this process's control group, where it is in a container


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass
class Told:
    """Whom to tell what takes a while."""

    compiling: Callable[[], None] = (
        _nothing  #: once a process, before the first loop is compiled: seconds, once a machine
    )


told = Told()


@dataclass
class Command:
    """What is known of this process as a whole."""

    single: bool = False  #: whether it runs one command and ends


command = Command()


def furnish() -> None:
    """Standard streams where a command was begun without them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def most_memory() -> int:
    """Bytes that all processes of a command may take together unless told: three quarters of this machine's."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4


def processors() -> int:
    """How many processors this process may use: that it may run on, up to whole ones of its control group's share."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, _share(QUOTA) or allowed)


@cache  # each run of the engine asks, and reading takes as long as a small run
def _share(path: Path) -> int | None:
    """Whole processors of a control group, at least one, or None where it has no limit.

    The file is Linux's ``cpu.max``, "quota period" in microseconds (of its second version).
    """
    try:
        quota, period = path.read_text("ascii").split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):  # another system, or the group's files are not here
        return None


def cached_files() -> str:
    """The folder for what may be made again at any time (XDG base directories)."""
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


#: verbs in which torch's own operations and compiled loops take turns for long
TRAINING = frozenset({"train", "quantize", "run", "sweep"})
#: turns of a thread before it sleeps (libgomp's unit), about what it takes to wake one. A step of a small training
#: takes two thirds of the time that it takes where threads sleep at once, and on busy processors as long (a Zen 5).
TURNS = 1000


def settle(*, trains: bool = True) -> None:
    """Have torch's compiler keep its files in the cache. To be called before torch is imported.

    In a process that ``trains`` also keep freed memory, and let torch's threads soon sleep where they wait.

    By default they go on turning for milliseconds after each of its operations, and take a core from the compiled loops
    that follow. ``OMP_WAIT_POLICY`` and ``GOMP_SPINCOUNT`` in the environment have the last word. The engine needs none
    of this: in the threads of its pool torch has no others.
    """
    kept = cached_files()
    if os.access(kept, os.W_OK):  # torch makes torchinductor_USER among the temporary files when it is imported
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(kept, "spikeport", "torchinductor"))
    if trains:
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
            os.environ.setdefault("GOMP_SPINCOUNT", str(TURNS))
        keep_freed_memory()


@contextmanager
def loading() -> Iterator[None]:
    """While libraries are imported or code is compiled, look for no garbage: there is much to look through, and none.

    For torch that is a seventh of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@cache
def reuse_freed_memory() -> None:
    """Let this process use again what it frees, up to 64 MiB a thread: with glibc, elsewhere nothing happens.

    By default it asks the system for each larger array, and hands it back; the system gives memory filled with zeros,
    page by page. Once an array of up to 32 MiB was freed, glibc keeps such sizes (the dynamic threshold of mallopt(3)):
    here one of which no page was touched.
    """
    if not sys.platform.startswith("linux"):
        return
    c = ctypes.CDLL(None)
    c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    c.free(c.malloc((32 << 20) - (64 << 10)))


def keep_freed_memory() -> None:
    """Let this process keep what it frees, to the end: with glibc, elsewhere nothing happens.

    Training frees and asks for the same large arrays again and again. By default each of them goes back to
    the system, which gives it again filled with zeros, page by page.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: all from the heap
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD, bytes: the heap does not shrink
