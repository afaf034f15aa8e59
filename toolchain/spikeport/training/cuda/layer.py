"""Neurons on a GPU, with the tdBN before them, through Triton's kernels: `fused` on another processor.

All that is kept for the backward pass is the input. No step waits for the card: statistics, thresholds and widths are
numbers that lie there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikeport.training.cuda.gradient import backward as backward_kernel
from spikeport.training.cuda.kernels import forward as forward_kernel
from spikeport.training.cuda.kernels import step as step_kernel
from spikeport.training.cuda.kernels import through_norm as norm_kernel
from spikeport.training.cuda.statistics import PARTS, merge, moments
from spikeport.training.fused import Norm
from spikeport.training.memory import like, ordered, whole
from spikeport.training.reduce import mean_and_std_of_parts, parts_over_ranks, summed
from spikeport.training.rules import Rules

TILE = 4096  #: values of one tile
LEAST = 256  #: of the smallest: two a thread
PROGRAMS = 512  #: from so many programs on a card is busy
BLOCK = 16  #: steps whose membranes the registers of the backward pass hold
MERGED = 2048  #: values that `merge` adds up together
COLUMNS = 4  #: of a program of `merge` on a card: few, so that many share them


@dataclass(frozen=True)
class View:
    """How a layer [T, B, C, ...] lies: [T, M, channels], in tiles."""

    size: int  #: M
    channels: int
    tile: tuple[int, int]

    @classmethod
    def of(cls, x: Tensor, by_channel: bool, held: int = 1) -> View:
        """Rows of channels where something belongs to each; else one row of all values.

        Tiles are small where registers hold the values of several steps, ``held``, and on a card also where there would
        else be fewer than its processors take at once.
        """
        count = x[0].numel()
        tile = max(LEAST, 2 * TILE // max(2, _power(held)))
        while x.device.type != "cpu" and tile > LEAST and count < tile * PROGRAMS:
            tile //= 2
        channels = x.shape[2] if by_channel else count
        wide = min(128 if by_channel else tile, _power(channels))
        return cls(count // channels, channels, (tile // wide if by_channel else 1, wide))

    def over(self, steps: int) -> View:
        """All steps as one: their rows lie one after the other."""
        return View(self.size * steps, self.channels, self.tile)

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles of channels, and of places."""
        return -(-self.channels // self.tile[1]), -(-self.size // self.tile[0])

    @property
    def grid(self) -> tuple[int]:
        """Programs, as `statistics.tile_of` counts them."""
        across, down = self.tiles
        return (across * down,)

    @property
    def shape(self) -> dict[str, int]:
        """As the kernels are told of it."""
        return {"size": self.size, "channels": self.channels, "bm": self.tile[0], "bc": self.tile[1]}


@dataclass(frozen=True)
class Normed:
    """What tdBN makes of this batch, on the card: the neurons get ``x * scale + shift``."""

    scale: Tensor  #: [C] in the state's type, as the next two
    shift: Tensor
    mean: Tensor
    spread: Tensor  #: [C] float64, 1 / sqrt(var + eps)
    unbiased: Tensor  #: [C] float64, the variance for the running estimate


def _power(value: int) -> int:
    """The power of two from ``value`` on."""
    return 1 << max(value - 1, 0).bit_length()


def apart(x: Tensor) -> int:
    """Values from one step to the next; none where all steps share their memory."""
    return 0 if len(x) == 1 or x.stride(0) == 0 else x[0].numel()


def normed(x: Tensor, weight: Tensor, bias: Tensor, norm: Norm, state: torch.dtype) -> Normed:
    """The statistics of a batch [T, B, C, ...] over all ranks, reduced in float64."""
    view = View.of(x, True).over(len(x))
    part = torch.empty((view.tiles[1], PARTS.value, view.channels), dtype=state, device=x.device)
    moments[view.grid](x, part, **view.shape)
    count, mean, squares = parts_over_ranks(_merged(part))
    spread = torch.rsqrt(squares / count + norm.eps)
    scale = weight.detach().double() * (norm.factor * spread)
    shift = bias.detach().double() - mean * scale
    return Normed(scale.to(state), shift.to(state), mean.to(state), spread, squares / (count - 1))


def _merged(part: Tensor) -> Tensor:
    """Number, mean and sum of squares around it [3, columns] of ``part`` [tiles, 3, columns]."""
    tiles, parts, columns = part.shape
    out = torch.empty((parts, columns), dtype=torch.float64, device=part.device)
    bc = 1 if columns == 1 else COLUMNS if part.device.type != "cpu" else 128
    merge[(-(-columns // bc),)](part, out, tiles, columns, MERGED // bc, bc)
    return out


class Fire(torch.autograd.Function):
    """As `fused._Fire`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        decay: Tensor,
        threshold: Tensor,
        width: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        norm: Norm | None,
        rules: Rules,
    ) -> tuple[Tensor, ...]:
        state = torch.promote_types(x.dtype, torch.float32)  # membranes are never held in half precision
        beta, used, widths = decay.detach().to(state), threshold.to(state).clone(), width.to(state).contiguous()
        x = x if whole(x) else x.contiguous()
        made = None
        if norm is not None:
            assert weight is not None
            assert bias is not None
            made = normed(x, weight, bias, norm, state)
        by_channel = threshold.ndim == 2
        if widths.ndim < used.ndim:
            widths = widths[:, None].expand_as(used).contiguous()
        view = View.of(x, by_channel or norm is not None)
        spikes = like(x, x.dtype)
        if rules.adapt:
            widths = widths.clone()
            _adapting(x, made, spikes, beta, used, widths, view, rules)
        else:
            forward_kernel[view.grid](
                x,
                *_affine(made),
                beta,
                used,
                spikes,
                whole=x[0].numel(),
                x_step=apart(x),
                theta_step=used[0].numel(),
                steps=len(x),
                by_zero=rules.by_zero,
                by_channel=by_channel,
                **view.shape,
            )
        ctx.save_for_backward(x, beta, used, widths)
        ctx.rules, ctx.norm, ctx.normed = rules, norm, made
        nothing = torch.zeros(1, device=x.device)
        mean, var = (nothing, nothing.clone()) if made is None else (made.mean.clone(), made.unbiased)
        ctx.mark_non_differentiable(used, mean, var)
        return spikes, used, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, beta, thresholds, widths = ctx.saved_tensors
        made, norm, rules = ctx.normed, ctx.norm, ctx.rules
        grad = ordered(grad, x)
        g_x, g_decay, g_theta, by_place = _backward(grad, x, made, beta, thresholds, widths, rules)
        g_weight = g_bias = None
        if made is not None:
            sums = by_place.sum(0, dtype=torch.float64)  # [2, C]
            g_bias, g_weight = sums[0].to(beta.dtype), (sums[1] * (norm.factor * made.spread)).to(beta.dtype)
            _through_norm(x, g_x, made, sums)
        return g_x, g_decay, None if rules.adapt else g_theta, None, g_weight, g_bias, None, None


def _affine(made: Normed | None) -> tuple[Tensor | None, Tensor | None]:
    return (None, None) if made is None else (made.scale, made.shift)


def _adapting(
    x: Tensor, made: Normed | None, spikes: Tensor, beta: Tensor, used: Tensor, widths: Tensor, view: View, rules: Rules
) -> None:
    """Fill spikes, and the thresholds and widths that `method.adapt` sets from the membranes of each step."""
    by_channel = used.ndim == 2
    tiles = view.tiles[1] if by_channel else view.grid[0]
    part = torch.empty((tiles, PARTS.value, view.channels if by_channel else 1), dtype=beta.dtype, device=x.device)
    u = like(x[:1], beta.dtype)
    for t in range(len(x)):
        step_kernel[view.grid](
            x[min(t, len(x) - 1)],
            *_affine(made),
            beta,
            None if t == 0 else used[t - 1],
            u,
            spikes[max(t - 1, 0)],
            part,
            by_zero=rules.by_zero,
            by_channel=by_channel,
            **view.shape,
        )
        mean, std = mean_and_std_of_parts(_merged(part))
        shape = used[t].shape
        mean, std = (value.to(beta.dtype).reshape(shape) for value in (mean, std))
        used[t], widths[t] = rules.method.adapt(mean, std, beta)
    last = used[-1] if used.ndim == 1 else used[-1].reshape(-1, *(1,) * (x.ndim - 3))
    spikes[-1] = u[0] >= last


def _backward(
    grad: Tensor, x: Tensor, made: Normed | None, beta: Tensor, thresholds: Tensor, widths: Tensor, rules: Rules
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of what the neurons get, of the decay, of the thresholds; sums of tiles [tiles, 2, C] for tdBN's."""
    by_channel, state, device = thresholds.ndim == 2, beta.dtype, x.device
    block = min(len(x), BLOCK)
    view = View.of(x, by_channel or made is not None, block)
    across, down = view.tiles
    columns, blocks = view.channels if by_channel else 1, -(-len(x) // block)
    out = like(x, grad.dtype)
    starts = torch.empty((blocks, x[0].numel()), dtype=state, device=device) if blocks > 1 else None
    by_theta = torch.empty((down if by_channel else across * down, len(x), columns), dtype=state, device=device)
    by_decay = torch.empty((down * across,), dtype=state, device=device)
    by_place = torch.empty((down, 2, view.channels) if made else (0,), dtype=state, device=device)
    backward_kernel[view.grid](
        grad,
        x,
        *_affine(made),
        None if made is None else made.mean,
        beta,
        thresholds,
        widths,
        starts,
        out,
        by_theta,
        by_decay,
        by_place,
        whole=x[0].numel(),
        grad_step=apart(grad),
        x_step=apart(x),
        theta_step=thresholds[0].numel(),
        columns=columns,
        steps=len(x),
        block=block,
        by_zero=rules.by_zero,
        detached=rules.detach_reset,
        by_channel=by_channel,
        **view.shape,
    )
    g_theta = by_theta.sum(0, dtype=torch.float64).to(state).reshape(thresholds.shape)
    return out, by_decay.sum(dtype=torch.float64).to(state), g_theta, by_place


def _through_norm(x: Tensor, g: Tensor, made: Normed, sums: Tensor) -> None:
    """As `fused._through_norm`: turn ``g`` into the gradient of ``x``. In place."""
    view = View.of(x, True)
    number = torch.full_like(sums[:1], x.numel() // view.channels)
    plain, crossed, count = summed(torch.cat([sums, number]))
    scale, state = made.scale.double(), made.scale.dtype
    slope, offset = -scale * made.spread**2 * crossed / count, -scale * plain / count
    every = view.over(len(x))
    norm_kernel[every.grid](x, g, made.mean, made.scale, slope.to(state), offset.to(state), **every.shape)
