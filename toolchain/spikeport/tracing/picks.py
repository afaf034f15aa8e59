"""Features at places that a module lists, or takes with gaps: what moves values, pools of one place, or a matrix.

x[:, :, ::2, ::2]     a pool whose windows hold one place
x[:, 1::10]           one place of each window of ten
x[:, [3, 0, 1]]       slices side by side; copies where each place comes as often in a row
x[:, permutation]     of many pieces a matrix of ones and zeros, as an interpolation is one
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.graph import Array, Linear, Pool
from spikeport.tracing import operations
from spikeport.tracing.call import Call
from spikeport.tracing.resampling import weighed
from spikeport.tracing.symbols import Symbol, Unsupported

PARTS = "selects a part of the batch, or of time and features at once"
LISTS = "selects features by lists that are no places along one axis, nor along axes that lie beside each other"
MOST_PIECES = 32  #: that are put side by side; of more a matrix is made


def listed(part: Any) -> Array | None:
    """The places that an index lists, also by a mask that is known; None for numbers and slices."""
    if isinstance(part, Tensor) and part.ndim:
        places = part.detach().cpu().numpy()
    elif isinstance(part, list | np.ndarray) and np.ndim(part):
        places = np.asarray(part)
    else:
        return None
    return np.flatnonzero(places) if places.dtype == bool and places.ndim == 1 else places


def by_lists(call: Call, x: Symbol, lists: Mapping[int, Array]) -> tuple[Symbol, int]:
    """``x`` with places picked along axes that lie beside each other, by their position; how many axes they are now.

    Lists of which each goes along an axis of its own, as [n, 1] and [m], pick a grid; others pick place by place.
    """
    first, count = min(lists), len(lists)
    try:
        tables = np.broadcast_arrays(*(lists[first + n] for n in range(count)))
    except (KeyError, ValueError):
        raise Unsupported(LISTS) from None
    if not all(table.dtype.kind in "iu" and table.size for table in tables):
        raise Unsupported(LISTS)
    if tables[0].ndim == count:
        lines = [line for n, table in enumerate(tables) if (line := _along(table, n)) is not None]
        if len(lines) == count:
            for n, line in enumerate(lines):
                x = picked(call, x, first + n, line)
            return x, count
    if tables[0].ndim != 1:
        raise Unsupported(LISTS)
    sizes = lengths(call, x)[first : first + count]
    flat = np.ravel_multi_index([table % size for table, size in zip(tables, sizes, strict=True)], sizes)
    together = sum(x.axes[first : first + count], ())
    return picked(call, x.viewed((*x.axes[:first], together, *x.axes[first + count :])), first, flat), 1


def _along(table: Array, axis: int) -> Array | None:
    """The line of a table that is the same along every other axis."""
    line = np.moveaxis(table, axis, 0).reshape(table.shape[axis], -1)
    return line[:, 0] if (line == line[:, :1]).all() else None


def lengths(call: Call, x: Symbol) -> list[int]:
    """The sizes of a tensor's axes."""
    return [math.prod(call.tracer.size(x.shape, label) for label in group) for group in x.axes]


def picked(call: Call, x: Symbol, axis: int, places: Array) -> Symbol:
    """The features at these places along an axis of the tensor, in this order."""
    if not all(isinstance(label, int) for label in x.axes[axis]):
        raise Unsupported(PARTS)
    front = sorted(range(len(x.axes)), key=lambda n: all(isinstance(label, int) for label in x.axes[n]))
    y = operations.settled(call.tracer, x.viewed(tuple(x.axes[n] for n in front)))
    at = front.index(axis) - operations.lead_of(y)
    places = places % y.shape[at]
    y = _picked(call, y, at, places)
    return y.viewed(tuple(y.axes[front.index(n)] for n in range(len(front))))


def _picked(call: Call, x: Symbol, at: int, places: Array) -> Symbol:
    length, axis = x.shape[at], at + operations.lead_of(x)
    every = np.arange(length)
    if np.array_equal(places, every):
        return x
    if len(places) % length == 0 and np.array_equal(places, np.repeat(every, len(places) // length)):
        return operations.repeated(
            call.tracer, x, [len(places) // length if n == axis else 1 for n in range(len(x.axes))]
        )
    gaps = np.diff(places)
    stop, even = int(places[-1]) + 1, len(places) > 1 and gaps[0] > 1 and bool((gaps == gaps[0]).all())
    if even and at and len(x.shape) <= 4:
        part = x if places[0] == 0 else operations.sliced(call.tracer, x, axis, int(places[0]), stop)
        strides = tuple(int(gaps[0]) if n == at else 1 for n in range(1, len(x.shape)))
        pooled = call.apply(Pool("sum", (1,) * len(strides), strides, (0,) * len(strides)), part, part.axes)
        whole = pooled.shape[at] == len(places)
        return pooled if whole else operations.sliced(call.tracer, pooled, axis, 0, len(places))
    if even:
        return operations.strided(call, x, axis, range(int(places[0]), stop, int(gaps[0])))
    breaks = [0, *(np.flatnonzero(gaps != 1) + 1).tolist(), len(places)]
    if len(breaks) <= MOST_PIECES + 1:
        spans = [(int(places[a]), int(places[b - 1]) + 1) for a, b in pairwise(breaks)]
        parts = [operations.sliced(call.tracer, x, axis, *span) for span in spans]
        return parts[0] if len(parts) == 1 else operations.concatenated(call, parts, axis)
    return _by_matrix(call, x, at, places)


def _by_matrix(call: Call, x: Symbol, at: int, places: Array) -> Symbol:
    matrix = np.eye(x.shape[at])[places]
    if len(x.shape) == 1:
        return call.apply(Linear(call.tracer.draft.number(matrix)), x, x.axes)
    others: Sequence[Array] = [np.eye(size) for size in x.shape[at + 1 :]]
    return weighed(call, x, [matrix, *others])
