"""One kernel a layer: sums, exponent, membrane, threshold, reset and spikes of all steps, with the state in registers.

What is read are the bytes of the map that enters and the weights; what is written is a byte for each spike. Sums and
membranes never leave the registers. Spikes, saturations, overflows and active neurons are counted on the way.
"""

from __future__ import annotations

import triton.language as tl
from triton import jit

from spikeport.engine.cuda.gemm import NONE, Window, tile_of, tile_sums
from spikeport.engine.cuda.step import FIRED, KINDS, SATURATED, add_counts, after, charge, write
from spikeport.engine.cuda.tiles import tuned


@jit
def loaded(values, at, mask):
    """Parameters of a tile; zero where there are none."""
    return tl.load(values + at, mask=mask, other=0) if values is not None else 0


@jit
def scaled_by(sums, left, right, scaled: tl.constexpr):
    """Sums times ``2 ** (left - right)``, rounded towards minus infinity."""
    return (sums << left) >> right if scaled else sums


@tuned("bm", "bn", "bk")
@jit(do_not_specialize=[*Window._fields, "bucket", "left", "right", "top"])
def fire(
    x,  # the map [T or 1, M', channels], or anything where there is no synapse
    weight,  # [outputs, depth]
    correction,  # [outputs]
    beside,  # [T or 1, M, outputs] sums, or None
    decay,  # [period], as bias and the next two
    leak,  # None where there is no current
    bias,
    theta,  # [T, period]
    reset_value,  # None where nothing is reset to a value
    low,  # None where membranes end nowhere from below
    before,  # state [2, M, outputs], or None at the first step
    spikes,  # [T, M, outputs] bytes
    membranes,  # [T, M, outputs], or None
    leaving,  # state [2, M, outputs], or None after the last step
    onto,  # other spikes [T, M, outputs], to which these are added; or None
    summed,  # [T, M, outputs] bytes, the sums
    counts,  # [T, KINDS], zero
    channels,
    height,
    width,
    places,
    out_width,
    taps,
    kernel_width,
    stride_y,
    stride_x,
    pad_y,
    pad_x,
    step_y,
    step_x,
    size,  # M, the places of all samples
    whole,  # M * outputs
    x_step,
    beside_step,
    theta_step,
    steps,
    left,  # the exponent
    right,
    top,
    bucket,  # the size, roughly: layers of other sizes are tuned anew
    way: tl.constexpr,
    form: tl.constexpr,
    digits: tl.constexpr,
    steady: tl.constexpr,  # the same sums at every step
    wide: tl.constexpr,  # 64 bits
    each: tl.constexpr,  # parameters are one a neuron, not one a channel
    reset: tl.constexpr,
    spare: tl.constexpr,  # bits that the accumulator lacks, where sums may not fit it
    scaled: tl.constexpr,  # whether there is an exponent
    overflows: tl.constexpr,  # whether sums or currents may overflow
    watch: tl.constexpr,  # whether active neurons are counted
    bm: tl.constexpr,
    bn: tl.constexpr,
    bk: tl.constexpr,
):
    """``steps`` steps of all places and channels that leave.

    Parameters are loaded at each step, so that no register holds them while it multiplies; so are addresses, of which a
    tile keeps one, and 32 bits for the way from there.
    """
    window = (height, width, places, out_width, taps, kernel_width, stride_y, stride_x, pad_y, pad_x, step_y, step_x)
    first, group, n, inside = tile_of(channels, way, bm, bn)
    m = first.to(tl.int32) + tl.arange(0, bm)
    alive = (m < size)[:, None]
    live = alive & inside[None, :]
    at = tl.arange(0, bm)[:, None] * channels.outputs + n[None, :]
    of, known = n[None, :], inside[None, :]
    if each:
        of, known = (m % places)[:, None] * channels.outputs + n[None, :], live
    start = first * channels.outputs
    there = start
    number = tl.int64 if wide else tl.int32
    top = tl.full((1, 1), top, dtype=number)
    v = tl.zeros((bm, bn), dtype=number)
    current = v
    if before is not None:
        before += start
        v, current = tl.load(before + at, mask=live, other=0), tl.load(before + whole + at, mask=live, other=0)
    sums = tl.zeros((bm, bn), dtype=number)
    if steady:
        acc = tile_sums(
            x, weight, correction, m, n, inside, group, channels, window, size, way, form, digits, bm, bn, bk
        )
        sums = scaled_by(acc.to(number), left, right, scaled)
    for _ in range(steps):
        if way != NONE and not steady:
            acc = tile_sums(
                x, weight, correction, m, n, inside, group, channels, window, size, way, form, digits, bm, bn, bk
            )
            sums = scaled_by(acc.to(number), left, right, scaled)
            x += x_step
        entering = sums
        if beside is not None:
            entering = sums + tl.load(beside + start + at, mask=live, other=0).to(number)
            beside += beside_step
        d, fade, b = loaded(decay, of, known), loaded(leak, of, known), loaded(bias, of, known)
        exact, u, current = charge(
            v, current, entering, d, fade, b, top, counts, alive, spare, leak is not None, overflows, watch
        )
        th = tl.load(theta + of, mask=known, other=0)
        fires = alive & (u > th)
        add_counts(counts, FIRED, fires, SATURATED, alive & (u != exact))
        v = after(u, fires, th, loaded(reset_value, of, known), reset)
        if low is not None:
            v = tl.maximum(v, tl.load(low + of, mask=known, other=0))
        write(spikes, membranes, onto, summed, there, at, fires, v, live)
        there += whole
        theta += theta_step
        counts += KINDS
    if leaving is not None:
        leaving += start
        tl.store(leaving + at, v, mask=live)
        tl.store(leaving + whole + at, current, mask=live)
