"""A layer step by step in torch's operations: any device, any rule; `dynamics` says what is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from spikeport.findings import require
from spikeport.training.reduce import mean_and_std
from spikeport.training.rules import Rules
from spikeport.training.surrogates import slope


def spread(schedule: Tensor, like: Tensor) -> Tensor:
    """[] or [C] so that it broadcasts over [B, C, ...]."""
    return schedule if schedule.ndim == 0 else schedule.reshape(1, -1, *(1,) * (like.ndim - 2))


def forward(
    x: Tensor, beta: Tensor, threshold: Tensor, width: Tensor, rules: Rules, feedback: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes, membranes before the reset, and the thresholds and widths used.

    ``feedback`` [C, C] connects the layer, of [B, C] neurons a step, to itself: ``x[t] + feedback s[t-1]`` enters.
    """
    thresholds, widths = list(threshold), list(width)
    membranes: list[Tensor] = []
    spikes: list[Tensor] = []
    v: Tensor | None = None
    for t in range(x.shape[0]):
        now = x[t].to(beta.dtype)
        if feedback is not None and t > 0:
            now = torch.addmm(now, spikes[-1].to(beta.dtype), feedback.T)
        u = now if v is None else torch.addcmul(now, v, beta)
        if rules.adapt:
            thresholds[t], widths[t] = _adapted(u, beta, rules, t, threshold[t])
        theta = spread(thresholds[t], u)
        fired = u >= theta
        membranes.append(u)
        spikes.append(fired.to(x.dtype))
        v = u.masked_fill(fired, 0) if rules.by_zero else u - theta * fired
    return torch.stack(spikes), torch.stack(membranes), torch.stack(thresholds), torch.stack(widths)


@torch.no_grad()
def _adapted(u: Tensor, beta: Tensor, rules: Rules, step: int, before: Tensor) -> tuple[Tensor, Tensor]:
    """Threshold and width of a step, as the method sets them from its membranes.

    Where no sample goes so far, the threshold ``before`` stays, and is a width that nothing is asked of.
    """
    alive = None if rules.ends is None else rules.ends > step
    per_channel = before.ndim == 1
    if rules.method.watches:
        u = u if alive is None else u[alive]
        if len(u) == 0:
            return before, before
        theta, width = map(torch.as_tensor, rules.method.watch(u, beta))
        shape = u.shape[1:2] if per_channel else ()
        what = f"{rules.method.name!r} watches for a threshold of {list(theta.shape)}, the layer has {list(shape)}"
        require(theta.shape == shape, "SP323", what, mend="one number a layer, or one a channel with per_channel")
        return theta, width
    mean, std = mean_and_std(u, per_channel=per_channel, alive=alive)
    theta, width = rules.method.adapt(mean, std, beta)
    if alive is None:
        return theta, width
    there = mean.isfinite()
    return torch.where(there, theta, before), torch.where(there, width, before)


def backward(
    grad: Tensor,
    u: Tensor,
    beta: Tensor,
    thresholds: Tensor,
    widths: Tensor,
    mask: Tensor | None,
    rules: Rules,
    feedback: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the input, the decay, the thresholds and the widths. ``mask`` [T, B, ...] keeps or drops a slope.

    That of ``feedback`` is the sum over t of the input's at t and the spikes at t - 1.
    """
    zero = rules.by_zero
    steps = u.shape[0]
    g_x: list[Tensor] = [u] * steps
    g_theta, g_width = list(torch.zeros_like(thresholds)), list(torch.zeros_like(widths))
    g_decay = torch.zeros_like(beta)
    g_u, carried = u[0], None  # of the step behind; carried = decay * g_u[t+1]
    for t in reversed(range(steps)):
        theta, width = spread(thresholds[t], u[t]), spread(widths[t], u[t])
        h = slope(u[t] - theta, width, rules.method.shape)
        h = h if mask is None else h * mask[t]
        fired = u[t] >= theta
        g_spike = grad[t].to(u.dtype)
        if feedback is not None and carried is not None:
            g_spike = torch.addmm(g_spike, g_u, feedback)
        through: Tensor | None = None
        if carried is not None:
            through = carried.masked_fill(fired, 0) if zero else carried
            if not zero:
                g_theta[t] = g_theta[t] - _sum_to(carried * fired, thresholds[t])
            if not rules.detach_reset:
                g_spike = g_spike - carried * (u[t] if zero else theta)
        by_spike = g_spike * h
        g_theta[t] = g_theta[t] - _sum_to(by_spike, thresholds[t])
        g_width[t] = -_sum_to(by_spike * (u[t] - theta) / width, widths[t])
        g_u = by_spike if through is None else by_spike + through
        if t > 0:
            past, below = u[t - 1], spread(thresholds[t - 1], u[t - 1])
            v = past.masked_fill(past >= below, 0) if zero else past - below * (past >= below)
            g_decay = g_decay + (g_u * v).sum()
        carried = beta * g_u if rules.gradient == "bptt" else None
        g_x[t] = g_u.to(grad.dtype)
    return torch.stack(g_x), g_decay, torch.stack(g_theta), torch.stack(g_width)


def _sum_to(value: Tensor, like: Tensor) -> Tensor:
    """Sum of [B, C, ...] to [] or [C]."""
    return value.sum() if like.ndim == 0 else value.transpose(0, 1).flatten(1).sum(1)
