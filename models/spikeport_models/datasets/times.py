"""Times of events as microseconds: seconds and wrapped counters are recognised, and what cannot be told is refused.

A time that is cut to whole microseconds where it means seconds puts a whole recording into its first frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: microseconds in the units that a header may name behind ``t`` or ``time``: ``t_ms``, ``timestamp [s]``, ``time(us)``
UNITS = {"s": 1e6, "sec": 1e6, "seconds": 1e6, "ms": 1e3, "us": 1.0, "µs": 1.0, "microseconds": 1.0, "ns": 1e-3}
COUNTERS = tuple(1 << bits for bits in (16, 23, 24, 31, 32))  #: where the counters of cameras and files begin again
LATEST = 2**62
NEAR = 64  #: a counter that wrapped was within its 64th part of its end, and is within one of its beginning


def microseconds(times: Any, unit: str = "") -> NDArray[np.int64]:
    """Times [events], in the order of the file, as whole microseconds.

    Without ``unit`` whole numbers are microseconds and numbers with fractions are seconds, rounded to the nearest
    microsecond; a counter that begins again is continued. Raises ValueError for times that are not finite or negative,
    for seconds in a type too coarse for microseconds, and for a jump back that no counter explains.
    """
    values = np.asarray(times).ravel()
    if values.dtype.kind not in "iuf" or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        raise ValueError("times that are no finite numbers")
    if values.size and not values.max() < LATEST:
        raise ValueError(f"times up to {values.max():g}, which are too large")
    if values.size and values.min() < 0:
        raise ValueError("negative times")
    whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    scale = UNITS[unit] if unit else 1.0 if whole else 1e6
    if scale != 1.0 or not whole:
        values = _scaled(values, scale)
    return _continued(values.astype(np.int64))


def _scaled(values: NDArray[Any], scale: float) -> NDArray[Any]:
    last = values.max(initial=0)
    step = np.spacing(last) if values.dtype.kind == "f" else 0
    if step * scale > 1:
        raise ValueError(
            f"times up to {last:g} in {values.dtype}, whose steps there are {step * scale:.3g} microseconds"
        )
    if float(last) * scale >= 2**63:
        raise ValueError(f"times up to {last:g}, which are too large")
    scaled = np.rint(values.astype(np.float64) * scale)
    if len(np.unique(scaled)) == 1 < len(np.unique(values)):
        raise ValueError(
            f"times from {values.min():g} to {last:g}, all of them one microsecond: say their unit in a header"
        )
    return scaled


def _continued(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times of a counter that began again, carried on. Small steps back are files out of order, and are left alone."""
    steps = np.diff(values)
    span = int(values.max(initial=0)) - int(values.min(initial=0))
    back = np.flatnonzero(steps < -(span // 2)) if span else np.zeros(0, np.int64)
    if not len(back):
        return values
    end = next((counter for counter in COUNTERS if values.max() < counter), None)
    if end is not None:
        near = end // NEAR
        if (values[back] >= end - near).all() and (values[back + 1] < near).all():
            turns = np.zeros(len(values), np.int64)
            turns[back + 1] = 1
            return values + end * np.cumsum(turns)
    if (steps < 0).sum() > len(values) // 20:
        return values  # in no order at all
    before, after = int(values[back[0]]), int(values[back[0] + 1])
    raise ValueError(
        f"times that jump back from {before} to {after} at event {int(back[0]) + 1}: a counter that began again, or "
        "two recordings in one file; write times that go on"
    )
