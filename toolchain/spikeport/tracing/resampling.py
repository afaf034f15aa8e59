"""Maps of another size: each value repeated, means of neighbours, or weighted sums axis by axis.

Linear and cubic interpolation and mean over areas are separable: along an axis of length n they are a matrix [n', n],
whatever the values are. torch itself gives it, applied to each place alone. Linear interpolation to a whole multiple of
the size is a repetition and means of neighbours, which are exact in integers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spikeport.graph import Array, Conv, Pool
from spikeport.tracing import operations
from spikeport.tracing.call import Call
from spikeport.tracing.padding import surrounded
from spikeport.tracing.symbols import Symbol, Unsupported

NEAREST = ("nearest", "nearest-exact")
LINEAR = ("linear", "bilinear", "trilinear")
SEPARABLE = (*LINEAR, "bicubic", "area")


def interpolate(call: Call) -> Symbol:
    """interpolate(x, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)."""
    mode = call.get(3, "mode", "nearest")
    before, after = call.shape, tuple(call.out.shape)
    if mode in NEAREST and not any(new % old for old, new in zip(before, after, strict=True)):
        return operations.repeated(call.tracer, call.input(), [b // a for a, b in zip(before, after, strict=True)])
    if mode not in (*NEAREST, *SEPARABLE):
        raise Unsupported(f"interpolates ({mode}), which is no weighted sum along each axis")
    factors = {new // old if new % old == 0 else 0 for old, new in zip(before[2:], after[2:], strict=True)}
    if mode in LINEAR and len(factors) == 1 and min(factors) > 1 and not call.get(4, "align_corners"):
        matrices = [_matrix(call, mode, n, after[2 + n]) for n in range(len(after) - 2)]
        if all(np.allclose(matrix, _tent(min(factors), matrix.shape[1])) for matrix in matrices):
            return _smoothed(call, call.input(), factors.pop())
    return weighed(call, call.input(), [_matrix(call, mode, n, after[2 + n]) for n in range(len(after) - 2)])


def _tent(factor: int, length: int) -> Array:
    """Linear interpolation to a whole multiple as means of neighbours: what `_smoothed` does to each place alone."""
    rows = np.pad(np.repeat(np.eye(length), factor, axis=0), ((factor // 2, factor // 2), (0, 0)), mode="edge")
    for size in _windows(factor):
        rows = np.lib.stride_tricks.sliding_window_view(rows, size, axis=0).mean(-1)
    return rows


def _windows(factor: int) -> tuple[int, ...]:
    return (factor,) if factor % 2 else (factor, 2)


def _smoothed(call: Call, x: Symbol, factor: int) -> Symbol:
    """Each value repeated, the border replicated, then means of neighbours: pools, which integers know."""
    places = len(call.shape) - 2
    x = operations.repeated(call.tracer, x, [1] * (len(x.axes) - places) + [factor] * places)
    x = surrounded(call, x, (factor // 2,) * 2 * places, "replicate")
    for size in _windows(factor):
        x = call.apply(Pool("average", (size,) * places, (1,) * places, (0,) * places), x, x.axes)
    return x


def weighed(call: Call, x: Symbol, matrices: Sequence[Array]) -> Symbol:
    """A matrix [new, old] over each of the last axes: the places along it become channels of kernels of one place."""
    x = operations.settled(call.tracer, x)
    if x.causes:  # behind something that was refused no node fits any more
        return replace(x, shape=(*x.shape[: -len(matrices)], *map(len, matrices)))
    first = len(x.axes) - len(matrices)
    for axis, matrix in enumerate(matrices, first):
        if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
            continue
        x = operations.fronted(call.tracer, x, axis)
        ones = (1,) * (len(x.shape) - 1)
        if not 1 <= len(ones) <= 3:
            raise Unsupported("resamples more than three axes besides the one at hand")
        weight = call.tracer.draft.number(matrix.reshape(*matrix.shape, *ones))
        x = call.apply(Conv(weight, stride=ones, padding=(0,) * len(ones), dilation=ones), x, x.axes)
    return operations.settled(call.tracer, x)


def _matrix(call: Call, mode: str, n: int, new: int) -> Array:
    """The weights [new, old] along the n-th axis of space: what torch makes of each of its places alone."""
    old, scale = call.shape[2 + n], call.get(2, "scale_factor")
    flat = mode == "bicubic" or call.get(6, "antialias", False)  # over two axes alone: a map of one row
    told: dict[str, Any] = {"size": (1, new) if flat else new}
    if scale is not None:
        own = float(scale[n] if isinstance(scale, tuple | list) else scale)
        told = {
            "scale_factor": (1.0, own) if flat else own,
            "recompute_scale_factor": call.get(5, "recompute_scale_factor"),
        }
    kind = mode if mode in (*NEAREST, "area", "bicubic") else "bilinear" if flat else "linear"
    told |= {"align_corners": call.get(4, "align_corners"), "antialias": call.get(6, "antialias", False)}
    places = torch.eye(old, dtype=torch.float64).reshape(old, 1, *((1,) if flat else ()), old)
    matrix: Array = F.interpolate(places, mode=kind, **told).reshape(old, new).numpy().T
    return matrix


HANDLERS: dict[str, Callable[[Call], Any]] = dict.fromkeys(("interpolate", "upsample", "upsample_nearest"), interpolate)
