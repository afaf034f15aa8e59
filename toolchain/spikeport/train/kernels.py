"""The neuron loops on the CPU, compiled by numba: every value is read and written once a timestep.

Arrays are [T, n] views of one layer, n = batch x neurons in memory order; `start` and `stop` bound the part of n that
one thread takes. float32 and float64 are plain; uint16 stands for bfloat16, which numba does not know: loads widen it
to float32, stores round to nearest even. The equations are in `dynamics`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

BLOCK = 2048  #: elements that stay in the first cache level through all timesteps

# Sums may be reordered (vector lanes) and multiply-adds contracted; not-a-number keeps its meaning.
_MATH = {"reassoc", "contract", "nsz"}
_jit = numba.njit(nogil=True, cache=True, fastmath=_MATH, error_model="numpy", boundscheck=False)


@intrinsic  # type: ignore[untyped-decorator]
def _float_of(typing: Any, bits: Any) -> Any:
    """A float32 of its 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic  # type: ignore[untyped-decorator]
def _bits_of(typing: Any, value: Any) -> Any:
    """The 32 bits of a float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), generate


def _load(array: Any, t: Any, i: Any) -> Any:
    """Element [t, i], bfloat16 widened."""


def _store(array: Any, t: Any, i: Any, value: Any) -> Any:
    """Write element [t, i], rounded to bfloat16 where the array holds it."""


@overload(_load, strict=False)  # type: ignore[untyped-decorator]
def _load_of(array: Any, t: Any, i: Any) -> Any:
    if array.dtype == types.uint16:
        return lambda array, t, i: _float_of(np.uint32(np.uint32(array[t, i]) << np.uint32(16)))
    return lambda array, t, i: array[t, i]


@overload(_store, strict=False)  # type: ignore[untyped-decorator]
def _store_of(array: Any, t: Any, i: Any, value: Any) -> Any:
    if array.dtype == types.uint16:

        def rounded(array: Any, t: Any, i: Any, value: Any) -> None:
            bits = _bits_of(np.float32(value))
            even = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
            array[t, i] = np.uint16(np.uint32(bits + np.uint32(0x7FFF) + even) >> np.uint32(16))

        return rounded

    def plain(array: Any, t: Any, i: Any, value: Any) -> None:
        array[t, i] = value

    return plain


@_jit  # type: ignore[untyped-decorator]
def forward(
    x: Any, u: Any, spikes: Any, beta: Any, theta: Any, by_zero: bool, keep: bool, start: int, stop: int
) -> None:
    """All timesteps with given thresholds ``theta`` [T]; ``u`` [T, n] is written where ``keep``."""
    zero = u.dtype.type(0)
    one = u.dtype.type(1)
    v = np.empty(BLOCK, u.dtype)
    for lo in range(start, stop, BLOCK):
        count = min(BLOCK, stop - lo)
        v[:count] = zero
        for t in range(x.shape[0]):
            th = theta[t]
            drop = zero if by_zero else th
            for i in range(count):
                now = v[i] * beta + _load(x, t, lo + i)
                fired = now >= th
                if keep:
                    u[t, lo + i] = now
                _store(spikes, t, lo + i, one if fired else zero)
                low = zero if by_zero else now - drop
                v[i] = low if fired else now


@_jit  # type: ignore[untyped-decorator]
def step(
    x: Any, u: Any, spikes: Any, beta: Any, below: Any, by_zero: bool, t: int, start: int, stop: int
) -> tuple[float, float]:
    """Membranes of step ``t`` before the reset, and the spikes of step t - 1, whose threshold is ``below``.

    Returns the sum and the sum of squares of the membranes, for the threshold of this step.
    """
    zero = u.dtype.type(0)
    one = u.dtype.type(1)
    total, squares = 0.0, 0.0
    for lo in range(start, stop, BLOCK):
        hi = min(lo + BLOCK, stop)
        part, square = zero, zero
        for i in range(lo, hi):
            now = u.dtype.type(_load(x, t, i))
            if t > 0:
                past = u[t - 1, i]
                fired = past >= below
                _store(spikes, t - 1, i, one if fired else zero)
                low = zero if by_zero else past - below
                now = (low if fired else past) * beta + now
            u[t, i] = now
            part += now
            square += now * now
        total += part
        squares += square
    return total, squares


@_jit  # type: ignore[untyped-decorator]
def last(u: Any, spikes: Any, theta: Any, start: int, stop: int) -> None:
    """The spikes of the last step."""
    t = u.shape[0] - 1
    zero = u.dtype.type(0)
    one = u.dtype.type(1)
    for i in range(start, stop):
        _store(spikes, t, i, one if u[t, i] >= theta else zero)


@_jit  # type: ignore[untyped-decorator]
def backward(
    grad: Any, u: Any, g_x: Any, beta: Any, theta: Any, width: Any, by_zero: bool, detached: bool, sums: Any,
    start: int, stop: int,
) -> None:  # fmt: skip
    """Gradients for the rectangular surrogate; adds to ``sums`` [1 + T]: of the decay, then of each threshold."""
    zero = u.dtype.type(0)
    one = u.dtype.type(1)
    steps = u.shape[0]
    carried = np.empty(BLOCK, u.dtype)  # beta * g_u[t + 1]
    for lo in range(start, stop, BLOCK):
        count = min(BLOCK, stop - lo)
        carried[:count] = zero
        for t in range(steps - 1, -1, -1):
            th = theta[t]
            half = width[t] * u.dtype.type(0.5)
            height = one / width[t]
            part, by_theta = zero, zero
            for i in range(count):
                now = u[t, lo + i]
                back = carried[i]
                fired = now >= th
                h = height if abs(now - th) < half else zero
                direct = _load(grad, t, lo + i)
                if not detached:
                    direct = direct - back * (now if by_zero else th)
                through = (zero if fired else back) if by_zero else back
                by_spike = direct * h
                g_u = by_spike + through
                by_theta -= by_spike
                if not by_zero:
                    by_theta -= back if fired else zero
                if t > 0:
                    past = u[t - 1, lo + i]
                    under = theta[t - 1]
                    low = zero if by_zero else past - under
                    part += g_u * (low if past >= under else past)
                carried[i] = beta * g_u
                _store(g_x, t, lo + i, g_u)
            sums[0] += part
            sums[1 + t] += by_theta
