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


def _load(row: Any, i: Any) -> Any:
    """Element i, bfloat16 widened."""


def _store(row: Any, i: Any, value: Any) -> Any:
    """Write element i, rounded to bfloat16 where the row holds it."""


@overload(_load, strict=False)  # type: ignore[untyped-decorator]
def _load_of(row: Any, i: Any) -> Any:
    if row.dtype == types.uint16:
        return lambda row, i: _float_of(np.uint32(np.uint32(row[i]) << np.uint32(16)))
    return lambda row, i: row[i]


@overload(_store, strict=False)  # type: ignore[untyped-decorator]
def _store_of(row: Any, i: Any, value: Any) -> Any:
    if row.dtype == types.uint16:

        def rounded(row: Any, i: Any, value: Any) -> None:
            bits = _bits_of(np.float32(value))
            even = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
            row[i] = np.uint16(np.uint32(bits + np.uint32(0x7FFF) + even) >> np.uint32(16))

        return rounded

    def plain(row: Any, i: Any, value: Any) -> None:
        row[i] = value

    return plain


# Every inner loop below runs over rows of one block that start at 0: LLVM then sees that no index is negative, and
# computes many elements at once.


@_jit  # type: ignore[untyped-decorator]
def forward(
    x: Any, u: Any, spikes: Any, beta: Any, theta: Any, by_zero: bool, keep: bool, start: int, stop: int
) -> None:
    """All timesteps with given thresholds ``theta`` [T]; ``u`` [T, n] is written where ``keep``.

    ``x`` is [T, n], or [1, n] where every step has the same input.
    """
    zero = u.dtype.type(0)
    one = u.dtype.type(1)
    v = np.empty(BLOCK, u.dtype)
    for lo in range(start, stop, BLOCK):
        hi = min(lo + BLOCK, stop)
        count = hi - lo
        v[:count] = zero
        for t in range(spikes.shape[0]):
            th = theta[t]
            xs = x[min(t, x.shape[0] - 1), lo:hi]
            fires = spikes[t, lo:hi]
            us = u[t, lo:hi] if keep else v
            drop = zero if by_zero else th
            for i in range(count):
                now = v[i] * beta + _load(xs, i)
                fired = now >= th
                _store(fires, i, one if fired else zero)
                low = zero if by_zero else now - drop
                if keep:
                    us[i] = now
                v[i] = low if fired else now


@_jit  # type: ignore[untyped-decorator]
def first(x: Any, u: Any, shift: Any, start: int, stop: int) -> tuple[float, float]:
    """Membranes of the first step: the input. Returns the sum of (membrane - shift) and of its square.

    A ``shift`` near the mean keeps the digits that a difference of large sums would lose.
    """
    zero = u.dtype.type(0)
    total, squares = 0.0, 0.0
    for lo in range(start, stop, BLOCK):
        hi = min(lo + BLOCK, stop)
        xs, us = x[0, lo:hi], u[0, lo:hi]
        part, square = zero, zero
        for i in range(hi - lo):
            now = u.dtype.type(_load(xs, i))
            us[i] = now
            apart = now - shift
            part += apart
            square += apart * apart
        total += part
        squares += square
    return total, squares


@_jit  # type: ignore[untyped-decorator]
def step(
    x: Any, u: Any, spikes: Any, beta: Any, below: Any, shift: Any, by_zero: bool, t: int, start: int, stop: int
) -> tuple[float, float]:
    """Membranes of step ``t`` > 0 before the reset, and the spikes of step t - 1, whose threshold is ``below``.

    Returns the sum of (membrane - shift) and of its square, for the threshold of this step.
    """
    zero = u.dtype.type(0)
    one = u.dtype.type(1)
    total, squares = 0.0, 0.0
    for lo in range(start, stop, BLOCK):
        hi = min(lo + BLOCK, stop)
        xs, us, pasts, fires = x[min(t, x.shape[0] - 1), lo:hi], u[t, lo:hi], u[t - 1, lo:hi], spikes[t - 1, lo:hi]
        part, square = zero, zero
        for i in range(hi - lo):
            past = pasts[i]
            fired = past >= below
            _store(fires, i, one if fired else zero)
            low = zero if by_zero else past - below
            now = (low if fired else past) * beta + _load(xs, i)
            us[i] = now
            apart = now - shift
            part += apart
            square += apart * apart
        total += part
        squares += square
    return total, squares


@_jit  # type: ignore[untyped-decorator]
def last(u: Any, spikes: Any, theta: Any, start: int, stop: int) -> None:
    """The spikes of the last step."""
    t = u.shape[0] - 1
    zero = u.dtype.type(0)
    one = u.dtype.type(1)
    us, fires = u[t, start:stop], spikes[t, start:stop]
    for i in range(stop - start):
        _store(fires, i, one if us[i] >= theta else zero)


@_jit  # type: ignore[untyped-decorator]
def backward(
    grad: Any, u: Any, g_x: Any, beta: Any, theta: Any, width: Any, by_zero: bool, detached: bool, sums: Any,
    start: int, stop: int,
) -> None:  # fmt: skip
    """Gradients for the rectangular surrogate; adds to ``sums`` [1 + T]: of the decay, then of each threshold.

    ``grad`` is [T, n], or [1, n] where every step has the same gradient.
    """
    zero = u.dtype.type(0)
    one = u.dtype.type(1)
    carried = np.empty(BLOCK, u.dtype)  # beta * g_u[t + 1]
    g_us = np.empty(BLOCK, u.dtype)
    for lo in range(start, stop, BLOCK):
        hi = min(lo + BLOCK, stop)
        count = hi - lo
        carried[:count] = zero
        for t in range(u.shape[0] - 1, -1, -1):
            th = theta[t]
            half = width[t] * u.dtype.type(0.5)
            height = one / width[t]
            grads, us, outs = grad[min(t, grad.shape[0] - 1), lo:hi], u[t, lo:hi], g_x[t, lo:hi]
            by_theta = zero
            for i in range(count):
                now = us[i]
                back = carried[i]
                fired = now >= th
                h = height if abs(now - th) < half else zero
                direct = _load(grads, i)
                if not detached:
                    direct = direct - back * (now if by_zero else th)
                through = (zero if fired else back) if by_zero else back
                by_spike = direct * h
                g_u = by_spike + through
                by_theta -= by_spike
                if not by_zero:
                    by_theta -= back if fired else zero
                g_us[i] = g_u
                carried[i] = beta * g_u
                _store(outs, i, g_u)
            sums[1 + t] += by_theta
            if t > 0:
                pasts, under, part = u[t - 1, lo:hi], theta[t - 1], zero
                for i in range(count):
                    past = pasts[i]
                    low = zero if by_zero else past - under
                    part += g_us[i] * (low if past >= under else past)
                sums[0] += part
