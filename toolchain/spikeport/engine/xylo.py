"""Xylo's neurons in plain PyTorch: the equations of `spikeport.graph.xylo` on int64, a step after another."""

from __future__ import annotations

import torch
from torch import Tensor

from spikeport.engine.neuron import Fired, State, fired_in, fires, parameter, reset, schedule
from spikeport.graph import DECAY_ONE, STATE_SHIFT, CubaLIF, Profile
from spikeport.graph.loihi import SATURATED
from spikeport.graph.xylo import CURRENT


def xylo(node: CubaLIF, x: Tensor, state: State | None, start: int, steps: int, profile: Profile) -> Fired:
    """Steps ``start`` ... ``start + steps - 1``; ``x`` is int64. Currents and membranes that saturate are counted."""
    low, top = profile.state_least, profile.state_top
    decay, fade, bias = (parameter(value, node, x) for value in (node.decay, node.current_decay, node.bias))
    theta, reset_value = schedule(node, x) << STATE_SHIFT, parameter(node.reset_value, node, x)
    v = torch.zeros_like(x[0]) if state is None else state.v
    i = torch.zeros_like(x[0]) if state is None else state.current
    spikes, after, active, currents, membranes = [], [], [], 0, 0
    for t in range(steps):
        entering = x[min(t, x.shape[0] - 1)]
        active.append((entering != 0) | (v != 0) | (bias != 0))
        sums = i + (entering << STATE_SHIFT)
        arrived = sums.clamp(low, top)
        i, kept = held(arrived, fade), held(v, decay)
        u = (v + ((kept - v + i).clamp(low, top) + bias).clamp(low, top)).clamp(low, top)
        currents += int((arrived != sums).sum())
        membranes += int((u != kept + i + bias).sum())
        fired = fires(node, u, theta[start + t])
        v = reset(node, u, fired, theta[start + t], reset_value)
        spikes.append(fired)
        after.append(v)
    overflows = {what: n for what, n in ((CURRENT, currents), (SATURATED, membranes)) if n}
    return fired_in(spikes, after, active, State(v, i), overflows)


def held(value: Tensor, decay: Tensor) -> Tensor:
    """What a shift leaves of ``value``: v >> n goes, or one sum towards zero."""
    sums = value >> STATE_SHIFT
    dash = torch.div(sums * (DECAY_ONE - decay), DECAY_ONE, rounding_mode="floor")
    return torch.where(dash == 0, sums - sums.sign(), sums - dash) << STATE_SHIFT
