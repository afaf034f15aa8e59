"""Neurons on the CPU behind a normalisation with numbers of its own at each step (TEBN, TAB), in the compiled loops.

Both give the neurons ``gain[t] * x[t] + shift[t]``, a channel, where gain and shift [T, C] follow from the mean and
the variance of each step. Only the moments, the neurons and the gradient walk over the layer; what lies between them,
[T, C] numbers in float64, is torch's, and so is its gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from spikeport.training import fused
from spikeport.training.memory import like
from spikeport.training.rows import Rows
from spikeport.training.rules import Rules
from spikeport.training.step_norms import StepNorm


def normalise_and_fire(
    x: Tensor, norm: StepNorm, decay: Tensor, threshold: Tensor, width: Tensor, rules: Rules
) -> tuple[Tensor, Tensor]:
    """The neurons' spikes for ``norm(x)`` with the statistics of this batch, and the thresholds they fired with.

    ``x`` [T, B, C, ...] in `memory.rows_of_channels`; the rest as in `dynamics.fire`. Running estimates follow.
    """
    spikes, used, mean, var = _Fire.apply(x, decay, threshold, width, norm, rules, *norm.learned())  # type: ignore[no-untyped-call]
    norm.follow_steps(mean, var, x[0].numel() // x.shape[2])
    return spikes, used


class _Fire(torch.autograd.Function):
    @staticmethod
    @fused.QUIET
    def forward(
        ctx: Any,
        x: Tensor,
        decay: Tensor,
        threshold: Tensor,
        width: Tensor,
        norm: StepNorm,
        rules: Rules,
        *learned: Tensor,
    ) -> tuple[Tensor, ...]:
        state = torch.promote_types(x.dtype, torch.float32)
        beta, used, widths = decay.to(state), threshold.to(state).clone(), width.to(state)
        count, means, squares = fused.moments(x, x.shape[2])
        with torch.enable_grad():
            statistics = [torch.from_numpy(values).requires_grad_() for values in (means, squares)]
            own = [value.detach().requires_grad_() for value in learned]
            affine = norm.affine(*statistics, *(value.double() for value in own))
        gain, shift = (value.detach().numpy() for value in affine)
        rows = Rows.of(gain, shift, means.mean(0), beta.numpy().dtype)
        spikes = like(x, x.dtype)
        if rules.adapt:
            start = fused.first_membranes(rows, count, means[0], squares[0])
            used, widths = fused.adapting(x, rows, spikes, beta, start, rules)
        else:
            fused.by_schedule(x, rows, spikes, beta, used, rules)
        ctx.save_for_backward(x, beta, used, widths)
        ctx.rules, ctx.rows, ctx.count, ctx.affine, ctx.leaves = rules, rows, count, affine, (*statistics, *own)
        seen = [value.detach() for value in statistics]
        ctx.mark_non_differentiable(used, *seen)
        return spikes, used, *seen

    @staticmethod
    @once_differentiable
    @fused.QUIET
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, beta, used, widths = ctx.saved_tensors
        rows, rules = ctx.rows, ctx.rules
        g_x, schedule, sums = fused.backward_of(grad, x, rows, beta, used, widths, rules, normed=True)
        centre = rows.mean[: rows.channels].astype(np.float64)
        by_gain, by_shift = sums[:, 1] + centre * sums[:, 0], sums[:, 0]
        g_affine = [torch.from_numpy(np.ascontiguousarray(each)) for each in (by_gain, by_shift)]
        g_mean, g_var, *g_own = torch.autograd.grad(ctx.affine, ctx.leaves, g_affine, retain_graph=True)
        slope = 2 * g_var.numpy() / ctx.count
        offset = g_mean.numpy() / ctx.count + slope * (centre - ctx.leaves[0].detach().numpy())
        fused.through(g_x, x, rows, slope, offset)
        return g_x, schedule[0], None if rules.adapt else schedule[1:], None, None, None, *g_own
