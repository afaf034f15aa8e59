"""Sums over windows, one pass over the map."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
import triton.language as tl
from torch import Tensor
from triton import jit

from spikeport.engine.cuda.sums import rows, unflat
from spikeport.engine.cuda.tiles import interpreted
from spikeport.graph import Pool

BLOCK = 1024
INTERPRETED = 1 << 14


@jit
def pool(
    x,
    out,  # [maps, height, width, channels], [maps, places, channels]
    size,
    height,
    width,
    channels,
    places,
    out_width,
    kernel_y,
    kernel_x,
    stride_y,
    stride_x,
    pad_y,
    pad_x,
    block: tl.constexpr,
):
    """``size`` values of ``out``, whose type holds every sum."""
    i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    channel, place, image = i % channels, i // channels % places, i // channels // places
    top, left = place // out_width * stride_y - pad_y, place % out_width * stride_x - pad_x
    total = tl.zeros((block,), dtype=out.dtype.element_ty)
    for window in range(kernel_y * kernel_x):
        row, column = top + window // kernel_x, left + window % kernel_x
        inside = (i < size) & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        at = ((image * height + row) * width + column) * channels + channel
        total += tl.load(x + at, mask=inside, other=0).to(out.dtype.element_ty)
    tl.store(out + i, total, mask=i < size)


def run(node: Pool, x: Tensor, dtype: torch.dtype) -> Tensor:
    """``x`` [T, B, C, *size] summed over windows, in ``dtype``."""
    values, shape = rows(x), node.output_shape(tuple(x.shape[2:]))
    line = len(node.kernel) == 1
    pairs: list[Any] = []
    for name, fill in (("kernel", 1), ("stride", 1), ("padding", 0)):
        value = getattr(node, name)
        pairs += (fill, *value) if line else value
    height, width = (1, x.shape[3]) if line else x.shape[3:]
    places = prod(shape[1:])
    out = torch.empty((*x.shape[:2], places, shape[0]), dtype=dtype, device=x.device)
    block = INTERPRETED if interpreted() else BLOCK
    pool[(-(-out.numel() // block),)](
        values, out, out.numel(), height, width, shape[0], places, shape[-1], *pairs, block
    )
    return unflat(out, (*x.shape[:2], *shape))
