"""The sums of a tile of places and channels, exact in 32 bits: the part that the kernels of `fire` and `alone` share.

A convolution is a product of matrices whose left one is never written: row m of it is the window of output place m,
gathered from the map (channels last) as it is multiplied. A matrix product is a convolution of one place.

Bytes are multiplied on tensor cores, int8 x int8 to int32. Weights are int8; inputs come in one of three forms:

- ``SMALL``: they fit int8.
- ``OFFSET``: bytes up to 255 enter as x - 128, and 128 times the sum of all weights of a channel is added
  (``correction``). Places in the padding are zeros before the offset, so they are corrected alike.
- ``DIGITS``: int32 as digits of base 256 between -128 and 127, highest first: each digit's products are added after the
  sum so far was multiplied by 256.

int32 wraps, so no order or grouping matters as long as the sum itself fits, which `sums.prepare` makes sure of.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import triton.language as tl
from triton import jit

SMALL, OFFSET, DIGITS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)  #: forms of the inputs
TAPS, FLAT, DIRECT, NONE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)  #: ways to multiply


class Window(NamedTuple):
    """How windows lie on a map, and how many channels a group has."""

    height: Any
    width: Any
    channels: Any  #: of all groups together
    group: Any  #: of one
    places: Any  #: of what leaves
    out_width: Any
    outputs: Any  #: channels that leave, of all groups together
    group_outputs: Any
    taps: Any
    kernel_width: Any
    stride_y: Any
    stride_x: Any
    pad_y: Any
    pad_x: Any
    step_y: Any  #: dilation
    step_x: Any


@jit
def channels_of(program, window, bn: tl.constexpr):
    """Of a program its group and its channels that leave; those that there are not have numbers beyond the last."""
    tiles = tl.cdiv(window.group_outputs, bn)
    group, local = program // tiles, program % tiles * bn + tl.arange(0, bn)
    return group, tl.where(local < window.group_outputs, group * window.group_outputs + local, window.outputs)


@jit
def rows_of(m, tap, window, size):
    """Of a tap of the windows of places ``m``: where its row of channels begins in the map, and if there is one."""
    place = m % window.places
    y = place // window.out_width * window.stride_y - window.pad_y + tap // window.kernel_width * window.step_y
    x = place % window.out_width * window.stride_x - window.pad_x + tap % window.kernel_width * window.step_x
    inside = (m < size) & (y >= 0) & (y < window.height) & (x >= 0) & (x < window.width)
    row = (m // window.places * window.height + y) * window.width + x
    return row.to(tl.int64) * window.channels, inside


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
def by_taps(
    acc,
    x,
    weight,
    m,
    n,
    of_group,
    window,
    size,
    form: tl.constexpr,
    digit: tl.constexpr,
    digits: tl.constexpr,
    bk: tl.constexpr,
):
    """Tap by tap, ``bk`` channels at a time: one loop over both, so that loads run ahead from tap to tap."""
    k = tl.arange(0, bk)
    blocks = tl.cdiv(window.group, bk)
    depth = window.taps * window.group
    for i in range(window.taps * blocks):
        tap, c = i // blocks, i % blocks * bk + k
        row, inside = rows_of(m, tap, window, size)
        filled = c < window.group
        a = tl.load(
            x + row[:, None] + (of_group * window.group + c)[None, :], mask=inside[:, None] & filled[None, :], other=0
        )
        at = weight + n[None, :] * depth + (tap * window.group + c)[:, None]
        b = tl.load(at, mask=(n < window.outputs)[None, :] & filled[:, None], other=0)
        acc = tl.dot(as_int8(a, form, digit, digits), b, acc, out_dtype=tl.int32)
    return acc


@jit
def flat(
    acc,
    x,
    weight,
    m,
    n,
    of_group,
    window,
    size,
    form: tl.constexpr,
    digit: tl.constexpr,
    digits: tl.constexpr,
    bk: tl.constexpr,
):
    """Where a group has few channels, taps and channels as one axis: no product is of padding alone."""
    depth = window.taps * window.group
    for first in range(0, depth, bk):
        k = first + tl.arange(0, bk)
        row, inside = rows_of(m[:, None], (k // window.group)[None, :], window, size)
        c = of_group * window.group + k % window.group
        a = tl.load(x + row + c[None, :], mask=inside & (k < depth)[None, :], other=0)
        at = weight + n[None, :] * depth + k[:, None]
        b = tl.load(at, mask=(n < window.outputs)[None, :] & (k < depth)[:, None], other=0)
        acc = tl.dot(as_int8(a, form, digit, digits), b, acc, out_dtype=tl.int32)
    return acc


@jit
def direct(acc, x, weight, m, n, window, size):
    """Where a group has few outputs, as in depthwise convolutions, without tensor cores: bytes are what takes time."""
    depth = window.taps * window.group
    for i in range(depth):
        tap, c = i // window.group, i % window.group
        row, inside = rows_of(m, tap, window, size)
        channel = n // window.group_outputs * window.group + c
        known = n < window.outputs
        a = tl.load(x + row[:, None] + channel[None, :], mask=inside[:, None] & known[None, :], other=0)
        b = tl.load(weight + n * depth + i, mask=known, other=0)
        acc += a.to(tl.int32) * b.to(tl.int32)[None, :]
    return acc


@jit
def tile_sums(
    x,
    weight,
    correction,
    m,
    n,
    of_group,
    window,
    size,
    way: tl.constexpr,
    form: tl.constexpr,
    digits: tl.constexpr,
    bm: tl.constexpr,
    bn: tl.constexpr,
    bk: tl.constexpr,
):
    """int32 [bm, bn]: the sums of places ``m`` of a step's map ``x`` and of channels ``n`` of one group."""
    acc = tl.zeros((bm, bn), dtype=tl.int32)
    if way == DIRECT:
        acc = direct(acc, x, weight, m, n, window, size)
    else:
        for place in tl.static_range(digits):
            acc = acc * 256
            if way == FLAT:
                acc = flat(acc, x, weight, m, n, of_group, window, size, form, digits - 1 - place, digits, bk)
            else:
                acc = by_taps(acc, x, weight, m, n, of_group, window, size, form, digits - 1 - place, digits, bk)
        if form == OFFSET:
            acc += tl.load(correction + n, mask=n < window.outputs, other=0)[None, :]
    return acc
