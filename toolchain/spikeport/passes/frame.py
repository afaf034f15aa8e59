"""What a node without state makes of one frame."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from spikeport.graph import Array, Conv, Flatten, Linear, Node, Norm, Pool, Scale, over_neurons


def apply(node: Node, x: Array) -> Array:
    """What a node without state makes of one frame ``x`` [*shape] in float64: its linear part, without constants."""
    if isinstance(node, Linear):
        return np.asarray(node.weight.astype(np.float64) @ x)
    if isinstance(node, Conv):
        return _convolve(node, x)
    if isinstance(node, Pool):
        windows = _windows(x, node.kernel, node.stride, node.padding, (1,) * len(node.kernel))
        axes = tuple(range(-len(node.kernel), 0))
        total = np.asarray(windows.sum(axis=axes))
        return total / area(node) if node.kind == "average" else total
    if isinstance(node, Flatten):
        return x.reshape(-1)
    if isinstance(node, Norm):
        return np.asarray(x * over_neurons(node.gain_and_shift(np.float64)[0], x.shape))
    assert isinstance(node, Scale)
    return np.asarray(x * over_neurons(node.factor, x.shape).astype(np.float64))


def area(node: Pool) -> int:
    """How many values one window of a pool covers."""
    return int(np.prod(node.kernel, dtype=np.int64))


def _convolve(node: Conv, x: Array) -> Array:
    windows = _windows(x, node.kernel, node.stride, node.padding, node.dilation)
    axes = len(node.kernel)
    weights = np.split(node.weight.astype(np.float64), node.groups)
    parts = np.split(windows, node.groups)
    over = [0, *range(-axes, 0)], [1, *range(2, 2 + axes)]
    return np.concatenate([np.tensordot(w, p, (over[1], over[0])) for w, p in zip(weights, parts, strict=True)])


def _windows(
    x: Array, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Array:
    """[C, *windows, *kernel] of ``x`` [C, *size], padded with zeros."""
    padded = np.pad(x, [(0, 0), *((p, p) for p in padding)])
    span = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    axes = tuple(range(1, x.ndim))
    windows: Array = sliding_window_view(padded, span, axis=axes)  # type: ignore[call-overload]  # numpy's stub: one axis
    pick = (slice(None), *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))
    return np.asarray(windows[pick])
