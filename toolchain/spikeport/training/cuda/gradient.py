"""The backward pass of neurons for the rectangular surrogate; see `kernels`.

Registers hold the membranes of ``block`` steps. Of more steps those at the start of each block are written down first;
then the blocks are gone through from the last to the first. Steps of the last block beyond the end get no gradient, so
that none leaves them.
"""

from __future__ import annotations

import triton.language as tl
from triton import jit

from spikeport.training.cuda.kernels import current, left, per_channel, row
from spikeport.training.cuda.statistics import tile_of


@jit
def found_again(
    v,
    x,
    a,
    b,
    decay,
    theta,
    first,
    steps,
    x_step,
    theta_step,
    c,
    known,
    at,
    live,
    number,
    normed: tl.constexpr,
    block: tl.constexpr,
    by_zero: tl.constexpr,
    by_channel: tl.constexpr,
):
    """The membranes before the reset of a block of steps, as `kernels.forward` computes them, and those after it."""
    membranes = ()
    for i in tl.static_range(block):
        t = tl.minimum(first + i, steps - 1)
        u = v * decay + current(x + t * x_step, at, live, a, b, number, normed)
        th = row(theta + t * theta_step, c, known, by_channel)
        v = left(u, u >= th, th, by_zero)
        membranes = membranes + (u,)  # type: ignore[assignment]  # noqa: RUF005, Triton knows no unpacking
    return membranes, v


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


@jit(do_not_specialize=["steps", "grad_step"])
def backward(
    grad,  # [T or 1, M, channels]
    x,  # [T or 1, M, channels]
    scale,
    shift,
    mean,  # [channels], None without a norm
    beta,
    theta,  # [T, 1 or channels]
    width,
    starts,  # [blocks, M, channels] for the membranes at the start of each block; None where there is one
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
    steps,
    block: tl.constexpr,
    by_zero: tl.constexpr,
    detached: tl.constexpr,
    by_channel: tl.constexpr,
    bm: tl.constexpr,
    bc: tl.constexpr,
):
    """Gradients of one tile, from the last step to the first."""
    across, down, m, c, at = tile_of(channels, bm, bc)
    known = c < channels
    live = (m < size)[:, None] & known[None, :]
    number = theta.dtype.element_ty
    decay, a, b = tl.load(beta), per_channel(scale, c, known), per_channel(shift, c, known)
    middle = per_channel(mean, c, known)
    normed: tl.constexpr = mean is not None
    long = tl.full((1, 1), 1, dtype=tl.int64)  # steps times values may pass 32 bits
    blocks = tl.cdiv(steps, block)
    v = tl.zeros((bm, bc), dtype=number)
    if starts is not None:
        for begun in range(blocks):
            tl.store(starts + begun * long * whole + at, v, mask=live)
            _, v = found_again(
                v,
                x,
                a,
                b,
                decay,
                theta,
                begun * block,
                steps,
                long * x_step,
                theta_step,
                c,
                known,
                at,
                live,
                number,
                normed,
                block,
                by_zero,
                by_channel,
            )
        tl.debug_barrier()
    carried, decays = tl.zeros((bm, bc), dtype=number), tl.zeros((bm, bc), dtype=number)
    plain, crossed = tl.zeros((bc,), dtype=number), tl.zeros((bc,), dtype=number)
    tile = down * tl.cdiv(channels, bc) + across
    rows = by_theta + (down if by_channel else tile).to(tl.int64) * steps * columns
    for n in range(blocks):
        first = (blocks - 1 - n) * block
        v = tl.zeros((bm, bc), dtype=number)
        if starts is not None:
            v = tl.load(starts + (blocks - 1 - n) * long * whole + at, mask=live, other=0)
        us, _ = found_again(
            v,
            x,
            a,
            b,
            decay,
            theta,
            first,
            steps,
            long * x_step,
            theta_step,
            c,
            known,
            at,
            live,
            number,
            normed,
            block,
            by_zero,
            by_channel,
        )
        for i in tl.static_range(block - 1, -1, -1):
            t = first + i
            there = live & (t < steps)
            of = tl.minimum(t, steps - 1) * theta_step
            th = row(theta + of, c, known, by_channel)
            g = tl.load(grad + t * long * grad_step + at, mask=there, other=0).to(number)
            g_u, g_theta = back(us[i], g, carried, th, row(width + of, c, known, by_channel), by_zero, detached)
            tl.store(out + t * long * whole + at, g_u.to(out.dtype.element_ty), mask=there)
            if by_channel:
                tl.store(rows + t * columns + c, tl.sum(tl.where(live, g_theta, 0), 0), mask=known & (t < steps))
            else:
                tl.store(rows + t, tl.sum(tl.where(live, g_theta, 0)), mask=t < steps)
            if i > 0:
                under = row(theta + tl.minimum(t - 1, steps - 1) * theta_step, c, known, by_channel)
                decays += g_u * left(us[i - 1], us[i - 1] >= under, under, by_zero)
            else:
                decays += g_u * v
            if normed:
                apart = tl.load(x + t * long * x_step + at, mask=there, other=0).to(number) - middle
                plain += tl.sum(tl.where(live, g_u, 0), 0)
                crossed += tl.sum(tl.where(live, g_u * apart, 0), 0)
            carried = decay * g_u
    tl.store(by_decay + tile, tl.sum(tl.where(live, decays, 0)))
    if normed:
        place = by_place + down.to(tl.int64) * 2 * channels + c
        tl.store(place, plain, mask=known)
        tl.store(place + channels, crossed, mask=known)
