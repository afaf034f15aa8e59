"""One kernel a layer: sums, exponent, membrane, threshold, reset and spikes of all steps, with the state in registers.

What is read are the bytes of the map that enters and the weights; what is written is a byte for each spike. Sums and
membranes never leave the registers. Spikes, saturations, overflows and active neurons are counted on the way.
"""

from __future__ import annotations

import triton.language as tl
from triton import jit

from spikeport.engine.cuda.gemm import NONE, channels_of, tile_sums
from spikeport.engine.cuda.step import FIRED, KINDS, add_count, after, charge
from spikeport.engine.cuda.tiles import tuned


@jit
def loaded(values, at, mask):
    """Parameters of a tile; zero where there are none."""
    return tl.load(values + at, mask=mask, other=0) if values is not None else 0


@tuned("bm", "bn", "bk")
@jit(do_not_specialize=["bucket"])
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
    before,  # state [2, M, outputs], or None at the first step
    spikes,  # [T, M, outputs] bytes
    membranes,  # [T, M, outputs], or None
    leaving,  # state [2, M, outputs], or None after the last step
    counts,  # [T, KINDS], zero
    window,
    size,  # M, the places of all samples
    whole,  # M * outputs
    x_step,
    beside_step,
    theta_step,
    steps,
    left,  # the exponent
    right,
    spare,  # bits that the accumulator lacks
    top,
    bucket,  # the size, roughly: layers of other sizes are tuned anew
    way: tl.constexpr,
    form: tl.constexpr,
    digits: tl.constexpr,
    steady: tl.constexpr,  # the same sums at every step
    wide: tl.constexpr,  # 64 bits
    each: tl.constexpr,  # parameters are one a neuron, not one a channel
    reset: tl.constexpr,
    watch: tl.constexpr,
    bm: tl.constexpr,
    bn: tl.constexpr,
    bk: tl.constexpr,
):
    """``steps`` steps of all places and channels that leave."""
    m = tl.program_id(1) * bm + tl.arange(0, bm)
    group, n = channels_of(tl.program_id(0), window, bn)
    live = (m < size)[:, None] & (n < window.outputs)[None, :]
    at = m.to(tl.int64)[:, None] * window.outputs + n[None, :]
    if each:
        of, known = (m % window.places)[:, None] * window.outputs + n[None, :], live
    else:
        of, known = n[None, :], n[None, :] < window.outputs
    number = tl.int64 if wide else tl.int32
    top = tl.full((1, 1), top, dtype=number)
    d, fade, b = loaded(decay, of, known), loaded(leak, of, known), loaded(bias, of, known)
    value = loaded(reset_value, of, known)
    v = tl.zeros((bm, bn), dtype=number)
    current = v
    if before is not None:
        v, current = tl.load(before + at, mask=live, other=0), tl.load(before + whole + at, mask=live, other=0)
    sums = tl.zeros((bm, bn), dtype=number)
    if steady:
        acc = tile_sums(x, weight, correction, m, n, group, window, size, way, form, digits, bm, bn, bk)
        sums = (acc.to(number) << left) >> right
    for _ in range(steps):
        if way != NONE and not steady:
            acc = tile_sums(x, weight, correction, m, n, group, window, size, way, form, digits, bm, bn, bk)
            sums = (acc.to(number) << left) >> right
            x += x_step
        entering = sums
        if beside is not None:
            entering = sums + tl.load(beside + at, mask=live, other=0).to(number)
            beside += beside_step
        u, current = charge(v, current, entering, d, fade, b, spare, top, counts, live, leak is not None, watch)
        th = tl.load(theta + of, mask=known, other=0)
        fires = live & (u > th)
        add_count(counts, FIRED, fires)
        v = after(u, fires, th, value, reset)
        tl.store(spikes + at, fires.to(tl.uint8), mask=live)
        if membranes is not None:
            tl.store(membranes + at, v, mask=live)
            membranes += whole
        theta += theta_step
        spikes += whole
        counts += KINDS
    if leaving is not None:
        tl.store(leaving + at, v, mask=live)
        tl.store(leaving + whole + at, current, mask=live)
