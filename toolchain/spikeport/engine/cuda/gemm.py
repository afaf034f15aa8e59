"""The sums of a tile of places and channels, exact in 32 bits: the part that the kernels of `fire` and `alone` share.

A convolution is a product of matrices whose left one is never written: row m of it is the window of output place m,
gathered from the map (channels last) as it is multiplied. A matrix product is a convolution of one place.

Bytes are multiplied on tensor cores, int8 x int8 to int32. Weights are int8; inputs come in one of three forms:

- ``SMALL``: they fit int8.
- ``OFFSET``: bytes up to 255 enter as x - 128, and 128 times the sum of all weights of a channel is added
  (``correction``). Places in the padding are zeros before the offset, so they are corrected alike.
- ``DIGITS``: int32 as digits of base 256 between -128 and 127, highest first: each digit's products are added after the
  sum so far was multiplied by 256.

Real numbers (``REAL``, ``TF32``, ``BF16``) are multiplied as what the form says, and added in float32: the first by
fused multiply-adds term by term, so that neither tile nor batch changes a bit; the other two on tensor cores.

int32 wraps, so no order or grouping matters as long as the sum itself fits, which `sums.prepare` makes sure of.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import triton.language as tl
from triton import jit

SMALL, OFFSET, DIGITS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)  #: forms of the inputs
REAL, TF32, BF16 = tl.constexpr(3), tl.constexpr(4), tl.constexpr(5)  #: and of real ones
TAPS, FLAT, DIRECT, NONE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)  #: ways to multiply
OUTSIDE = tl.constexpr(-(1 << 30))  #: a row far above every map
TAPS_OF = tl.constexpr(4)  #: of `Window`


class Channels(NamedTuple):
    """Channels of all groups together, and of one. Triton compiles anew where 16 divides one that it did not before."""

    entering: Any
    group: Any  #: of those that enter
    outputs: Any
    group_outputs: Any


class Window(NamedTuple):
    """How windows lie on a map. Kernels take these as numbers of their own, of which Triton makes no constants."""

    height: Any
    width: Any
    places: Any  #: of what leaves
    out_width: Any
    taps: Any
    kernel_width: Any
    stride_y: Any
    stride_x: Any
    pad_y: Any
    pad_x: Any
    step_y: Any  #: dilation
    step_x: Any


@jit
def tile_of(channels, way: tl.constexpr, bm: tl.constexpr, bn: tl.constexpr):
    """Of this program the first place, the group, its channels that leave [bn], and which of them there are.

    One axis of programs, since the others end at 65,535; programs side by side share their places. Without tensor cores
    a tile goes over all groups.
    """
    of_one = channels.outputs if way == DIRECT else channels.group_outputs
    tiles = tl.cdiv(of_one, bn)
    across = channels.outputs // of_one * tiles
    program = tl.program_id(0) % across
    group, local = program // tiles, program % tiles * bn + tl.arange(0, bn)
    return (tl.program_id(0) // across).to(tl.int64) * bm, group, group * of_one + local, local < of_one


@jit
def windows_of(m, window, size):
    """Of output places ``m`` the image, the row and column of its first tap; beyond the last place none lies inside."""
    _, _, places, out_width, _, _, stride_y, stride_x, pad_y, pad_x, _, _ = window
    image, place = m // places, m % places
    y, x = place // out_width * stride_y - pad_y, place % out_width * stride_x - pad_x
    return image, tl.where(m < size, y, OUTSIDE), x


@jit
def rows_of(image, y, x, tap, window):
    """Of a tap of windows: where its row of channels begins in the map, in rows, and if there is one."""
    height, width, _, _, _, kernel_width, _, _, _, _, step_y, step_x = window
    y += tap // kernel_width * step_y
    x += tap % kernel_width * step_x
    return (image * height + y) * width + x, (y >= 0) & (y < height) & (x >= 0) & (x < width)


@jit
def as_int8(a, form: tl.constexpr, digit: tl.constexpr, digits: tl.constexpr):
    """Inputs as the tensor cores take them."""
    if form == OFFSET:
        a = a.to(tl.int16) - 128
    elif form == DIGITS:
        for _ in tl.static_range(digit):
            a = (a + 128) >> 8
        if digit < digits - 1:
            a = ((a + 128) & 255) - 128
    return a.to(tl.int8)


@jit
def multiplied(a, b, acc, form: tl.constexpr, digit: tl.constexpr, digits: tl.constexpr):
    """The sums with a tile of products added."""
    if form == REAL:
        acc = tl.dot(a.to(tl.float32), b, acc, input_precision="ieee")
    elif form == TF32:
        acc = tl.dot(a.to(tl.float32), b, acc, input_precision="tf32")
    elif form == BF16:
        acc = tl.dot(a.to(tl.bfloat16), b, acc)
    else:
        acc = tl.dot(as_int8(a, form, digit, digits), b, acc, out_dtype=tl.int32)
    return acc


@jit
def by_taps(
    acc,
    x,
    weight,
    m,
    n,
    inside,
    of_group,
    channels,
    window,
    size,
    form: tl.constexpr,
    digit: tl.constexpr,
    digits: tl.constexpr,
    bk: tl.constexpr,
):
    """Tap by tap, ``bk`` channels at a time: one loop over both, so that loads run ahead from tap to tap."""
    k = tl.arange(0, bk)
    blocks, taps = tl.cdiv(channels.group, bk), window[TAPS_OF]
    image, y, left = windows_of(m, window, size)
    x += of_group * channels.group
    weight += n[None, :] * (taps * channels.group)
    for i in range(taps * blocks):
        tap, c = i // blocks, i % blocks * bk + k
        row, within = rows_of(image, y, left, tap, window)
        filled = c < channels.group
        at = x + (row.to(tl.int64) * channels.entering)[:, None] + c[None, :]
        a = tl.load(at, mask=within[:, None] & filled[None, :], other=0)
        at = weight + (tap * channels.group + c)[:, None]
        b = tl.load(at, mask=inside[None, :] & filled[:, None], other=0)
        acc = multiplied(a, b, acc, form, digit, digits)
    return acc


@jit
def flat(
    acc,
    x,
    weight,
    m,
    n,
    inside,
    of_group,
    channels,
    window,
    size,
    form: tl.constexpr,
    digit: tl.constexpr,
    digits: tl.constexpr,
    bk: tl.constexpr,
):
    """Where a group has few channels, taps and channels as one axis: no product is of padding alone."""
    depth = window[TAPS_OF] * channels.group
    image, y, left = windows_of(m, window, size)
    for first in range(0, depth, bk):
        k = first + tl.arange(0, bk)
        row, within = rows_of(image[:, None], y[:, None], left[:, None], (k // channels.group)[None, :], window)
        c = of_group * channels.group + k % channels.group
        at = x + row.to(tl.int64) * channels.entering + c[None, :]
        a = tl.load(at, mask=within & (k < depth)[None, :], other=0)
        at = weight + n[None, :] * depth + k[:, None]
        b = tl.load(at, mask=inside[None, :] & (k < depth)[:, None], other=0)
        acc = multiplied(a, b, acc, form, digit, digits)
    return acc


@jit
def direct(acc, x, weight, m, n, inside, channels, window, size):
    """Where a group has few outputs, as in depthwise convolutions, without tensor cores: bytes are what takes time."""
    depth = window[TAPS_OF] * channels.group
    image, y, left = windows_of(m, window, size)
    own = n // channels.group_outputs * channels.group
    for i in range(depth):
        row, within = rows_of(image, y, left, i // channels.group, window)
        at = x + (row.to(tl.int64) * channels.entering)[:, None] + (own + i % channels.group)[None, :]
        a = tl.load(at, mask=within[:, None] & inside[None, :], other=0)
        b = tl.load(weight + n * depth + i, mask=inside, other=0)
        acc += a.to(acc.dtype) * b.to(acc.dtype)[None, :]
    return acc


@jit
def tile_sums(
    x,
    weight,
    correction,
    m,
    n,
    inside,
    of_group,
    channels,
    window,
    size,
    way: tl.constexpr,
    form: tl.constexpr,
    digits: tl.constexpr,
    bm: tl.constexpr,
    bn: tl.constexpr,
    bk: tl.constexpr,
):
    """int32 or float32 [bm, bn]: the sums of places ``m`` of a step's map ``x`` and of channels ``n`` of one group."""
    acc = tl.zeros((bm, bn), dtype=tl.float32 if form >= REAL else tl.int32)
    if way == DIRECT:
        acc = direct(acc, x, weight, m, n, inside, channels, window, size)
    else:
        for place in tl.static_range(digits):
            acc = acc * 256
            if way == FLAT:
                acc = flat(
                    acc, x, weight, m, n, inside, of_group, channels, window, size, form, digits - 1 - place, digits, bk
                )
            else:
                acc = by_taps(
                    acc, x, weight, m, n, inside, of_group, channels, window, size, form, digits - 1 - place, digits, bk
                )
    if form >= REAL or (form == OFFSET and way != DIRECT):
        acc += tl.load(correction + n, mask=inside, other=0)[None, :]
    return acc
