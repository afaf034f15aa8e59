"""One neuron layer judged on a record's own spikes: how far from its threshold, by the bound of `margins`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from spikeport import graph as nodes
from spikeport.engine.neuron import fires, lowest, parameter, schedule
from spikeport.graph import LIF, Array
from spikeport.spike_train import Counts, Train

UNIT = 2.0**-24  #: unit roundoff of float32, round to nearest
STEP = 6  #: roundings of one membrane update


_Number = TypeVar("_Number", float, Tensor)


@dataclass(frozen=True)
class Margin:
    """One layer judged on a record's own spike trains; arrays [T, B, *neurons] float64."""

    distance: Array  #: u - threshold, before the reset; of several thresholds that which `_decided` says
    bound: Array  #: largest error of the distance that float32 rounding can cause
    exact: Array  #: how often each neuron fires in exact arithmetic: bool where once at most

    def decisions(self) -> Array:
        """What each neuron does in exact arithmetic, [T, B, *neurons]: bool, or how often it fires."""
        return self.exact

    def above_rounding(self, train: Train) -> Counts:
        """Spikes, a step, that differ from the exact decision by more than rounding: defects. [T] int64.

        ``train`` must be of the record that the margins were computed on.
        """
        wrong = (train.unpack() != self.decisions()) & (np.abs(self.distance) > self.bound)
        return np.asarray(wrong.reshape(len(wrong), -1).sum(1), dtype=np.int64)


@dataclass(frozen=True)
class Bounded:
    """Values [T or 1, B, *shape] float64, and a bound on their error in float32 (None: exact)."""

    value: Tensor
    error: Tensor | None = None

    @property
    def size(self) -> Tensor:
        """Largest magnitude that the float32 value can have."""
        return self.value.abs() if self.error is None else self.value.abs() + self.error


def gamma(n: _Number) -> _Number:
    """The largest relative error of a sum of n products (Higham, see `margins`)."""
    return n * UNIT / (1 - n * UNIT)


def neurons(node: LIF, x: Bounded, fired: Tensor) -> Margin:
    """The membrane of every step from the spikes that the record holds."""
    like = x.value
    decay, gain, bias, reset = (parameter(v, node, like) for v in (node.decay, node.gain, node.bias, node.reset_value))
    theta, low = schedule(node, like), lowest(node, like)
    error = torch.zeros_like(like[:1]) if x.error is None else x.error
    v, e = torch.zeros_like(like[0]), torch.zeros_like(like[0])
    current, drift = torch.zeros_like(v), torch.zeros_like(v)
    rise, lag = torch.zeros_like(v), torch.zeros_like(v)
    distance, bound, exact = [], [], []
    rounds = 2 * UNIT * (node.most_spikes > 1)  # a quotient does, too
    step = gamma(float(STEP))
    for t in range(fired.shape[0]):
        arriving, carried = gain * like[min(t, len(like) - 1)], gain.abs() * error[min(t, len(error) - 1)]
        if isinstance(node, nodes.CubaLIF):
            leak = parameter(node.current_decay, node, like)
            drift = leak * drift + carried + step * (leak * (current.abs() + drift) + arriving.abs() + carried)
            current = leak * current + arriving
            arriving, carried = current, drift
        u = decay * v + arriving + bias
        e = decay * e + carried + step * (decay * (v.abs() + e) + arriving.abs() + carried + bias.abs())
        decided, nearest = _decided(node, u - rise, fired[t], theta[t])
        exact.append(decided)
        distance.append(nearest)
        bound.append(e + rounds * (u.abs() + e))
        level = theta[t]
        if isinstance(node, nodes.ALIF):
            bound[-1] = e + lag + UNIT * (u.abs() + e + rise.abs() + lag)
            level, e = level + rise, torch.where(fired[t], bound[-1], e)
            rise, lag = _risen(node, rise, lag, fired[t])
        v, e = _reset(node, u, e, fired[t], level, reset)
        if low is not None:  # relu(v - low) + low, as sinabs has it, rounds twice
            e = e + UNIT * (2 * v.abs() + 2 * low.abs() + 2 * e)
            v = torch.maximum(v, low)
    return Margin(*(torch.stack(each).cpu().numpy() for each in (distance, bound, exact)))


def _decided(node: LIF, u: Tensor, fired: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """How often neurons fire in exact arithmetic, and how far they are from what would make them fire as they did.

    A neuron that fired less often than it should has not reached the next threshold; one that fired more often has
    reached its last one. Where it fired as it should, the nearest threshold counts.
    """
    exact = fires(node, u, theta)
    if node.most_spikes == 1:
        return exact, u - theta
    nearest = torch.round(u / theta).clamp(1, node.most_spikes)
    level = torch.where(fired < exact, fired + 1, torch.where(fired > exact, fired, nearest))
    return exact, u - level * theta


def _risen(node: nodes.ALIF, rise: Tensor, lag: Tensor, fired: Tensor) -> tuple[Tensor, Tensor]:
    """How far the thresholds rose after a step, and a bound on its error."""
    fade, up = (parameter(value, node, rise) for value in (node.adaptation_decay, node.adaptation))
    kept, added = fade * rise, up * fired
    return kept + added, fade * lag + gamma(3.0) * (kept.abs() + fade * lag + added.abs())


def _reset(node: LIF, u: Tensor, e: Tensor, fired: Tensor, theta: Tensor, to: Tensor) -> tuple[Tensor, Tensor]:
    if node.reset == "none":
        return u, e
    if node.reset == "subtract":
        taken = fired * torch.where(fired != 0, theta, 0.0)
        after = e + UNIT * (u.abs() + e + (1 + (node.most_spikes > 1)) * taken.abs())
        return u - taken, torch.where(fired != 0, after, e)
    value = to if node.reset == "value" else torch.zeros((), dtype=u.dtype, device=u.device)
    return torch.where(fired != 0, value.expand_as(u), u), torch.where(fired != 0, torch.zeros_like(e), e)
