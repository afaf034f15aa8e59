"""Neurons and the tdBN before them, forward and backward, on tiles [bm, bc] of places and channels, channels last.

A layer is [T, M, channels], M places of all samples; without a norm, and with one threshold a step, it is [T, 1, n].
The equations are in `dynamics`. Decay, thresholds and widths lie on the card, where earlier kernels left them. Nothing
is kept for the backward pass but the input: `gradient` finds the membranes again, in registers.
"""

from __future__ import annotations

import triton.language as tl
from triton import jit

from spikeport.training.cuda.statistics import leave, tile_of


@jit
def row(values, c, known, by_channel: tl.constexpr):
    """Thresholds or widths of a step: one number, or one a channel as [1, bc]."""
    return tl.load(values + c, mask=known, other=1)[None, :] if by_channel else tl.load(values)


@jit
def current(x, at, live, scale, shift, number, normed: tl.constexpr):
    """What the neurons get: ``x * scale + shift``; ``x`` itself where there is no norm."""
    value = tl.load(x + at, mask=live, other=0).to(number)
    return value * scale + shift if normed else value


@jit
def left(u, fired, theta, by_zero: tl.constexpr):
    """Membranes after the reset."""
    return tl.where(fired, 0, u) if by_zero else tl.where(fired, u - theta, u)


@jit
def per_channel(values, c, known):
    """[1, bc] of a row [channels]; zero where there is none."""
    return tl.load(values + c, mask=known, other=0)[None, :] if values is not None else 0.0


@jit
def forward(
    x,  # [T or 1, M, channels]
    scale,  # [channels], as shift; None without a norm
    shift,
    beta,  # []
    theta,  # [T, 1 or channels]
    spikes,  # [T, M, channels]
    size,
    channels,
    whole,
    x_step,
    theta_step,
    steps,
    by_zero: tl.constexpr,
    by_channel: tl.constexpr,
    bm: tl.constexpr,
    bc: tl.constexpr,
):
    """All steps with given thresholds."""
    _, _, m, c, at = tile_of(channels, bm, bc)
    known = c < channels
    live = (m < size)[:, None] & known[None, :]
    number = theta.dtype.element_ty
    decay, a, b = tl.load(beta), per_channel(scale, c, known), per_channel(shift, c, known)
    v = tl.zeros((bm, bc), dtype=number)
    for _ in range(steps):
        th = row(theta, c, known, by_channel)
        u = v * decay + current(x, at, live, a, b, number, scale is not None)
        fired = u >= th
        tl.store(spikes + at, fired.to(tl.float32).to(spikes.dtype.element_ty), mask=live)
        v = left(u, fired, th, by_zero)
        x += x_step
        spikes += whole
        theta += theta_step


@jit
def step(
    x,  # of this step [M, channels]
    scale,
    shift,
    beta,
    theta,  # of the step before, [1 or channels]; None at the first step
    u,  # [M, channels]: membranes before the reset, of the step before, then of this one
    spikes,  # of the step before
    part,  # as `statistics.leave` fills it
    size,
    channels,
    by_zero: tl.constexpr,
    by_channel: tl.constexpr,
    bm: tl.constexpr,
    bc: tl.constexpr,
):
    """Spikes of the step before, membranes of this one, and what their mean and variance need."""
    across, down, m, c, at = tile_of(channels, bm, bc)
    known = c < channels
    live = (m < size)[:, None] & known[None, :]
    number = u.dtype.element_ty
    a, b = per_channel(scale, c, known), per_channel(shift, c, known)
    now = current(x, at, live, a, b, number, scale is not None)
    if theta is not None:
        th = row(theta, c, known, by_channel)
        past = tl.load(u + at, mask=live, other=0)
        fired = past >= th
        tl.store(spikes + at, fired.to(tl.float32).to(spikes.dtype.element_ty), mask=live)
        now = left(past, fired, th, by_zero) * tl.load(beta) + now
    tl.store(u + at, now, mask=live)
    tile = down if by_channel else down * tl.cdiv(channels, bc) + across
    leave(part, tile, channels, c, known, now, live, number, by_channel)


@jit
def through_norm(x, g, mean, scale, slope, offset, size, channels, bm: tl.constexpr, bc: tl.constexpr):
    """In place: ``g`` [M, channels] becomes ``scale * g + slope * (x - mean) + offset``."""
    _, _, m, c, at = tile_of(channels, bm, bc)
    known = c < channels
    live = (m < size)[:, None] & known[None, :]
    number = scale.dtype.element_ty
    apart = tl.load(x + at, mask=live, other=0).to(number) - per_channel(mean, c, known)
    value = per_channel(scale, c, known) * tl.load(g + at, mask=live, other=0).to(number)
    value += per_channel(slope, c, known) * apart + per_channel(offset, c, known)
    tl.store(g + at, value.to(g.dtype.element_ty), mask=live)
