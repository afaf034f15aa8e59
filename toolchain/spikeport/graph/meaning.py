"""What a node without state computes, in numpy, and what all arithmetics share: the semantics that engines are held to.

Values lie [T or 1, B, *shape] in float64, which holds every whole number of Loihi's arithmetic exactly (sums stay below
2**53: `graph.rules` and the ranges see to it). What a neuron does in a step stands at its arithmetic: `real`, `loihi`.
"""

from __future__ import annotations

import numpy as np

from spikeport.graph.arithmetic import Arithmetic
from spikeport.graph.arrays import Array, over_neurons, schedule_over_neurons
from spikeport.graph.neurons import LIF
from spikeport.graph.node import Node
from spikeport.graph.peak import Peak
from spikeport.graph.plumbing import Delay, Flatten, Input, Norm, Pool, Readout, Scale
from spikeport.graph.synapses import Conv, Linear, Synapse


def frames(node: Input, samples: Array) -> Array:
    """The samples as [T or 1, B, *input]: 1 where the same frame enters at every step."""
    x = np.asarray(samples, dtype=np.float64)
    return x if node.coding == "events" else x[None]


def apply(node: Node, x: Array, arithmetic: Arithmetic) -> Array:
    """What leaves a node without state, and without steps to wait, when ``x`` [T or 1, B, *shape] enters."""
    if isinstance(node, Synapse):
        return arithmetic.synapse(node, x)
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


def products(node: Synapse, x: Array) -> Array:
    """Products with the weights and their sums; neither bias nor exponent."""
    weight = node.weight.astype(np.float64)
    if isinstance(node, Linear):
        return np.asarray(x @ weight.T)
    assert isinstance(node, Conv)
    return _convolve(node, weight, x)


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


def weighted(node: Readout, x: Array) -> Array:
    """A readout's weighted sum over time, [B, *shape], of ``x`` [T or 1, B, *shape] in the unit of its bias."""
    x = np.broadcast_to(x, (len(node.weight), *x.shape[1:])) + over_neurons(node.bias, node.shape)
    weight = node.weight.astype(np.float64)
    if weight.ndim == 1:
        return np.asarray(np.tensordot(weight, x, 1))
    return np.asarray((schedule_over_neurons(weight, node.shape)[:, None] * x).sum(0))


def fires(node: LIF, u: Array, threshold: Array) -> Array:
    """How often each neuron fires: bool where once at most, else float64; ``threshold`` in the membrane's unit."""
    if isinstance(node, Peak):
        return np.zeros(u.shape, bool)
    if node.most_spikes == 1:
        return np.asarray(u > threshold if node.compare == ">" else u >= threshold)
    quotient = u / threshold
    thresholds = np.ceil(quotient) - 1 if node.compare == ">" else np.floor(quotient)
    return np.asarray(np.clip(thresholds, 0, node.most_spikes))


def reset(node: LIF, u: Array, fired: Array, threshold: Array) -> Array:
    """The membranes after the reset of those that fired; ``threshold`` in the membrane's unit."""
    if node.reset == "none":
        return u
    if node.reset == "subtract" and node.most_spikes > 1:
        return np.asarray(u - fired * np.where(fired, threshold, 0.0))  # an infinite one takes nothing off
    if node.reset == "subtract":
        return np.where(fired, u - threshold, u)
    level = over_neurons(node.reset_value, node.shape) if node.reset == "value" else 0.0
    return np.where(fired, level, u)


def bounded(node: LIF, v: Array) -> Array:
    """The membranes that are kept of ``v`` after a step: none below the node's lower bound."""
    return v if node.lower_bound is None else np.asarray(np.maximum(v, over_neurons(node.lower_bound, node.shape)))


def busy(node: LIF, v: Array, x: Array) -> Array:
    """Neurons that something enters, that hold a membrane, or that have a bias."""
    return np.asarray(np.broadcast_to((x != 0) | (v != 0) | (over_neurons(node.bias, node.shape) != 0), x.shape))


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
