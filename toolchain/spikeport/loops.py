"""Whether compiled loops are worth loading: numba takes longer to load than a module that is only followed takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_wanted = ContextVar("wanted", default=True)


def wanted() -> bool:
    """Whether who has plain operations of torch for the same should take loops."""
    return _wanted.get()


@contextmanager
def left_out() -> Iterator[None]:
    """Within, modules run on a sample or two for their structure, and nobody reads their numbers."""
    before = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(before)
