"""What every node computes, in numpy: the semantics that all engines, formats and targets are held to.

Values lie [T or 1, B, *shape] in float64, which holds every whole number of Loihi's arithmetic exactly (sums stay below
2**53: `graph.rules` and the ranges see to it). A neuron's step is three sentences: `charge`, `fires`, `after`.
"""

from __future__ import annotations

import numpy as np

from spikeport.graph.arithmetic import DECAY_ONE, STATE_SHIFT, Arithmetic, Loihi, Profile
from spikeport.graph.arrays import Array, over_neurons, schedule_over_neurons
from spikeport.graph.neurons import LIF, CubaLIF
from spikeport.graph.node import Node
from spikeport.graph.plumbing import Delay, Flatten, Input, Norm, Pool, Readout, Scale
from spikeport.graph.synapses import Conv, Linear, Synapse


def state_top(profile: Profile) -> int:
    """The largest membrane of a format; the smallest is its negative (Lava 0.10, proc/lif/models.py: 24 bits)."""
    return int(2 ** (profile.state_bits - 1) - 1)


def entering(node: Input, samples: Array, arithmetic: Arithmetic) -> Array:
    """The samples as [T or 1, B, *input]; whole numbers in units of the input, ties to even, in Loihi arithmetic."""
    x = np.asarray(samples, dtype=np.float64)
    x = np.rint(x / node.unit) if isinstance(arithmetic, Loihi) else x
    return x if node.coding == "events" else x[None]


def apply(node: Node, x: Array) -> Array:
    """What leaves a node without state, and without steps to wait, when ``x`` [T or 1, B, *shape] enters."""
    if isinstance(node, Synapse):
        return synapse(node, x)
    if isinstance(node, Pool):
        return pool(node, x)
    if isinstance(node, Flatten):
        return x.reshape(*x.shape[:2], -1)
    if isinstance(node, Scale):
        return np.asarray(x * over_neurons(node.factor, x.shape[2:]))
    if isinstance(node, Norm):
        gain, shift = node.gain_and_shift()
        return np.asarray(x * over_neurons(gain, x.shape[2:]) + over_neurons(shift, x.shape[2:]))
    raise TypeError(f"{type(node).__name__} has a state, or is where a graph begins or ends")


def synapse(node: Synapse, x: Array) -> Array:
    """Products and sums; a negative exponent rounds towards minus infinity (Lava 0.10, proc/dense/models.py)."""
    weight = node.weight.astype(np.float64)
    if isinstance(node, Linear):
        y = x @ weight.T
    else:
        assert isinstance(node, Conv)
        y = _convolve(node, weight, x)
    if node.bias is not None:
        y = y + over_neurons(node.bias, y.shape[2:])
    return y if node.exponent == 0 else np.floor(y * 2.0**node.exponent)


def pool(node: Pool, x: Array) -> Array:
    """Sums or averages over windows."""
    padded = np.pad(x, [(0, 0)] * 3 + [(p, p) for p in node.padding])
    size = node.output_shape(x.shape[2:])
    ones = (1,) * len(node.kernel)
    y = np.zeros((*x.shape[:2], *size))
    for tap in np.ndindex(*node.kernel):
        y += padded[_window(tap, size[1:], node.stride, ones)]
    return y / np.prod(node.kernel) if node.kind == "average" else y


def delayed(node: Delay, x: Array, timesteps: int) -> Array:
    """``x`` [T or 1, B, *shape] as many steps later, zeros before."""
    x = np.broadcast_to(x, (timesteps, *x.shape[1:]))
    return np.asarray(np.concatenate([np.zeros((node.steps, *x.shape[1:])), x])[:timesteps])


def read_out(node: Readout, x: Array, arithmetic: Arithmetic) -> Array:
    """The output [B, *shape] of ``x`` [T or 1, B, *shape]: a weighted sum over time."""
    shift = 2**STATE_SHIFT if isinstance(arithmetic, Loihi) else 1
    x = np.broadcast_to(x, (len(node.weight), *x.shape[1:]))
    return np.asarray(np.tensordot(node.weight.astype(np.float64), x * shift + over_neurons(node.bias, node.shape), 1))


def charge(node: LIF, v: Array, current: Array, x: Array, arithmetic: Arithmetic) -> tuple[Array, Array]:
    """The membrane u [B, *shape] before its comparison, and the synaptic current, when ``x`` arrives.

    ``v`` and ``current`` are those after the step before, zero at first. Loihi: truncated towards zero, and the
    membrane is cut to the format's range (Lava 0.10, proc/lif/models.py).
    """
    decay, bias, gain = (
        over_neurons(value, node.shape).astype(np.float64) for value in (node.decay, node.bias, node.gain)
    )
    integers = isinstance(arithmetic, Loihi)
    arriving = x * 2**STATE_SHIFT if integers else gain * x
    if isinstance(node, CubaLIF):
        fade = over_neurons(node.current_decay, node.shape).astype(np.float64)
        current = (np.trunc(current * fade / DECAY_ONE) if integers else fade * current) + arriving
        arriving = current
    if not isinstance(arithmetic, Loihi):
        return decay * v + arriving + bias, current
    top = state_top(arithmetic.profile)
    return np.clip(np.trunc(v * decay / DECAY_ONE) + arriving + bias, -top, top), current


def threshold_at(node: LIF, t: int, arithmetic: Arithmetic) -> Array:
    """The thresholds of step ``t`` over the neurons, in the membrane's unit."""
    theta = schedule_over_neurons(node.threshold, node.shape)[t].astype(np.float64)
    return np.asarray(theta * 2**STATE_SHIFT if isinstance(arithmetic, Loihi) else theta)


def fires(node: LIF, u: Array, t: int, arithmetic: Arithmetic) -> Array:
    """Which neurons fire, bool."""
    theta = threshold_at(node, t, arithmetic)
    return np.asarray(u > theta if node.compare == ">" else u >= theta)


def after(node: LIF, u: Array, fired: Array, t: int, arithmetic: Arithmetic) -> Array:
    """The membrane after the reset of those that fired."""
    if node.reset == "none":
        return u
    if node.reset == "subtract":
        return np.where(fired, u - threshold_at(node, t, arithmetic), u)
    level = over_neurons(node.reset_value, node.shape) if node.reset == "value" else 0.0
    return np.where(fired, level, u)


def _convolve(node: Conv, weight: Array, x: Array) -> Array:
    """A convolution as one matrix product a tap of the kernel."""
    padded = np.pad(x, [(0, 0)] * 3 + [(p, p) for p in node.padding])
    size = node.output_shape(x.shape[2:])
    groups, inputs, outputs = node.groups, weight.shape[1], node.channels // node.groups
    y = np.zeros((*x.shape[:2], groups, outputs, int(np.prod(size[1:]))))
    for tap in np.ndindex(*node.kernel):
        window = padded[_window(tap, size[1:], node.stride, node.dilation)]
        flat = window.reshape(*x.shape[:2], groups, inputs, -1)
        matrix = weight[(..., *tap)].reshape(groups, outputs, inputs)
        y += matrix @ flat
    return y.reshape(*x.shape[:2], *size)


def _window(
    tap: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[slice, ...]:
    """The inputs of [T, B, C, *size] that one tap of the kernel meets."""
    starts = [k * d for k, d in zip(tap, dilation, strict=True)]
    spatial = (slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(starts, stride, size, strict=True))
    return (slice(None), slice(None), slice(None), *spatial)
