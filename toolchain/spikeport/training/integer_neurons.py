"""Integer neurons that gradients pass: forward the engine's integers, backward a surrogate."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.graph import DECAY_ONE, LIF, STATE_SHIFT, Array, CubaLIF, Profile, over_neurons, schedule_over_neurons

SUM_ONE = float(1 << STATE_SHIFT)  #: membrane units in one unit of a sum


def fire(node: LIF, x: Tensor, bias: Tensor, profile: Profile) -> Tensor:
    """Spikes, zeros and ones, of sums [T, B, *neurons]; ``bias`` [] or [C] in the membrane's unit.

    Membranes are computed in float64.
    """
    spikes: Tensor = _Fire.apply(x, spread(bias, node.shape), node, profile)  # type: ignore[no-untyped-call]
    return spikes


def spread(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[C] so that it broadcasts over neurons of a shape; anything else as it is."""
    return value.reshape(-1, *(1,) * (len(shape) - 1)) if value.ndim == 1 else value


class _Fire(torch.autograd.Function):
    """Integer neurons forward; backward through time with a rectangular surrogate as wide as the threshold."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, node: LIF, profile: Profile) -> Tensor:
        top = float(profile.state_top)
        theta = _doubles(schedule_over_neurons(node.threshold, node.shape)).unsqueeze(1) * SUM_ONE
        decay = _doubles(over_neurons(node.decay, node.shape))
        start = _doubles(over_neurons(node.reset_value, node.shape))
        v = torch.zeros(x.shape[1:], dtype=torch.float64)
        current = torch.zeros_like(v)
        spikes, near = [], []
        for t in range(x.shape[0]):
            arriving = _accumulated(x[t].double() * SUM_ONE, profile)
            if isinstance(node, CubaLIF):
                leak = _doubles(over_neurons(node.current_decay, node.shape))
                current = torch.trunc(current * leak / DECAY_ONE) + arriving
                arriving = current
            u = (torch.trunc(v * decay / DECAY_ONE) + arriving + bias.double()).clamp_(-top, top)
            fired = u > theta[t]
            near.append(((u - theta[t]).abs() < theta[t] / 2).float() / theta[t].float())
            spikes.append(fired)
            v = _reset(node, u, fired, theta[t], start)
        ctx.node = node
        ctx.bias_shape = bias.shape
        out = torch.stack(spikes)
        ctx.save_for_backward(out, torch.stack(near))
        return out.float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (grad,) = grads
        spikes, near = ctx.saved_tensors
        node: LIF = ctx.node
        decay = _doubles(over_neurons(node.decay, node.shape)).float() / DECAY_ONE
        carried = torch.zeros_like(grad[0])
        current = torch.zeros_like(grad[0])
        entering = torch.empty_like(grad)
        to_bias = torch.zeros_like(grad[0])
        for t in range(grad.shape[0] - 1, -1, -1):
            passed = carried if node.reset in ("subtract", "none") else carried.masked_fill(spikes[t], 0.0)
            g = grad[t] * near[t] + passed
            to_bias += g
            carried = g * decay
            if isinstance(node, CubaLIF):
                leak = _doubles(over_neurons(node.current_decay, node.shape)).float() / DECAY_ONE
                current = g + current * leak
                entering[t] = current * SUM_ONE
            else:
                entering[t] = g * SUM_ONE
        return entering, to_bias.sum(0).sum_to_size(ctx.bias_shape), None, None


def _accumulated(arriving: Tensor, profile: Profile) -> Tensor:
    """What the accumulator holds, in two's complement; gradients pass as if it held everything."""
    least = profile.accumulator_least
    return arriving if least is None else torch.remainder(arriving - least, -2 * least) + least


def _reset(node: LIF, u: Tensor, fired: Tensor, theta: Tensor, value: Tensor) -> Tensor:
    if node.reset == "zero":
        return u.masked_fill(fired, 0.0)
    if node.reset == "subtract":
        return torch.where(fired, u - theta, u)
    if node.reset == "value":
        return torch.where(fired, value.expand_as(u), u)
    return u


def _doubles(value: Array) -> Tensor:
    return torch.as_tensor(np.array(value, dtype=np.float64))
