"""Neurons on the CPU, with the tdBN before them, through the compiled loops of `kernels`.

`dynamics` says what the neurons compute, `norm` what tdBN computes. Here the normalised current is never written: the
loops normalise what they read, forward and backward, and the backward pass computes the membranes again. All that is
kept for it is the input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikeport import loops
from spikeport.threads import over_parts
from spikeport.training.memory import flat, like, ordered, whole
from spikeport.training.reduce import mean_and_std_of_sums, over_ranks, ranks
from spikeport.training.rows import Rows
from spikeport.training.rules import Rules

Array = NDArray[Any]

FLOATS = (torch.float32, torch.float64, torch.bfloat16)
#: Numbers that overflow are infinite without a word, as torch has them; the loop ends a training that diverges.
QUIET = np.errstate(over="ignore", invalid="ignore")


def applies(x: Tensor, threshold: Tensor, rules: Rules) -> bool:
    """Whether the compiled loops can take this layer: on the CPU, one threshold a step, rectangular surrogate."""
    return (
        x.device.type == "cpu"
        and x.dtype in FLOATS
        and threshold.ndim == 1
        and rules.compiled
        and x.numel() > 0
        and not torch.compiler.is_compiling()  # before what its tracer does not know
        and loops.wanted()
        and type(x) in (Tensor, torch.nn.Parameter)
    )


@cache
def _kernels() -> Any:
    """The loops, when the first of them is needed: most that reads a checkpoint needs none."""
    from spikeport.training import kernels

    return kernels


@dataclass(frozen=True, slots=True)
class Norm:
    """The numbers of tdBN: ``weight * factor * (x - mean) / sqrt(var + eps) + bias``."""

    factor: float
    eps: float


def fire(x: Tensor, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """As `dynamics.fire`."""
    spikes, used, *_ = _Fire.apply(x, decay, threshold, width, None, None, None, rules)  # type: ignore[no-untyped-call]
    return spikes, used


def normalise_and_fire(
    x: Tensor, weight: Tensor, bias: Tensor, norm: Norm, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """tdBN with the statistics of this batch, and the neurons behind it.

    ``x`` [T, B, C, ...], each step in `memory.rows_of_channels`, all may share theirs; ``weight`` and ``bias`` [C]; the
    rest as in `dynamics.fire`. Returns spikes, thresholds, and mean and unbiased variance of each channel, over all
    ranks.
    """
    spikes, used, mean, var = _Fire.apply(x, decay, threshold, width, weight, bias, norm, rules)  # type: ignore[no-untyped-call]
    return spikes, used, mean, var


class _Fire(torch.autograd.Function):
    @staticmethod
    @QUIET
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
        beta, used, widths = decay.to(state), threshold.to(state).clone(), width.to(state)
        x = x if whole(x) else x.contiguous()
        mean, unbiased, spread, start = np.zeros(1), np.ones(1), np.ones(1), (0.0, 0.0)
        if norm is None:
            rows = Rows.of(1.0, 0.0, mean, beta.numpy().dtype)
        if norm is not None or rules.adapt:
            count, means, squares = moments(x if norm else x[:1], x.shape[2] if norm else 1)
            if norm is not None:
                assert weight is not None
                assert bias is not None
                mean = means.mean(0)
                var = (squares + (means - mean) ** 2).mean(0)
                unbiased = var * (count * len(x) / (count * len(x) - 1))
                spread = 1 / np.sqrt(var + norm.eps)
                scale = weight.detach().numpy() * (norm.factor * spread)
                rows = Rows.of(scale, bias.detach().numpy() - mean * scale, mean, beta.numpy().dtype)
            start = first_membranes(rows, count, means[0], squares[0])
        spikes = like(x, x.dtype)
        if rules.adapt:
            used, widths = adapting(x, rows, spikes, beta, start, rules)
        else:
            by_schedule(x, rows, spikes, beta, used, rules)
        ctx.save_for_backward(x, beta, used, widths)
        ctx.rules, ctx.norm, ctx.rows, ctx.spread = rules, norm, rows, spread
        statistics = torch.from_numpy(mean), torch.from_numpy(unbiased)
        ctx.mark_non_differentiable(used, *statistics)
        return spikes, used, *statistics

    @staticmethod
    @once_differentiable
    @QUIET
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, beta, thresholds, widths = ctx.saved_tensors
        rules, norm, rows = ctx.rules, ctx.norm, ctx.rows
        normed = norm is not None
        g_x, g_schedule, by_channel = backward_of(grad, x, rows, beta, thresholds, widths, rules, normed=normed)
        g_weight = g_bias = None
        if norm is not None:
            g_bias = torch.from_numpy(by_channel[0, 0]).to(beta.dtype)
            g_weight = torch.from_numpy(by_channel[0, 1] * (norm.factor * ctx.spread)).to(beta.dtype)
            _through_norm(g_x, x, rows, by_channel[0], ctx.spread)
        return g_x, g_schedule[0], None if rules.adapt else g_schedule[1:], None, g_weight, g_bias, None, None


def moments(x: Tensor, channels: int) -> tuple[float, Array, Array]:
    """Values in a step of a channel; mean and biased variance of each step and channel [T, C], over all ranks."""
    a = flat(x)
    state = torch.promote_types(x.dtype, torch.float32)
    near = x.detach().as_strided((channels,), (1,)).to(state).numpy()  # values of these channels, near their mean
    rows = Rows.of(1.0, 0.0, near, near.dtype)

    def part(lo: int, hi: int) -> Array:
        sums = rows.sums(a.shape[0], 2)
        _kernels().moments(a, rows.mean, sums, lo, hi)
        return sums

    totals = rows.by_channel(over_parts(part, a.shape[1], step=rows.block))
    count, centre = a.shape[1] / channels, near.astype(np.float64)
    if ranks() > 1:
        total = totals[:, 0] + count * centre
        totals = np.stack([total, totals[:, 1] + centre * (totals[:, 0] + total)], 1)
        totals, count = over_ranks(totals, count)
        centre = np.zeros_like(centre)
    apart = totals[:, 0] / count
    return count, apart + centre, np.maximum(totals[:, 1] / count - apart**2, 0)


def first_membranes(rows: Rows, count: float, means: Array, var: Array) -> tuple[float, float]:
    """Mean and unbiased standard deviation of the membranes of the first step, from those of each channel's input."""
    scale, shift = (row[0, : rows.channels].astype(np.float64) for row in (rows.scale, rows.shift))
    centres = scale * means + shift
    mean = centres.mean()
    total = count * (scale**2 * var + (centres - mean) ** 2).sum()
    return float(mean), math.sqrt(total / max(count * rows.channels - 1, 1))


def by_schedule(x: Tensor, rows: Rows, spikes: Tensor, beta: Tensor, thresholds: Tensor, rules: Rules) -> None:
    """Spikes for given thresholds [T]."""
    a, s = flat(x), flat(spikes)
    decay, theta = beta.numpy()[()], thresholds.numpy()
    over_parts(
        lambda lo, hi: _kernels().forward(a, rows.scale, rows.shift, s, decay, theta, rules.by_zero, lo, hi),
        a.shape[1],
        step=rows.block,
    )


def adapting(
    x: Tensor, rows: Rows, spikes: Tensor, beta: Tensor, start: tuple[float, float], rules: Rules
) -> tuple[Tensor, Tensor]:
    """Spikes, and the thresholds and widths that `method.adapt` set, [T] each; ``start``: mean and std of step 0."""
    a, s = flat(x), flat(spikes)
    u = np.empty(a.shape[1], rows.scale.dtype)
    decay = beta.numpy()[()]
    schedule = torch.empty(2, len(s), dtype=beta.dtype)
    theta, width = schedule.numpy()
    firsts = x.detach().as_strided((len(s),), (x.stride(0) if len(s) > 1 else 1,)).to(beta.dtype).numpy()
    currents = firsts * rows.scale[:, 0] + rows.shift[:, 0]  # [T], what the first neuron gets
    told, moments = torch.empty(2, dtype=beta.dtype), start
    mean, std = told
    for t in range(len(s)):
        if t > 0:
            below, past = theta[t - 1], currents[0] if t == 1 else u[0]
            left = past if past < below else past * 0 if rules.by_zero else past - below
            near = left * decay + currents[t]  # a membrane of this step: not far from their mean

            def step(lo: int, hi: int, t: int = t, below: Any = below, near: Any = near) -> Any:
                return _kernels().step(a, rows.scale, rows.shift, u, s, decay, below, near, rules.by_zero, t, lo, hi)

            total, squares = map(sum, zip(*over_parts(step, a.shape[1], step=rows.block), strict=True))
            moments = mean_and_std_of_sums(a.shape[1], float(total), float(squares), float(near))
        told.numpy()[:] = moments
        theta[t], width[t] = map(float, rules.method.adapt(mean, std, beta))
    if len(s) == 1:
        by_schedule(x, rows, spikes, beta, schedule[0], rules)
    else:
        over_parts(lambda lo, hi: _kernels().last(u, s, theta[-1], lo, hi), a.shape[1])
    return schedule[0], schedule[1]


def backward_of(
    grad: Tensor, x: Tensor, rows: Rows, beta: Tensor, thresholds: Tensor, widths: Tensor, rules: Rules, *, normed: bool
) -> tuple[Tensor, Tensor, Array]:
    """Gradients of what the neurons get; of the decay and the thresholds [1 + T]; sums [T or 1, 2, C]."""
    grad = ordered(grad, x)
    g_x = like(x, grad.dtype)
    g, a, out = flat(grad), flat(x), flat(g_x)
    decay, theta, width = beta.numpy()[()], thresholds.numpy(), widths.numpy()

    def part(lo: int, hi: int) -> tuple[Array, Array]:
        sums, by_place = np.zeros(1 + len(theta)), rows.sums(len(rows.scale), 2)
        _kernels().backward(
            g,
            a,
            rows.scale,
            rows.shift,
            rows.mean,
            out,
            decay,
            theta,
            width,
            rules.by_zero,
            rules.detach_reset,
            normed,
            sums,
            by_place,
            lo,
            hi,
        )
        return sums, by_place

    parts = over_parts(part, a.shape[1], step=rows.block)
    total = torch.from_numpy(np.sum([sums for sums, _ in parts], axis=0)).to(beta.dtype)
    return g_x, total, rows.by_channel([by_place for _, by_place in parts])


def _through_norm(g: Tensor, x: Tensor, rows: Rows, by_channel: Array, spread: Array) -> None:
    """Turn ``g``, the gradient of what the neurons get, into that of ``x``. In place.

    scale * (g - mean(g) - z mean(g z)),  z = (x - mean) / sqrt(var + eps), means over all values of a channel and rank.
    """
    sums, count = over_ranks(by_channel, x.numel() / rows.channels)
    plain, crossed = sums / count
    scale = rows.scale[0, : rows.channels].astype(np.float64)
    through(g, x, rows, -scale * spread**2 * crossed, -scale * plain)


def through(g: Tensor, x: Tensor, rows: Rows, slope: Array, offset: Array) -> None:
    """In place: ``g`` becomes ``scale * g + slope * (x - mean) + offset``, [C] or [T, C] each."""
    own = Rows.of(slope, offset, rows.mean[: rows.channels], rows.scale.dtype)
    a, out = flat(x), flat(g)
    over_parts(
        lambda lo, hi: _kernels().through_norm(a, rows.mean, out, rows.scale, own.scale, own.shift, lo, hi),
        a.shape[1],
        step=rows.block,
    )
