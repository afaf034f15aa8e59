"""The sums of a synapse whose neurons do not make them themselves: in front of a readout, or one way of several."""

from __future__ import annotations

import triton.language as tl
from triton import jit

from spikeport.engine.cuda.gemm import REAL, Window, tile_of, tile_sums
from spikeport.engine.cuda.tiles import tuned


@tuned("bm", "bn", "bk")
@jit(do_not_specialize=[*Window._fields, "bucket", "left", "right"])
def product(
    x,
    weight,
    correction,
    out,  # out: [M, outputs], int32, int64 or float32
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
    size,
    left,
    right,
    bucket,
    way: tl.constexpr,
    form: tl.constexpr,
    digits: tl.constexpr,
    wide: tl.constexpr,
    bm: tl.constexpr,
    bn: tl.constexpr,
    bk: tl.constexpr,
):
    """The sums, times ``2 ** (left - right)``, of M = ``size`` places of all samples and steps."""
    window = (height, width, places, out_width, taps, kernel_width, stride_y, stride_x, pad_y, pad_x, step_y, step_x)
    first, group, n, inside = tile_of(channels, way, bm, bn)
    m = first.to(tl.int32) + tl.arange(0, bm)
    acc = tile_sums(x, weight, correction, m, n, inside, group, channels, window, size, way, form, digits, bm, bn, bk)
    sums = acc if form >= REAL else (acc.to(tl.int64 if wide else tl.int32) << left) >> right
    at = tl.arange(0, bm)[:, None] * channels.outputs + n[None, :]
    tl.store(out + first * channels.outputs + at, sums, mask=(m < size)[:, None] & inside[None, :])
