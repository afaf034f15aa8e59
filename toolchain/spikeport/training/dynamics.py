"""The membrane over all timesteps, forward and backward, as one operation of autograd.

Forward, for t = 0 ... T-1 with v[-1] = 0::

    u[t] = decay * v[t-1] + x[t]          s[t] = u[t] >= threshold[t]
    v[t] = u[t] * (1 - s[t])              reset "zero"
           u[t] - threshold[t] * s[t]     reset "subtract"

Backward, with h[t] = the surrogate slope at u[t] - threshold[t] and g the gradient of what the name says::

    g_v[t] = decay * g_u[t+1]
    g_u[t] = g_s[t] * h[t] + g_v[t] * dv/du        dv/du = 1 - s - u h  (zero),  1 - threshold h  (subtract);
                                                   without the terms in h where the reset is detached
    g_x[t] = g_u[t]     g_decay = sum_t g_u[t] * v[t-1]     g_threshold[t] = -sum g_s[t] * h[t]
    g_width[t] = -sum g_s[t] * h[t] * (u[t] - threshold[t]) / width[t]     (spike = F((u - threshold) / width), PSG)

Source: MPD-AGL neuron.py:14-66 and DS-ATGO eq. 1-3; the reset is part of the gradient unless it is detached.
Only u is kept for the backward pass: spikes and v follow from it (`fused` keeps x instead, and finds u again).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikeport.training import cuda, fused, stepwise
from spikeport.training.rules import Rules


def fire(x: Tensor, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """Spikes [T, B, *neurons] (0 or 1, dtype of ``x``) and the thresholds used, [T] or [T, C] (no gradient).

    ``x`` [T, B, *neurons], ``decay`` [], ``threshold`` [T] or [T, C], ``width`` [T] or [T, C]; where `rules.adapt`,
    the last two only give the shape, and each step's are computed from the membrane of the batch. On the CPU the
    loops are compiled (`fused`), on a GPU they are kernels (`cuda`), for rarer rules torch's operations (`stepwise`).
    """
    if cuda.applies(x, threshold, rules):
        return cuda.fire(x, decay, threshold, width, rules)
    if fused.applies(x, threshold, rules):
        return fused.fire(x, decay, threshold, width, rules)
    spikes, used = _Fire.apply(x, decay, threshold, width, rules)  # type: ignore[no-untyped-call]
    return spikes, used


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules
    ) -> tuple[Tensor, Tensor]:
        state = torch.promote_types(x.dtype, torch.float32)  # membranes are never kept in half precision
        beta = decay.to(state)
        spikes, u, used, widths = stepwise.forward(x, beta, threshold.to(state), width.to(state), rules)
        mask = torch.rand_like(u) >= rules.method.masked if rules.method.masked > 0 else None
        ctx.save_for_backward(u, beta, used, widths, mask)
        ctx.rules = rules
        ctx.mark_non_differentiable(used)
        return spikes, used

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        rules: Rules = ctx.rules
        u, beta, thresholds, widths, mask = ctx.saved_tensors
        g_x, g_decay, g_theta, g_width = stepwise.backward(grad, u, beta, thresholds, widths, mask, rules)
        if rules.adapt:
            return g_x, g_decay, None, None, None
        return g_x, g_decay, g_theta, g_width, None
