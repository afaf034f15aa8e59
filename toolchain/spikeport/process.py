"""What a command asks of its own process; a program that imports spikeport decides for itself. No result changes."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass
class Told:
    """Whom to tell what takes a while."""

    compiling: Callable[[], None] = (
        _nothing  #: once a process, before the first loop is compiled: seconds, once a machine
    )


told = Told()


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


def settle() -> None:
    """Keep freed memory, and let torch's threads sleep while they wait, and its compiler keep its files in the cache.
    To be called before torch is imported.

    By default torch's threads go on turning for a while after each of its operations, and take a core from the compiled
    loops that follow. ``OMP_WAIT_POLICY`` in the environment has the last word.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if os.access(cache, os.W_OK):  # torch makes torchinductor_USER among the temporary files when it is imported
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(cache, "spikeport", "torchinductor"))
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let this process keep what it frees, to the end: with glibc, elsewhere nothing happens.

    Training and the engine free and ask for the same large arrays again and again. By default each of them goes back to
    the system, which gives it again filled with zeros, page by page.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: all from the heap
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD, bytes: the heap does not shrink
