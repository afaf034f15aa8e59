"""What the inputs of a synapse reach, counted on the card: one pass over the bytes that its kernel reads nine times.

A program stays with a few places, of which it adds up the samples; the weights that they reach are the same for all of
these, so they are multiplied once, at the end.
"""

from __future__ import annotations

import torch
import triton.language as tl
from torch import Tensor
from triton import jit

from spikeport.engine.cuda.sums import rows
from spikeport.engine.cuda.tiles import interpreted
from spikeport.graph import Array

TILE = (4, 16, 64)  #: places, samples and channels that a program reads at once
INTERPRETED = (64, 16, 64)
SAMPLES = 256  #: of a program


@jit
def tally(
    x,
    kinds,
    table,
    counts,  # [T, B, places, channels], int32 [places], int64 [3, kinds, channels], int64 [T, 3, 3]
    batch,
    places,
    channels,
    rows_of_table,
    whole,
    samples,
    steps,
    spikes: tl.constexpr,
    bp: tl.constexpr,
    bs: tl.constexpr,
    bc: tl.constexpr,
):
    """One step of some places, samples and channels: `cpu.reached`. ``spikes``: there are zeros and ones only.

    Programs lie along one axis, since the others end at 65,535, and a long run has more steps.
    """
    tiles, across = tl.cdiv(places, bp), tl.cdiv(channels, bc)
    c = tl.program_id(0) % across * bc + tl.arange(0, bc)
    block = tl.program_id(0) // across
    p = block % tiles * bp + tl.arange(0, bp)
    t = (block // tiles % steps).to(tl.int64)
    begin = block // tiles // steps * samples
    end = tl.minimum(begin + samples, batch)
    known = (p < places)[:, None] & (c < channels)[None, :]
    at = x + t * whole + (p[:, None] * channels + c[None, :])[:, None, :]
    nonzero = tl.zeros((bp, bs, bc), dtype=tl.int32)
    several = nonzero
    amounts = tl.zeros((bp, bs, bc), dtype=tl.int64)
    for first in range(begin, end, bs):
        s = first + tl.arange(0, bs)
        mask = known[:, None, :] & (s < end)[None, :, None]
        value = tl.load(at + (s.to(tl.int64) * places * channels)[None, :, None], mask=mask, other=0).to(tl.int32)
        nonzero += (value != 0).to(tl.int32)
        if not spikes:
            amount = tl.where(value < 0, -value, value)
            several += (amount > 1).to(tl.int32)
            amounts += amount.to(tl.int64)
    one = tl.sum(nonzero, 1).to(tl.int64)
    kind = tl.load(kinds + p, mask=p < places, other=0)
    for column in tl.static_range(3):
        of = (column * rows_of_table + kind)[:, None] * channels + c[None, :]
        weight = tl.load(table + of, mask=known, other=0)
        out = counts + t * 9 + column
        tl.atomic_add(out, tl.sum(one * weight), sem="relaxed")
        if not spikes:
            tl.atomic_add(out + 3, tl.sum(tl.sum(several, 1).to(tl.int64) * weight), sem="relaxed")
            tl.atomic_add(out + 6, tl.sum(tl.sum(amounts, 1) * weight), sem="relaxed")


def reached(x: Tensor, kinds: Tensor, table: Tensor, *, spikes: bool) -> Tensor:
    """Of whole numbers ``x`` [T, B, *shape] below 2**31 the counts of `cpu.reached`, [3, T, 3] on the card."""
    values = rows(x)
    steps, batch, channels, places = len(values), values.shape[1], values.shape[-1], len(kinds)
    bp, bs, bc = INTERPRETED if interpreted() else TILE
    counts = torch.zeros((steps, 3, 3), dtype=torch.int64, device=x.device)
    programs = -(-places // bp) * -(-batch // SAMPLES) * -(-channels // bc) * steps
    tally[(programs,)](
        values,
        kinds,
        table,
        counts,
        batch,
        places,
        channels,
        table.shape[1],
        values[0].numel(),
        SAMPLES,
        steps,
        spikes,
        bp,
        bs,
        bc,
    )
    counts = counts.transpose(0, 1)
    return torch.stack([counts[0], counts[1], counts[0]]) if spikes else counts


def laid_out(kinds: Array, table: Array, device: str) -> tuple[Tensor, Tensor]:
    """A synapse's kinds of places and its table, as `reached` takes them."""
    return torch.from_numpy(kinds).to(device, torch.int32), torch.from_numpy(table).to(device)
