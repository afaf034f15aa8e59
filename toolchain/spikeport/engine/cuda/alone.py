"""The sums of a synapse whose neurons do not make them themselves: in front of a readout, or one way of several."""

from __future__ import annotations

import triton.language as tl
from triton import jit

from spikeport.engine.cuda.gemm import channels_of, tile_sums
from spikeport.engine.cuda.tiles import tuned


@tuned("bm", "bn", "bk")
@jit(do_not_specialize=["bucket"])
def product(
    x,
    weight,
    correction,
    out,  # out: [M, outputs], int32 or int64
    window,
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
    m = tl.program_id(1) * bm + tl.arange(0, bm)
    group, n = channels_of(tl.program_id(0), window, bn)
    acc = tile_sums(x, weight, correction, m, n, group, window, size, way, form, digits, bm, bn, bk)
    sums = (acc.to(tl.int64 if wide else tl.int32) << left) >> right
    at = m.to(tl.int64)[:, None] * window.outputs + n[None, :]
    tl.store(out + at, sums, mask=(m < size)[:, None] & (n < window.outputs)[None, :])
