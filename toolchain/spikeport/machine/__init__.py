"""Loops as machine code: compiled by numba at their first call, kept on disk, run without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

from numba import njit, typeof
from numba.core import event

from spikeport.machine.keys import key
from spikeport.process import told

Loop = TypeVar("Loop", bound=Callable[..., Any])


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
    """A loop that Python calls, or with options of numba's a decorator of loops.

    Where nothing may be written to disk, it is compiled anew in each process.
    """
    if loop is None:
        return lambda other: compiled(other, **options)
    file = Path(loop.__code__.co_filename)
    loop.__qualname__ = f"{loop.__qualname__}_{key(file)}"  # the name under which numba keeps the code
    # arrays belong to the caller, so that nothing is counted: that takes time in a loop, and half of what it compiles
    options = {"nogil": True, "no_cfunc_wrapper": True, "_nrt": False, "error_model": "numpy", **options}
    try:
        return njit(cache=True, **options)(loop)
    except RuntimeError:  # no place on disk that may be written
        return njit(**options)(loop)


@overload
def part(loop: Loop) -> Loop: ...
@overload
def part(**options: Any) -> Callable[[Loop], Loop]: ...
def part(loop: Any = None, **options: Any) -> Any:
    """A loop that other loops alone call: without a way in from Python, which takes as long to compile as the loop."""
    decorator = compiled(no_cpython_wrapper=True, **options)
    return decorator if loop is None else decorator(loop)


def settled(loop: Any, *told: Any) -> Callable[[], Any]:
    """``loop(*told)`` to be called again and again: numba looks at the types now, and no more at each call.

    That is most of what a call takes where named tuples are told: 7 us of 8.
    """
    return partial(loop.compile(tuple(map(typeof, told))), *told)
