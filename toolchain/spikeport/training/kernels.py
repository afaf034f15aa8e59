"""The loops of tdBN and neurons on the CPU, compiled by numba: as few walks over the memory as the equations allow.

Arrays are [T, n] views of one layer, n = batch x neurons in memory order; x is [1, n] where all steps share their
input. ``scale`` and ``shift`` [T or 1, block] and ``mean`` [block] have rows of one block's length: what belongs to a
channel repeats along the memory (channels-last), and the blocks of n start where a row starts. `start` and `stop`
bound the part of n that one thread takes. float32 and float64 are plain; uint16 stands for bfloat16, which numba does
not know: loads widen it to float32, stores round to nearest even. The equations are in `dynamics`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from spikeport.machine import compiled, part
from spikeport.machine.llvm import bits_of, float_of

# Sums may be reordered (vector lanes) and multiply-adds contracted; not-a-number keeps its meaning.
_MATH = {"reassoc", "contract", "nsz"}
_OPTIONS: dict[str, Any] = {"fastmath": _MATH, "_nrt": True}  # they make what they work in
jit = compiled(**_OPTIONS)


def load(row: Any, i: Any) -> Any:
    """Element i, bfloat16 widened."""


def store(row: Any, i: Any, value: Any) -> Any:
    """Write element i, rounded to bfloat16 where the row holds it."""


def spike(row: Any, i: Any, fired: Any) -> Any:
    """Write 1 or 0."""


@overload(load, strict=False)  # type: ignore[untyped-decorator]
def _load_of(row: Any, i: Any) -> Any:
    if row.dtype == types.uint16:
        return lambda row, i: float_of(np.uint32(np.uint32(row[i]) << np.uint32(16)))
    return lambda row, i: row[i]


@overload(store, strict=False)  # type: ignore[untyped-decorator]
def _store_of(row: Any, i: Any, value: Any) -> Any:
    if row.dtype == types.uint16:

        def rounded(row: Any, i: Any, value: Any) -> None:
            bits = bits_of(np.float32(value))
            even = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
            row[i] = np.uint16(np.uint32(bits + np.uint32(0x7FFF) + even) >> np.uint32(16))

        return rounded

    def plain(row: Any, i: Any, value: Any) -> None:
        row[i] = value

    return plain


@overload(spike, strict=False)  # type: ignore[untyped-decorator]
def _spike_of(row: Any, i: Any, fired: Any) -> Any:
    one: Any = np.uint16(0x3F80) if row.dtype == types.uint16 else 1.0
    zero: Any = np.uint16(0) if row.dtype == types.uint16 else 0.0

    def write(row: Any, i: Any, fired: Any) -> None:
        row[i] = one if fired else zero

    return write


# Every inner loop runs over rows of one block that start at 0: LLVM then sees that no index is negative, and computes
# many elements at once. `after` is written the same way everywhere, so that the backward pass finds the same membranes.


@jit
def moments(x: Any, mean: Any, sums: Any, start: int, stop: int) -> None:
    """Add to ``sums`` [T, 2, block]: the sum of x - mean and of its square, place by place of a block."""
    block = mean.shape[0]
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        for t in range(x.shape[0]):
            xs, total, squares = x[t, lo:hi], sums[t, 0], sums[t, 1]
            for i in range(hi - lo):
                total[i] += load(xs, i) - mean[i]
            for i in range(hi - lo):
                apart = load(xs, i) - mean[i]
                squares[i] += apart * apart


@jit
def forward(
    x: Any, scale: Any, shift: Any, spikes: Any, beta: Any, theta: Any, by_zero: bool, start: int, stop: int
) -> None:
    """All timesteps with given thresholds ``theta`` [T]."""
    rows, block = scale.shape
    v = np.empty_like(scale[0])
    zero = scale.dtype.type(0)
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        v[:] = zero
        for t in range(spikes.shape[0]):
            th = theta[t]
            drop = zero if by_zero else th
            xs, fires = x[min(t, x.shape[0] - 1), lo:hi], spikes[t, lo:hi]
            times, plus = scale[min(t, rows - 1)], shift[min(t, rows - 1)]
            for i in range(hi - lo):
                u = v[i] * beta + (load(xs, i) * times[i] + plus[i])
                fired = u >= th
                spike(fires, i, fired)
                low = zero if by_zero else u - drop
                v[i] = low if fired else u


@jit
def step(
    x: Any,
    scale: Any,
    shift: Any,
    u: Any,
    spikes: Any,
    beta: Any,
    below: Any,
    centre: Any,
    by_zero: bool,
    t: int,
    start: int,
    stop: int,
) -> tuple[float, float]:
    """Step ``t`` > 0: spikes of step t - 1, whose threshold is ``below``, and membranes before the reset in ``u`` [n].

    ``u`` held those of step t - 1, but for t = 1, where they follow from x. Returns the sum of (membrane - centre) and
    of its square: a ``centre`` near the mean keeps the digits that a difference of large sums would lose.
    """
    rows, block = scale.shape
    zero = scale.dtype.type(0)
    drop = zero if by_zero else below
    times, plus = scale[min(t, rows - 1)], shift[min(t, rows - 1)]
    total, squares = 0.0, 0.0
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        count = hi - lo
        xs, us, fires = x[min(t, x.shape[0] - 1), lo:hi], u[lo:hi], spikes[t - 1, lo:hi]
        if t == 1:
            firsts, first_times, first_plus = x[0, lo:hi], scale[0], shift[0]
            for i in range(count):
                us[i] = load(firsts, i) * first_times[i] + first_plus[i]
        part, square = zero, zero
        for i in range(count):
            past = us[i]
            fired = past >= below
            spike(fires, i, fired)
            low = zero if by_zero else past - drop
            now = (low if fired else past) * beta + (load(xs, i) * times[i] + plus[i])
            us[i] = now
            apart = now - centre
            part += apart
            square += apart * apart
        total += part
        squares += square
    return total, squares


@jit
def last(u: Any, spikes: Any, theta: Any, start: int, stop: int) -> None:
    """The spikes of the last step, whose membranes are ``u`` [n]."""
    us, fires = u[start:stop], spikes[-1, start:stop]
    for i in range(stop - start):
        spike(fires, i, us[i] >= theta)


@part(**_OPTIONS)
def _membranes(
    x: Any, scale: Any, shift: Any, u: Any, v: Any, beta: Any, theta: Any, by_zero: bool, lo: int, hi: int
) -> None:
    """Membranes before the reset of one block, all steps, into ``u`` [T * block]: cheaper than to read them."""
    zero = scale.dtype.type(0)
    rows, block = scale.shape
    count = hi - lo
    v[:] = zero
    for t in range(theta.shape[0]):
        th = theta[t]
        drop = zero if by_zero else th
        xs, us = x[min(t, x.shape[0] - 1), lo:hi], u[t * block : t * block + count]
        times, plus = scale[min(t, rows - 1)], shift[min(t, rows - 1)]
        for i in range(count):
            now = v[i] * beta + (load(xs, i) * times[i] + plus[i])
            us[i] = now
            low = zero if by_zero else now - drop
            v[i] = low if now >= th else now


@jit
def backward(
    grad: Any,
    x: Any,
    scale: Any,
    shift: Any,
    mean: Any,
    g_y: Any,
    beta: Any,
    theta: Any,
    width: Any,
    by_zero: bool,
    detached: bool,
    normed: bool,
    sums: Any,
    by_place: Any,
    start: int,
    stop: int,
) -> None:
    """Gradients ``g_y`` [T, n] of what the neurons get, for the rectangular surrogate.

    Adds to ``sums`` [1 + T]: the gradient of the decay, then of each threshold; to ``by_place`` [T or 1, 2, block]: the
    sum of g_y and of g_y * (x - mean). ``grad`` is [T, n], or [1, n] where every step has the same gradient.
    """
    steps, block = g_y.shape[0], scale.shape[1]
    zero = scale.dtype.type(0)
    one = scale.dtype.type(1)
    u = np.empty(steps * block, scale.dtype)  # one axis: so LLVM sees that its parts do not overlap the rest
    v = np.empty_like(scale[0])
    carried = np.empty_like(v)  # beta * g_u[t + 1]
    g_us = np.empty_like(v)
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        count = hi - lo
        _membranes(x, scale, shift, u, v, beta, theta, by_zero, lo, hi)
        carried[:] = zero
        for t in range(steps - 1, -1, -1):
            th = theta[t]
            half = width[t] * scale.dtype.type(0.5)
            height = one / width[t]
            xs, us = x[min(t, x.shape[0] - 1), lo:hi], u[t * block : t * block + count]
            grads, outs = grad[min(t, grad.shape[0] - 1), lo:hi], g_y[t, lo:hi]
            by_theta = zero
            for i in range(count):
                now = us[i]
                back = carried[i]
                fired = now >= th
                h = height if abs(now - th) < half else zero
                direct = load(grads, i)
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
                store(outs, i, g_u)
            sums[1 + t] += by_theta
            if t > 0:
                pasts, under, part = u[(t - 1) * block : (t - 1) * block + count], theta[t - 1], zero
                for i in range(count):
                    past = pasts[i]
                    low = zero if by_zero else past - under
                    part += g_us[i] * (low if past >= under else past)
                sums[0] += part
            if normed:
                sums_at = min(t, by_place.shape[0] - 1)
                plain, crossed = by_place[sums_at, 0], by_place[sums_at, 1]
                for i in range(count):
                    plain[i] += g_us[i]
                for i in range(count):
                    crossed[i] += g_us[i] * (load(xs, i) - mean[i])


@jit
def through_norm(x: Any, mean: Any, g: Any, scale: Any, slope: Any, offset: Any, start: int, stop: int) -> None:
    """In place: ``g`` [T, n] becomes ``scale * g + slope * (x - mean) + offset``; all but the mean [T or 1, block].

    ``x`` [T or 1, n].
    """
    rows, block = scale.shape
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        for t in range(g.shape[0]):
            xs, gs, row = x[min(t, x.shape[0] - 1), lo:hi], g[t, lo:hi], min(t, rows - 1)
            times, tilt, plus = scale[row], slope[row], offset[row]
            for i in range(hi - lo):
                store(gs, i, times[i] * load(gs, i) + (tilt[i] * (load(xs, i) - mean[i]) + plus[i]))
