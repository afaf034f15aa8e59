"""Loops as machine code: compiled by numba at their first call, kept on disk, run without the interpreter's lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

from numba import njit
from numba.core import event

from spikeport.process import told

Loop = TypeVar("Loop", bound=Callable[..., Any])

#: rooms whose loops and vectors are compiled into each other, and the toolkit that builds those
ROOMS = ("engine", "training", "machine")


def sources(package: Path) -> str:
    """A number for all that may be compiled into a loop: numba looks at the loop's own file alone."""
    digest = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (package / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


SOURCES = sources(Path(__file__).parent.parent)


class _First(event.Listener):  # type: ignore[misc]
    """Tells `process.told` when the first loop is compiled, which code that is kept on disk never is."""

    def on_start(self, event: Any) -> None:
        """Numba begins to compile."""
        compiling, told.compiling = told.compiling, lambda: None
        compiling()

    def on_end(self, event: Any) -> None:
        """Numba has compiled."""


event.register("numba:compile", _First())


@overload
def compiled(loop: Loop) -> Loop: ...
@overload
def compiled(**options: Any) -> Callable[[Loop], Loop]: ...
def compiled(loop: Any = None, **options: Any) -> Any:
    """A loop, or with options of numba's a decorator of loops.

    Where nothing may be written to disk, it is compiled anew in each process.
    """
    if loop is None:
        return lambda other: compiled(other, **options)
    loop.__qualname__ = f"{loop.__qualname__}_{SOURCES}"  # the name under which numba keeps the code
    try:
        return njit(nogil=True, cache=True, **options)(loop)
    except RuntimeError:  # no place on disk that may be written
        return njit(nogil=True, **options)(loop)
