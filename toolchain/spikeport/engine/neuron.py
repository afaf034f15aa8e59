"""The neurons' equations in plain PyTorch: the tested definition, and the fallback of every faster kernel.

`x` is [T, B, *neurons] (or [1, B, *neurons] where the input is the same at every step). The functions return spikes and
membranes of these steps and the state after the last one, so that a recurrent graph can call them a step at a time.
A graph's last step may leave none: no step follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.later import Later
from spikeport.graph import (
    ALIF,
    DECAY_ONE,
    LIF,
    STATE_SHIFT,
    Array,
    CubaLIF,
    Peak,
    Profile,
    over_neurons,
    schedule_over_neurons,
)
from spikeport.graph.loihi import BEYOND, SATURATED, WRAPPED, refuse_overflow
from spikeport.spike_train import Counts


@dataclass
class State:
    """What a neuron layer carries from step to step."""

    v: Tensor
    current: Tensor
    rise: Tensor | None = None  #: of the thresholds of neurons that adapt


@dataclass(frozen=True)
class Counted:
    """What is counted in some steps of a neuron layer."""

    spikes: Counts  #: a step
    active: Counts  #: neurons a step that got an input, held a membrane or have a bias
    overflows: dict[str, int]

    def read(self) -> Counted:
        """Itself: as `Fired.counted` where nobody waits for a card."""
        return self


@dataclass
class Fired:
    """What a neuron layer did in some steps."""

    spikes: Tensor  #: [T, B, *neurons], zeros and ones in bool or uint8, or how often each fires in uint8 or int32
    after: Tensor | None  #: the membrane after the reset; None where nobody asked
    state: Any  #: for the next call: `State`, or what a faster kernel keeps
    counted: Callable[[], Counted]  #: waits for a card that still counts
    summed: Tensor | None = None  #: these spikes and those of another layer, where that was asked


class Neurons(Protocol):
    """One neuron layer, some steps of it."""

    def __call__(
        self, x: Tensor, state: Any, start: int, steps: int, *, keep: bool, watch: bool, beside: Tensor | None = None
    ) -> Fired:
        """As `real`; membranes if ``keep``, active neurons if ``watch``.

        ``beside``: sums that enter beside those that a joined synapse makes of ``x``.
        """


class Cycle(Protocol):
    """One neuron layer and the way by which it feeds back to itself, some steps of it."""

    def __call__(self, x: Tensor, state: Any, start: int, steps: int, *, keep: bool, watch: bool) -> Fired:
        """As `Neurons`; ``x`` is what enters beside that which comes back."""


class Circuit(Protocol):
    """The nodes of a cycle, neurons or none among them, some steps of it."""

    @property
    def outside(self) -> Iterable[str]:
        """The nodes from outside whose values enter a call."""

    def __call__(
        self,
        entering: Mapping[str, Tensor],
        state: Any,
        start: int,
        steps: int,
        wanted: Iterable[str],
        *,
        keep: bool,
        watch: bool,
    ) -> tuple[dict[str, Fired], dict[str, Tensor], Any]:
        """What its neurons did, the numbers of the ``wanted`` nodes besides, and the state after these steps."""


def as_torch(array: Array) -> Tensor:
    """The array as torch may see it: contiguous, and writable although nobody writes.

    An axis of one may lie in steps below zero for numpy, as that of a flipped sample, but not for torch.
    """
    own = np.require(array, requirements=["C", "W"])
    return torch.from_numpy(own if min(own.strides, default=0) >= 0 else own.copy())


def flat(x: Tensor) -> Array:
    """Values [T, B, *neurons] as [T, N] in the order in which the compiled loops see them: channels last."""
    turned = x if x.ndim == 3 else x.movedim(2, -1)
    values: Array = turned.contiguous().numpy().reshape(len(x), -1)
    return values


def parameter(value: Array, node: LIF, like: Tensor) -> Tensor:
    """A neuron parameter on the device and in the type of ``like``, broadcast over the layer's neurons."""
    spread = over_neurons(value, node.shape)
    return torch.as_tensor(np.array(spread)).to(like.device, like.dtype)


def lowest(node: LIF, like: Tensor) -> Tensor | None:
    """The lower bound of the membranes, as `parameter`; None where they have none."""
    return None if node.lower_bound is None else parameter(node.lower_bound, node, like)


def schedule(node: LIF, like: Tensor) -> Tensor:
    """The thresholds as [T, 1, *neurons or ones]."""
    spread = schedule_over_neurons(node.threshold, node.shape)
    return torch.as_tensor(np.array(spread)).to(like.device, like.dtype).unsqueeze(1)


def real(node: LIF, x: Tensor, state: State | None, start: int, steps: int) -> Fired:
    """Steps ``start`` ... ``start + steps - 1`` in floating point, in the type of ``x``."""
    decay, gain, bias = (parameter(value, node, x) for value in (node.decay, node.gain, node.bias))
    reset_value, low = parameter(node.reset_value, node, x), lowest(node, x)
    theta = schedule(node, x)
    v = torch.zeros_like(x[0]) if state is None else state.v
    current = torch.zeros_like(x[0]) if state is None else state.current
    rise = None if state is None else state.rise
    if isinstance(node, ALIF):
        up, fade = (parameter(value, node, x) for value in (node.adaptation, node.adaptation_decay))
        rise = torch.zeros_like(x[0]) if rise is None else rise
    spikes, after, active = [], [], []
    for t in range(steps):
        entering = x[min(t, x.shape[0] - 1)]
        active.append((entering != 0) | (v != 0) | (bias != 0))
        if rise is not None:
            active[-1] |= rise != 0
        arriving = gain * entering
        if isinstance(node, CubaLIF):
            current = parameter(node.current_decay, node, x) * current + arriving
            arriving = current
        u = decay * v + arriving + bias
        asked = u if rise is None else u - rise
        fired = fires(node, asked, theta[start + t])
        v = reset(node, asked, fired, theta[start + t], reset_value)
        if rise is not None:
            v = torch.where(fired, v, u) if node.reset != "none" else u
            rise = fade * rise + up * fired
        v = v if low is None else torch.maximum(v, low)
        spikes.append(fired)
        after.append(v)
    return fired_in(spikes, after, active, State(v, current, rise), {})


def loihi(node: LIF, x: Tensor, state: State | None, start: int, steps: int, profile: Profile) -> Fired:
    """The same in Loihi's integers; ``x`` is int64. Membranes and accumulators that overflow, and sums that Lava wraps,
    are counted.

    Lava's current of 24 bits keeps ``top + 1`` and turns ``-top - 1`` into it (Lava 0.10, ``proc/lif/models.py``).
    """
    top = profile.state_top
    decay, bias = parameter(node.decay, node, x), parameter(node.bias, node, x)
    reset_value, low = parameter(node.reset_value, node, x), lowest(node, x)
    theta = schedule(node, x) << STATE_SHIFT
    v = torch.zeros_like(x[0]) if state is None else state.v
    current = torch.zeros_like(x[0]) if state is None else state.current
    spikes, after, active = [], [], []
    saturated = beyond = wrapped = torch.zeros((), dtype=torch.int64, device=x.device)
    for t in range(steps):
        entering = x[min(t, x.shape[0] - 1)]
        active.append((entering != 0) | (v != 0) | (bias != 0))
        exact = entering << STATE_SHIFT
        arriving = _accumulated(exact, profile)
        wrapped = wrapped + (arriving != exact).sum()
        if isinstance(node, CubaLIF):
            current = _decayed(current, parameter(node.current_decay, node, x)) + arriving
            arriving = current
        beyond = beyond + ((arriving > top + 1) | (arriving <= -top - 1)).sum()
        exact = _decayed(v, decay) + arriving + bias
        u = exact.clamp(-top, top)
        saturated = saturated + (u != exact).sum()
        fired = fires(node, u, theta[start + t])
        v = reset(node, u, fired, theta[start + t], reset_value)
        v = v if low is None else torch.maximum(v, low)
        spikes.append(fired)
        after.append(v)
    overflows = {SATURATED: saturated, BEYOND: beyond, WRAPPED: wrapped}
    return fired_in(spikes, after, active, State(v, current), overflows)


def _accumulated(arriving: Tensor, profile: Profile) -> Tensor:
    """What an accumulator holds of sums, in two's complement; SP122 where the profile refuses those beyond it."""
    least = profile.accumulator_least
    if least is None:
        return arriving
    if profile.accumulator_overflow == "refuse":
        refuse_overflow(profile, int(((arriving < least) | (arriving >= -least)).sum()))
        return arriving
    return torch.remainder(arriving - least, -2 * least) + least


def fired_in(
    spikes: list[Tensor], after: list[Tensor], active: list[Tensor], state: State, overflows: Mapping[str, Tensor | int]
) -> Fired:
    """What some steps did, one list entry a step; of ``overflows`` those that happened."""
    fired, kinds = torch.stack(spikes), tuple(overflows)

    def made(spikes: Counts, active: Counts, *numbers: Array) -> Counted:
        return Counted(spikes, active, {kind: int(n) for kind, n in zip(kinds, numbers, strict=True) if n})

    numbers = (torch.as_tensor(n, device=fired.device) for n in overflows.values())
    counts = Later((_per_step(fired), _per_step(torch.stack(active)), *numbers), made)
    return Fired(fired, torch.stack(after), state, counts)


def _per_step(mask: Tensor) -> Tensor:
    return mask.flatten(1).sum(1, dtype=torch.int64)


def _decayed(v: Tensor, decay: Tensor) -> Tensor:
    """trunc(v * decay / 4096), towards zero."""
    return torch.div(v * decay, DECAY_ONE, rounding_mode="trunc")


def fires(node: LIF, u: Tensor, theta: Tensor) -> Tensor:
    """Which neurons fire, bool; where several spikes a step are let, how often: uint8, or int32 beyond 255."""
    if isinstance(node, Peak):
        return torch.zeros_like(u, dtype=torch.bool)
    above = node.compare == ">"
    if node.most_spikes == 1:
        return u > theta if above else u >= theta
    counting = torch.uint8 if node.most_spikes <= 255 else torch.int32
    if not u.is_floating_point():  # thresholds below a whole number: those that u - 1 reaches
        return torch.div(u - int(above), theta, rounding_mode="floor").clamp(0, node.most_spikes).to(counting)
    quotient = u / theta
    thresholds = torch.ceil(quotient) - 1 if above else torch.floor(quotient)
    return thresholds.clamp(0, node.most_spikes).to(counting)


def reset(node: LIF, u: Tensor, fired: Tensor, theta: Tensor, value: Tensor) -> Tensor:
    """The membranes after the reset of those that fired; ``value`` is that of a reset to one."""
    if node.reset == "none":
        return u
    if node.reset == "subtract" and node.most_spikes > 1:
        return torch.where(fired != 0, u - fired.to(u.dtype) * theta, u)
    if node.reset == "subtract":
        return torch.where(fired, u - theta, u)
    return torch.where(fired != 0, value.expand_as(u) if node.reset == "value" else torch.zeros_like(u), u)
