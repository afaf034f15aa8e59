"""What the inputs of a synapse reach, counted on the card: one pass over the bytes that its kernel reads nine times."""

from __future__ import annotations

import torch
import triton.language as tl
from torch import Tensor
from triton import jit

from spikeport.engine.cuda.sums import rows
from spikeport.engine.cuda.tiles import interpreted
from spikeport.graph import Array

TILE = (32, 64)  #: places and channels of a program
INTERPRETED = (4096, 64)


@jit
def tally(
    x,
    kinds,
    table,
    counts,  # [T, M, channels], int32 [places], int64 [3, kinds, channels], int64 [T, 3, 3]
    size,
    places,
    channels,
    rows_of_table,
    whole,
    spikes: tl.constexpr,
    bm: tl.constexpr,
    bc: tl.constexpr,
):
    """Of step ``program_id(2)``, of M = ``size`` places: `cpu.reached`. ``spikes``: there are zeros and ones only."""
    m = tl.program_id(0) * bm + tl.arange(0, bm)
    c = tl.program_id(1) * bc + tl.arange(0, bc)
    t = tl.program_id(2).to(tl.int64)
    mask = (m < size)[:, None] & (c < channels)[None, :]
    value = tl.load(x + t * whole + m.to(tl.int64)[:, None] * channels + c[None, :], mask=mask, other=0).to(tl.int64)
    amount = tl.where(value < 0, -value, value)
    one = (amount != 0).to(tl.int64)
    several = ((amount != 0) & (amount != 1)).to(tl.int64)
    kind = tl.load(kinds + m % places, mask=m < size, other=0)
    for column in tl.static_range(3):
        at = (column * rows_of_table + kind)[:, None] * channels + c[None, :]
        weight = tl.load(table + at, mask=mask, other=0)
        out = counts + t * 9 + column
        tl.atomic_add(out, tl.sum(one * weight))
        if not spikes:
            tl.atomic_add(out + 3, tl.sum(several * weight))
            tl.atomic_add(out + 6, tl.sum(amount * weight))


def reached(x: Tensor, kinds: Tensor, table: Tensor, *, spikes: bool) -> Tensor:
    """Of whole numbers ``x`` [T, B, *shape] the counts of `cpu.reached`, [3, T, 3] on the card."""
    values = rows(x)
    steps, channels = len(values), values.shape[-1]
    size = values[0].numel() // channels
    bm, bc = INTERPRETED if interpreted() else TILE
    counts = torch.zeros((steps, 3, 3), dtype=torch.int64, device=x.device)
    tally[(-(-size // bm), -(-channels // bc), steps)](
        values, kinds, table, counts, size, len(kinds), channels, table.shape[1], values[0].numel(), spikes, bm, bc
    )
    counts = counts.transpose(0, 1)
    return torch.stack([counts[0], counts[1], counts[0]]) if spikes else counts


def laid_out(kinds: Array, table: Array, device: str) -> tuple[Tensor, Tensor]:
    """A synapse's kinds of places and its table, as `reached` takes them."""
    return torch.from_numpy(kinds).to(device, torch.int32), torch.from_numpy(table).to(device)
