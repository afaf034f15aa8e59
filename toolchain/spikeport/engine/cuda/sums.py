"""A synapse laid out for the tensor cores, and launched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.cuda.alone import product as kernel
from spikeport.engine.cuda.gemm import BF16, DIGITS, DIRECT, FLAT, NONE, OFFSET, SMALL, TAPS, Channels, Window
from spikeport.engine.cuda.tiles import bucket
from spikeport.graph import LIF, Conv, Linear, Range, Shape, Synapse

DEEP = 32  #: channels of a group from which a tile's depth lies in one tap; int8 products take 32 at a time
BROAD = 16  #: outputs of a group from which tensor cores serve: their narrowest tile
BYTE = 128  #: the offset of bytes


@dataclass(frozen=True)
class Sums:
    """One synapse on the card. ``way``, ``form`` and ``digits`` as in `gemm`."""

    channels: Channels
    window: Window
    weight: Tensor  #: int8, float32 or bfloat16 [outputs, taps * channels of a group], the channels running fastest
    correction: Tensor  #: [outputs], what is added to each sum: `gemm`, or the bias of real numbers
    left: int  #: the exponent, as a shift to the left
    right: int  #: and one to the right
    way: int
    form: int
    digits: int
    shape: Shape  #: that leaves

    @property
    def makes(self) -> bool:
        """Whether it makes sums at all."""
        return bool(self.way != NONE.value)

    @property
    def depth(self) -> int:
        """Products in a sum."""
        return int(self.weight.shape[1])

    @property
    def told(self) -> dict[str, Any]:
        """What the kernels are told of it, but the map."""
        names = ("weight", "correction", "channels", "way", "form", "digits")
        return {name: getattr(self, name) for name in names} | self.window._asdict()

    def grid(self, size: int) -> Callable[[Mapping[str, int]], tuple[int]]:
        """Programs: tiles of each group's channels, as `gemm.tile_of` counts them, and of ``size`` places."""
        outputs = self.channels.outputs
        of_one = outputs if self.way == DIRECT.value else self.channels.group_outputs
        return lambda tile: (outputs // of_one * -(-of_one // tile["bn"]) * -(-size // tile["bm"]),)

    def __call__(self, x: Tensor, wide: bool) -> Tensor:
        """[T, B, *out] of ``x`` [T, B, *in]: the sums after the exponent, int64 if ``wide`` else int32; or float32."""
        values = rows(x)
        size = x.shape[0] * x.shape[1] * self.window.places
        outputs = self.channels.outputs
        number = torch.int64 if wide else torch.int32
        number = torch.float32 if self.weight.is_floating_point() else number
        out = torch.empty((size, outputs), dtype=number, device=x.device)
        near = bucket(x.device, size, outputs, self.depth)
        shifts = {"left": self.left, "right": self.right}
        kernel[self.grid(size)](values, out=out, size=size, bucket=near, wide=wide, **shifts, **self.told)
        return unflat(out, (*x.shape[:2], *self.shape))


def rows(x: Tensor) -> Tensor:
    """Values [T, B, *shape] as they lie on the card: channels last, without gaps."""
    return x.movedim(2, -1).contiguous()


def unflat(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What a kernel wrote, channels last, as [T, B, *shape]."""
    steps, batch, channels, *places = shape
    return values.reshape(steps, batch, *places, channels).movedim(-1, 2)


def prepare(node: Synapse, x: Range, shape: Shape, device: str) -> Sums | None:
    """A synapse for inputs of ``shape`` in ``x``; None for volumes, wide weights, and sums beyond 32 bits."""
    weight = np.asarray(node.weight, np.int64)
    if (
        len(shape) > 3
        or max(node.sums(x).size, x.size) >= 2**31
        or np.abs(weight * 2 + 1).max(initial=0) > 2 * BYTE - 1
    ):
        return None
    channels, window, out = _laid_out(node, shape)
    rows_ = np.moveaxis(weight, 1, -1).reshape(len(weight), -1)
    form, digits = _form(x)
    way = _way(channels)
    return Sums(
        channels=channels,
        window=window,
        weight=torch.from_numpy(rows_.astype(np.int8)).to(device),
        correction=torch.from_numpy((BYTE * rows_.sum(1)).astype(np.int32)).to(device),
        left=max(node.exponent, 0),
        right=max(-node.exponent, 0),
        way=way,
        form=form,
        digits=1 if way == DIRECT.value else digits,
        shape=out,
    )


def prepare_real(node: Synapse, shape: Shape, device: str, form: int) -> Sums:
    """A synapse of real numbers for inputs of ``shape``, of bytes or float32."""
    channels, window, out = _laid_out(node, shape)
    weight = torch.from_numpy(np.moveaxis(np.asarray(node.weight, np.float32), 1, -1).reshape(node.channels, -1).copy())
    weight = weight.to(device, torch.bfloat16 if form == BF16.value else torch.float32)
    bias = np.zeros(node.channels) if node.bias is None else np.broadcast_to(node.bias, (node.channels,))
    correction = torch.from_numpy(np.asarray(bias, np.float32).copy()).to(device)
    return Sums(channels, window, weight, correction, 0, 0, _way(channels), form, 1, out)


def _way(channels: Channels) -> int:
    """Tap by tap, all taps as one axis, or without tensor cores."""
    few = channels.group_outputs < BROAD and channels.outputs > channels.group_outputs
    way = DIRECT if few else FLAT if channels.group < DEEP else TAPS
    return int(way.value)


def _form(x: Range) -> tuple[int, int]:
    """How inputs become int8, and in how many digits. Bytes come as uint8, all others as int32."""
    if x.low >= -BYTE and x.high < BYTE:
        return SMALL.value, 1
    if x.low >= 0 and x.high < 2 * BYTE:
        return OFFSET.value, 1
    digits, low, high = 1, x.low, x.high
    while not -BYTE <= low <= high < BYTE:
        digits, low, high = digits + 1, (int(low) + BYTE) >> 8, (int(high) + BYTE) >> 8
    return DIGITS.value, digits


def _laid_out(node: Synapse, shape: Shape) -> tuple[Channels, Window, Shape]:
    out = node.output_shape(shape)
    if isinstance(node, Linear):
        return *_row(node.channels, shape[0], 1), out
    assert isinstance(node, Conv)
    line = len(node.kernel) == 1
    (height, width), (_, kernel_width) = ((1, *v) if line else v for v in (shape[1:], node.kernel))
    stride, step = ((1, *v) if line else v for v in (node.stride, node.dilation))
    pad = (0, *node.padding) if line else node.padding
    channels = Channels(shape[0], shape[0] // node.groups, node.channels, node.channels // node.groups)
    sizes = (height, width, prod(out[1:]), out[-1], prod(node.kernel), kernel_width)
    return channels, Window(*sizes, *stride, *pad, *step), out


def _row(outputs: int, inputs: int, places: int) -> tuple[Channels, Window]:
    """The window of a matrix product; or of no sums, at some places."""
    return Channels(inputs, inputs, outputs, outputs), Window(1, 1, places, 1, 1, 1, 1, 1, 0, 0, 1, 1)


def no_sums(node: LIF, device: str) -> Sums:
    """No sums, in front of neurons."""
    nothing = torch.zeros((0, 0), dtype=torch.int8, device=device)
    laid_out = _row(node.shape[0], 0, node.size // node.shape[0])
    return Sums(*laid_out, nothing, nothing, 0, 0, NONE.value, SMALL.value, 1, node.shape)
