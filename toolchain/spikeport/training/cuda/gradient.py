"""The backward pass of neurons for the rectangular surrogate; see `kernels`."""

from __future__ import annotations

import triton.language as tl
from triton import jit

from spikeport.training.cuda.kernels import current, left, per_channel, row


@jit
def found_again(
    x,
    x_step,
    a,
    b,
    decay,
    theta,
    theta_step,
    c,
    known,
    at,
    live,
    number,
    normed: tl.constexpr,
    steps: tl.constexpr,
    by_zero: tl.constexpr,
    by_channel: tl.constexpr,
    bm: tl.constexpr,
    bc: tl.constexpr,
):
    """The membranes before the reset of all steps, as `kernels.forward` computes them."""
    v = tl.zeros((bm, bc), dtype=number)
    membranes = ()
    for _ in tl.static_range(steps):
        u = v * decay + current(x, at, live, a, b, number, normed)
        th = row(theta, c, known, by_channel)
        v = left(u, u >= th, th, by_zero)
        membranes = membranes + (u,)  # type: ignore[assignment]  # noqa: RUF005, Triton knows no unpacking
        x += x_step
        theta += theta_step
    return membranes


@jit
def back(u, g, carried, th, width, by_zero: tl.constexpr, detached: tl.constexpr):
    """Of a step the gradients of its membranes, and of its threshold in each neuron."""
    fired = u >= th
    height = tl.where(tl.abs(u - th) < width * 0.5, 1 / width, 0)
    if not detached:
        g -= carried * (u if by_zero else th)
    by_spike = g * height
    through = tl.where(fired, 0, carried) if by_zero else carried
    by_theta = -by_spike if by_zero else -by_spike - tl.where(fired, carried, 0)
    return by_spike + through, by_theta


@jit
def backward(
    grad,  # [T or 1, M, channels]
    x,  # [T or 1, M, channels]
    scale,
    shift,
    mean,  # [channels], None without a norm
    beta,
    theta,  # [T, 1 or channels]
    width,
    out,  # [T, M, channels], the gradient of what the neurons get
    by_theta,  # [tiles, T, 1 or channels]
    by_decay,  # [tiles of places, tiles of channels]
    by_place,  # [tiles of places, 2, channels]: sums of the gradient, and of it times (x - mean)
    size,
    channels,
    whole,
    grad_step,
    x_step,
    theta_step,
    columns,  # of by_theta
    steps: tl.constexpr,
    by_zero: tl.constexpr,
    detached: tl.constexpr,
    by_channel: tl.constexpr,
    bm: tl.constexpr,
    bc: tl.constexpr,
):
    """Gradients of one tile, from the last step to the first."""
    c = tl.program_id(0) * bc + tl.arange(0, bc)
    m = tl.program_id(1) * bm + tl.arange(0, bm)
    known = c < channels
    live = (m < size)[:, None] & known[None, :]
    at = m.to(tl.int64)[:, None] * channels + c[None, :]
    number = theta.dtype.element_ty
    decay, a, b = tl.load(beta), per_channel(scale, c, known), per_channel(shift, c, known)
    middle = per_channel(mean, c, known)
    normed: tl.constexpr = mean is not None
    us = found_again(
        x,
        x_step,
        a,
        b,
        decay,
        theta,
        theta_step,
        c,
        known,
        at,
        live,
        number,
        normed,
        steps,
        by_zero,
        by_channel,
        bm,
        bc,
    )
    carried = tl.zeros((bm, bc), dtype=number)
    decays = tl.zeros((bm, bc), dtype=number)
    plain = tl.zeros((bc,), dtype=number)
    crossed = tl.zeros((bc,), dtype=number)
    tile = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    rows = by_theta + (tl.program_id(1) if by_channel else tile).to(tl.int64) * steps * columns
    for t in tl.static_range(steps - 1, -1, -1):
        th = row(theta + t * theta_step, c, known, by_channel)
        g = tl.load(grad + t * grad_step + at, mask=live, other=0).to(number)
        w = row(width + t * theta_step, c, known, by_channel)
        g_u, g_theta = back(us[t], g, carried, th, w, by_zero, detached)
        tl.store(out + t * whole + at, g_u.to(out.dtype.element_ty), mask=live)
        if by_channel:
            tl.store(rows + t * columns + c, tl.sum(tl.where(live, g_theta, 0), 0), mask=known)
        else:
            tl.store(rows + t, tl.sum(tl.where(live, g_theta, 0)))
        if t > 0:
            under = row(theta + (t - 1) * theta_step, c, known, by_channel)
            decays += g_u * left(us[t - 1], us[t - 1] >= under, under, by_zero)
        if normed:
            apart = tl.load(x + t * x_step + at, mask=live, other=0).to(number) - middle
            plain += tl.sum(tl.where(live, g_u, 0), 0)
            crossed += tl.sum(tl.where(live, g_u * apart, 0), 0)
        carried = decay * g_u
    tl.store(by_decay + tile, tl.sum(tl.where(live, decays, 0)))
    if normed:
        place = by_place + tl.program_id(1).to(tl.int64) * 2 * channels + c
        tl.store(place, plain, mask=known)
        tl.store(place + channels, crossed, mask=known)
