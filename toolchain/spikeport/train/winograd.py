"""3x3 convolutions for training in float32 on the CPU with 2.25 times fewer products: Winograd's F(2x2, 3x3).

Four outputs of a 3x3 kernel need 36 products, or 16 between the transformed 4x4 inputs and the transformed kernel; the
sums over channels then are 16 products of matrices, tiles x channels. The gradient of the input is such a convolution
with the kernel turned by half; that of the kernel is the adjoint, 16 products summed over tiles. Source: Lavin & Gray,
"Fast Algorithms for Convolutional Neural Networks", CVPR 2016, arXiv 1509.09308, eq. 8 and section 4.1. Only additions
and halves are in the transforms, so that rounding stays that of a direct convolution; F(4x4, 3x3) would lose digits.

Nothing is kept for the backward pass but the input and the kernel, as torch does. The order of all
sums is the same for any number of threads. Evaluation, without gradients, stays with torch: bounds on its rounding are
for sums taken term by term. ``SPIKEPORT_KERNELS=plain`` in the environment leaves all to torch.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikeport.threads import over_parts
from spikeport.train import tiles
from spikeport.train.lanes import LANES, PANELS, ROWS

LEAST = 1 << 28  #: products from which on it repays
SAVED = 1.7  #: times fewer products than a direct convolution that it repays from; 2.25 where maps have even sides
BLOCK = 72  #: tiles taken at once: what they become stays in the second cache, and no power of two parts its places


def applies(x: Tensor, layer: nn.Conv2d) -> bool:
    """Whether ``layer`` trains on ``x`` [N, C, H, W] here: `possible`, and measured to be faster than torch."""
    return (
        torch.is_grad_enabled()
        and (x.requires_grad or layer.weight.requires_grad)
        and not torch.compiler.is_compiling()
        and os.environ.get("SPIKEPORT_KERNELS") != "plain"
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and x.dtype == torch.float32
        and possible(x, layer)
        and _repays(_Plan.of(x, layer.out_channels, int(layer.padding[0])), layer)
    )


def _repays(plan: _Plan, layer: nn.Conv2d) -> bool:
    """Whether tiles that reach over the border, and transforms, leave enough of what is saved; from shapes alone."""
    channels = layer.in_channels * layer.out_channels
    places = plan.tiles // math.prod(plan.grid) * math.prod(plan.out[:2])
    return 16 * plan.tiles * channels >= LEAST and 9 * places >= SAVED * 16 * plan.tiles


def possible(x: Tensor, layer: nn.Conv2d) -> bool:
    """Whether `convolved` computes ``layer`` on ``x`` [N, C, H, W], and would copy nothing for it."""
    unit = PANELS * LANES // x.element_size()
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == layer.dilation == (1, 1)
        and layer.padding in ((0, 0), (1, 1))
        and layer.padding_mode == "zeros"
        and layer.groups == 1
        and layer.bias is None
        and layer.in_channels % unit == layer.out_channels % unit == 0
        and x.dtype == layer.weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and x.device.type == layer.weight.device.type == "cpu"
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.numel() > 0
        and min(x.shape[-2:]) + 2 * int(layer.padding[0]) >= 3
        and not torch.is_autocast_enabled("cpu")
        and type(x) in (Tensor, nn.Parameter)
    )


def convolved(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """The convolution of ``x`` [N, C, H, W] with ``weight`` [K, C, 3, 3], stride 1, ``padding`` zeros on each side.

    float32 or float64, C and K multiples of `PANELS` * `LANES` bytes.
    """
    y: Tensor = _Convolve.apply(x, weight, padding)  # type: ignore[no-untyped-call]
    return y


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return _convolve(_last(x), _transformed(_turned(weight), rotated=False), len(weight), padding)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        padding, (wants_x, wants_weight, _) = ctx.padding, ctx.needs_input_grad
        if torch.is_grad_enabled():  # gradients of gradients: torch's operation has them
            one, none, by = [1, 1], [0, 0], [padding, padding]
            wanted = [wants_x, wants_weight, False]
            both = torch.ops.aten.convolution_backward(grad, x, weight, None, one, by, one, False, none, 1, wanted)
            return both[0], both[1], None
        grad, g_x, g_weight = _last(grad), None, None
        if wants_x:
            taps = _last(weight).permute(0, 2, 3, 1).flatten(1, 2)
            g_x = _convolve(grad, _transformed(taps, rotated=True), x.shape[1], 2 - padding)
        if wants_weight:
            g_weight = _correlate(_last(x), grad, padding)
        return g_x, g_weight, None


def _last(x: Tensor) -> Tensor:
    """With channels side by side in memory; a copy where they are not."""
    return x.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the loops need to know of a convolution: rows, columns and bytes of a pixel, and the tiles of a map."""

    size: tuple[int, int, int]
    out: tuple[int, int, int]
    grid: tuple[int, int]
    tiles: int

    @classmethod
    def of(cls, x: Tensor, channels: int, padding: int) -> _Plan:
        """For ``x`` [N, C, H, W] and ``channels`` that leave."""
        n, _, height, width = x.shape
        down, across = height + 2 * padding - 2, width + 2 * padding - 2
        grid = (down + 1) // 2, (across + 1) // 2
        return cls((height, width, x.shape[1] * x.element_size()), (down, across, channels * x.element_size()), grid,
                   n * grid[0] * grid[1])  # fmt: skip

    def rooms(self, like: Tensor, *channels: int) -> list[tuple[Any, ...]]:
        """For each thread: room for 16 * `BLOCK` rows of each of ``channels``, and two rows, the first zeros.

        Made by the caller's thread: the system's allocator keeps apart what each thread frees.
        """
        return [
            (*(torch.empty(16 * BLOCK * some, dtype=like.dtype).numpy() for some in channels),
             torch.zeros(2, max(like.shape[1], self.out[2] // like.element_size()), dtype=like.dtype).numpy())
            for _ in range(torch.get_num_threads())
        ]  # fmt: skip


def _turned(weight: Tensor) -> Tensor:
    """``weight`` [K, C, 3, 3] as [C, 9, K], K side by side."""
    last = weight.is_contiguous(memory_format=torch.channels_last)
    flat = (weight.permute(0, 2, 3, 1) if last else weight.contiguous()).detach().flatten(1)
    turned = torch.empty(flat.shape[1], len(flat), dtype=flat.dtype)
    matrix, out = flat.numpy(), turned.numpy()
    over_parts(
        lambda begin, end: tiles.transpose(matrix, out, begin, end), len(out), step=tiles.SQUARE, weight=len(weight)
    )
    return turned.view(9, -1, len(weight)).transpose(0, 1) if last else turned.view(-1, 9, len(weight))


def _transformed(taps: Tensor, *, rotated: bool) -> Any:
    """``taps`` [rows, 9, columns], columns side by side, as 16 matrices of panels (see `tiles.kernel_in`)."""
    rows, _, columns = taps.shape
    kernel = torch.empty(16, rows * columns, dtype=taps.dtype).numpy()
    strides = taps.stride(0) * taps.element_size(), taps.stride(1) * taps.element_size()
    panels = columns * taps.element_size() // LANES

    def part(begin: int, end: int) -> None:
        tiles.kernel_in(taps.data_ptr(), kernel, strides, rotated, panels, begin, end)

    over_parts(part, rows, step=1, weight=16 * columns)
    return kernel


def _convolve(x: Tensor, kernel: Any, channels: int, padding: int) -> Tensor:
    """[N, channels, ...] of ``x`` [N, C, H, W] with a transformed ``kernel``; both channels-last."""
    plan = _Plan.of(x, channels, padding)
    y = torch.empty(len(x), channels, *plan.out[:2], dtype=x.dtype, memory_format=torch.channels_last)
    flat, rooms = kernel.reshape(-1), plan.rooms(x, x.shape[1], channels)

    def part(begin: int, end: int) -> None:
        v, m, spare = rooms.pop()
        tiles.convolve(x.data_ptr(), flat, y.data_ptr(), plan.size, plan.out, plan.grid, padding, v, m, spare, BLOCK,
                       begin, end)  # fmt: skip

    over_parts(part, plan.tiles, step=ROWS, weight=16 * channels)
    return y


def _correlate(x: Tensor, grad: Tensor, padding: int) -> Tensor:
    """The gradient [K, C, 3, 3] of a kernel, of ``grad`` [N, K, ...] and ``x`` [N, C, H, W]; both channels-last."""
    channels, leaving, lanes = x.shape[1], grad.shape[1], LANES // x.element_size()
    plan = _Plan.of(x, leaving, padding)
    pairs, shares = channels // (lanes * PANELS), leaving // lanes
    splits = math.gcd(shares, -(-torch.get_num_threads() // pairs))
    rooms = plan.rooms(x, channels, leaving)
    sums = torch.empty(16, channels * leaving, dtype=x.dtype).numpy()

    def part(begin: int, end: int) -> None:
        v, z, spare = rooms.pop()
        for entering, some in _shares(begin, end, splits, shares):
            tiles.correlate(x.data_ptr(), grad.data_ptr(), sums.reshape(-1), plan.size, plan.out, plan.grid, padding,
                            v, z, spare, BLOCK, plan.tiles, entering, some)  # fmt: skip

    over_parts(part, pairs * splits, step=1, weight=plan.tiles * leaving)
    g = torch.empty(leaving, channels, 3, 3, dtype=x.dtype, memory_format=torch.channels_last)
    strides = 9 * channels * g.element_size(), channels * g.element_size()

    def rows(begin: int, end: int) -> None:
        tiles.kernel_out(sums, g.data_ptr(), strides, channels // lanes, begin, end)

    over_parts(rows, leaving, step=1, weight=16 * channels)
    return g


def _shares(begin: int, end: int, splits: int, panels: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Panels that enter and that leave, (begin, end) each: those of the shares begin ... end - 1 of all sums.

    A share is `PANELS` panels that enter with one of ``splits`` parts of the ``panels`` that leave.
    """
    if splits == 1:
        return [((begin * PANELS, end * PANELS), (0, panels))]
    each = panels // splits
    return [
        ((share // splits * PANELS, (share // splits + 1) * PANELS),
         (share % splits * each, (share % splits + 1) * each)) for share in range(begin, end)
    ]  # fmt: skip
