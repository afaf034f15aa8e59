"""The membrane over all timesteps, forward and backward, as one operation of autograd.

Forward, for t = 0 ... T-1 with v[-1] = 0::

    u[t] = decay * v[t-1] + x[t]          s[t] = u[t] >= threshold[t]
    v[t] = u[t] * (1 - s[t])              reset "zero"
           u[t] - threshold[t] * s[t]     reset "subtract"

Backward, with h[t] = the surrogate slope at u[t] - threshold[t] and g the gradient of what the name says::

    g_v[t] = decay * g_u[t+1]
    g_u[t] = g_s[t] * h[t] + g_v[t] * dv/du        dv/du = 1 - s - u h  (zero),  1 - threshold h  (subtract);
                                                   without the terms in h where the reset is detached
    g_x[t] = g_u[t]     g_decay = sum_t g_u[t] * v[t-1]

Source: MPD-AGL neuron.py:14-66 and DS-ATGO eq. 1-3; the reset is part of the gradient unless it is detached.
Only u is kept for the backward pass: spikes and v follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikeport.train import fused
from spikeport.train.methods import Method
from spikeport.train.reduce import mean_and_std
from spikeport.train.surrogates import slope

Reset = Literal["zero", "subtract"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a neuron layer does apart from its numbers."""

    method: Method
    reset: Reset = "zero"
    detach_reset: bool = False
    adapt: bool = False  #: thresholds and widths from the membrane of this batch


def fire(x: Tensor, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """Spikes [T, B, *neurons] (0 or 1, dtype of ``x``) and the thresholds used, [T] or [T, C] (no gradient).

    ``x`` [T, B, *neurons], ``decay`` [], ``threshold`` [T] or [T, C], ``width`` [T] or [T, C]; where `rules.adapt`,
    the last two only give the shape, and each step's are computed from the membrane of the batch.
    """
    spikes, used = _Fire.apply(x, decay, threshold, width, rules)  # type: ignore[no-untyped-call]
    return spikes, used


def spread(schedule: Tensor, like: Tensor) -> Tensor:
    """[] or [C] so that it broadcasts over [B, C, ...]."""
    return schedule if schedule.ndim == 0 else schedule.reshape(1, -1, *(1,) * (like.ndim - 2))


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules
    ) -> tuple[Tensor, Tensor]:
        state = torch.promote_types(x.dtype, torch.float32)  # membranes are never held in half precision
        zero, shape = rules.reset == "zero", rules.method.shape
        ctx.rules = rules
        if fused.applies(x, threshold, shape):
            beta, given, used = decay.to(state), fused.dense(x), threshold.to(state)
            wide = width.to(state)
            if rules.adapt:
                spikes, u, used, wide = fused.forward_adapting(given, beta, used, rules.method, zero)
            else:
                spikes, u = fused.forward(given, beta, used, zero, any(ctx.needs_input_grad))
                used = used.clone()
            ctx.save_for_backward(u, beta, used, wide)
            ctx.mark_non_differentiable(used)
            return spikes, used
        thresholds, widths = list(threshold.to(state)), list(width.to(state))
        beta = decay.to(state)
        u = torch.empty_like(x, dtype=state)
        spikes = torch.empty_like(x)
        v: Tensor | None = None
        for t in range(x.shape[0]):
            now = x[t].to(state) if v is None else torch.addcmul(x[t].to(state), v, beta)
            if rules.adapt:
                mean, std = mean_and_std(now, per_channel=threshold.ndim == 2)
                thresholds[t], widths[t] = rules.method.adapt(mean, std)
            theta = spread(thresholds[t], now)
            fired = now >= theta
            u[t] = now
            spikes[t] = fired
            v = now.masked_fill(fired, 0) if rules.reset == "zero" else now - theta * fired
        used = torch.stack(thresholds)
        ctx.save_for_backward(u, beta, used, torch.stack(widths))
        ctx.rules = rules
        ctx.mark_non_differentiable(used)
        return spikes, used

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        u, beta, thresholds, widths = ctx.saved_tensors
        rules: Rules = ctx.rules
        zero = rules.reset == "zero"
        if fused.applies(u, thresholds, rules.method.shape):
            g_x, g_decay, g_theta = fused.backward(grad, u, beta, thresholds, widths, zero, rules.detach_reset)
            return g_x, g_decay, None if rules.adapt else g_theta, None, None
        g_x = torch.empty_like(u, dtype=grad.dtype)
        g_decay = torch.zeros_like(beta)
        g_theta = torch.zeros_like(thresholds)
        carried: Tensor | None = None  # decay * g_u[t+1]
        for t in reversed(range(u.shape[0])):
            theta = spread(thresholds[t], u[t])
            h = slope(u[t] - theta, spread(widths[t], u[t]), rules.method.shape)
            fired = u[t] >= theta
            g_spike = grad[t].to(u.dtype)
            through: Tensor | None = None
            if carried is not None:
                through = carried.masked_fill(fired, 0) if zero else carried
                if not zero:
                    g_theta[t] -= _sum_to(carried * fired, thresholds[t])
                if not rules.detach_reset:
                    g_spike = g_spike - carried * (u[t] if zero else theta)
            by_spike = g_spike * h
            g_theta[t] -= _sum_to(by_spike, thresholds[t])
            g_u = by_spike if through is None else by_spike + through
            if t > 0:
                below = spread(thresholds[t - 1], u[t - 1])
                past = u[t - 1]
                v = past.masked_fill(past >= below, 0) if zero else past - below * (past >= below)
                g_decay += (g_u * v).sum()
            carried = beta * g_u
            g_x[t] = g_u
        if rules.adapt:
            return g_x, g_decay, None, None, None
        return g_x, g_decay, g_theta, None, None


def _sum_to(value: Tensor, like: Tensor) -> Tensor:
    """Sum of [B, C, ...] to [] or [C]."""
    return value.sum() if like.ndim == 0 else value.transpose(0, 1).flatten(1).sum(1)
