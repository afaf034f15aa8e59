"""The loops of MPBN's neurons, compiled by numba: each a walk over one step of a layer, as `kernels` walks.

Arrays are [n], n = batch x neurons in memory order, channels last; numbers of a channel are rows of one block. Sums
[2, block] are added to place by place. The equations are in `membrane_norm`.
"""

from __future__ import annotations

from typing import Any

from spikeport.training.kernels import jit, load, spike, store


@jit
def charge(
    x: Any,
    u: Any,
    past: Any,
    fires: Any,
    below: Any,
    centre: Any,
    sums: Any,
    beta: Any,
    first: bool,
    start: int,
    stop: int,
) -> None:
    """Membranes ``u`` before the reset, and the spikes of the step before, whose membranes are ``past``.

    Sums: of u - centre and of its square. The ``first`` step has nothing before it.
    """
    block, zero = centre.shape[0], centre.dtype.type(0)
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        xs, us, pasts, fired_at = x[lo:hi], u[lo:hi], past[lo:hi], fires[lo:hi]
        total, squares = sums[0], sums[1]
        if first:
            for i in range(hi - lo):
                us[i] = load(xs, i)
        else:
            for i in range(hi - lo):
                fired = pasts[i] >= below[i]
                spike(fired_at, i, fired)
                us[i] = (zero if fired else pasts[i]) * beta + load(xs, i)
        for i in range(hi - lo):
            apart = us[i] - centre[i]
            total[i] += apart
            squares[i] += apart * apart


@jit
def last(u: Any, fires: Any, below: Any, start: int, stop: int) -> None:
    """The spikes of the last step."""
    block = below.shape[0]
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        us, fired_at = u[lo:hi], fires[lo:hi]
        for i in range(hi - lo):
            spike(fired_at, i, us[i] >= below[i])


@jit
def towards(
    grad: Any,
    u: Any,
    carried: Any,
    g_y: Any,
    slope: Any,
    theta: Any,
    mean: Any,
    width: Any,
    sums: Any,
    start: int,
    stop: int,
) -> None:
    """Gradients ``g_y`` of normalised membranes, by the rectangular surrogate; sums: of them, and times u - mean.

    ``carried`` is the gradient of what the step leaves. A normalised membrane lies slope * (u - theta) from V_th.
    """
    block, zero = mean.shape[0], mean.dtype.type(0)
    half, height = width / 2, 1 / width
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        gs, us, backs, ys = grad[lo:hi], u[lo:hi], carried[lo:hi], g_y[lo:hi]
        plain, crossed = sums[0], sums[1]
        for i in range(hi - lo):
            near = abs(slope[i] * (us[i] - theta[i])) < half
            direct = load(gs, i) - backs[i] * us[i]
            ys[i] = direct * height if near else zero
        for i in range(hi - lo):
            plain[i] += ys[i]
            crossed[i] += ys[i] * (us[i] - mean[i])


@jit
def through(
    u: Any,
    past: Any,
    g_y: Any,
    carried: Any,
    g_x: Any,
    slope: Any,
    theta: Any,
    mean: Any,
    tilt: Any,
    shift: Any,
    below: Any,
    beta: Any,
    start: int,
    stop: int,
) -> float:
    """Gradients ``g_x`` of what enters, through the normalisation; ``carried`` becomes that of the step before.

    Returns the sum of g_x times what was left of ``past``, the membranes of the step before: the decay's gradient.
    """
    block, zero = mean.shape[0], mean.dtype.type(0)
    total = 0.0
    for lo in range(start, stop, block):
        hi = min(lo + block, stop)
        us, pasts, ys, backs, outs = u[lo:hi], past[lo:hi], g_y[lo:hi], carried[lo:hi], g_x[lo:hi]
        part = zero
        for i in range(hi - lo):
            kept = zero if us[i] >= theta[i] else backs[i]
            g_u = slope[i] * ys[i] + (tilt[i] * (us[i] - mean[i]) + shift[i]) + kept
            part += g_u * (zero if pasts[i] >= below[i] else pasts[i])
            backs[i] = beta * g_u
            store(outs, i, g_u)
        total += part
    return total
