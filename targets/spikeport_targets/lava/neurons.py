"""A layer's numbers in Lava's terms: as its own LIF holds them, or an array for every neuron."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.graph import DECAY_ONE, LIF, LOIHI2, Array, CubaLIF, over_neurons, schedule_over_neurons
from spikeport_targets.lava.layout import to_lava

BIAS_MANTISSA = 2**12  #: Lava's bias mantissa has 13 signed bits (proc/lif/models.py)
BIAS_EXPONENT = 7  #: and its exponent 3 bits


def bias_parts(bias: Array) -> tuple[Array, Array] | None:
    """Mantissas and exponents of a bias as Lava stores it, or None where 13 + 3 bits do not hold it."""
    value = np.asarray(np.rint(bias), dtype=np.int64)
    exponent = np.zeros_like(value)
    for _ in range(BIAS_EXPONENT):
        shrink = ((value < -BIAS_MANTISSA) | (value >= BIAS_MANTISSA)) & (value % 2 == 0)
        value, exponent = np.where(shrink, value // 2, value), exponent + shrink
    fits = ((value >= -BIAS_MANTISSA) & (value < BIAS_MANTISSA)).all()
    return (value, exponent) if fits else None


def beyond_stock(node: LIF, integers: bool) -> str:
    """Why Lava's own LIF cannot hold a layer; "" where it can."""

    def varies(value: Array) -> bool:
        return bool((value != value.flat[0]).any())

    reasons = {
        "its thresholds vary over time": bool((node.threshold != node.threshold[:1]).any()),
        "its thresholds vary over channels or neurons": varies(node.threshold[0]),
        "its decay varies over channels or neurons": varies(node.decay) or varies(current_decay(node)),
        f"its reset is {node.reset!r}": node.reset != "zero",
        f"it fires on {node.compare}": node.compare != ">",
        "its membranes have a lower bound": node.lower_bound is not None,
        "it has a gain": bool((node.gain != 1).any()),
        "its bias needs more than 13 bits and an exponent": integers and bias_parts(node.bias) is None,
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def stock_numbers(node: LIF, number: type[np.generic]) -> tuple[dict[str, Array], dict[str, Any]]:
    """For Lava's own LIF: the bias as arrays, decays and threshold as numbers."""
    decay, current = node.decay.flat[0].item(), current_decay(node).flat[0].item()
    threshold = node.threshold.flat[0].item()
    if number is not np.int32:
        bias = per_neuron(node.bias, node, number)
        return {"bias_mant": bias}, {"dv": 1 - decay, "du": 1 - current, "vth": threshold}
    parts = bias_parts(node.bias)
    assert parts is not None
    mantissa, exponent = (per_neuron(part, node, number) for part in parts)
    # Lava adds one to the current's decay
    scalars = {"dv": int(DECAY_ONE - decay), "du": int(DECAY_ONE - 1 - current), "vth": int(threshold)}
    return {"bias_mant": mantissa, "bias_exp": exponent}, scalars


def own_numbers(node: LIF, number: type[np.generic]) -> dict[str, Array]:
    """For ScheduledLIF: a value for every neuron, and thresholds for every step too."""
    values = {
        "decay": node.decay,
        "current_decay": current_decay(node),
        "bias": node.bias,
        "gain": node.gain,
        "reset_value": node.reset_value,
        "lower_bound": no_bound(number) if node.lower_bound is None else node.lower_bound,
    }
    arrays = {key: per_neuron(value, node, number) for key, value in values.items()}
    schedule = np.broadcast_to(schedule_over_neurons(node.threshold, node.shape), (node.timesteps, *node.shape))
    return arrays | {"threshold": to_lava(schedule, node.shape).astype(number)}


def no_bound(number: type[np.generic]) -> Array:
    """Of the membranes of neurons without a lower bound: where whole ones saturate."""
    return np.asarray(-LOIHI2.state_top if number is np.int32 else -np.inf)


def current_decay(node: LIF) -> Array:
    """Of the synaptic current; 0 where the neurons have none."""
    return node.current_decay if isinstance(node, CubaLIF) else np.zeros(())


def per_neuron(value: Array, node: LIF, number: type[np.generic]) -> Array:
    """A parameter for every neuron, in Lava's order."""
    spread = np.broadcast_to(over_neurons(np.asarray(value), node.shape), node.shape)
    return to_lava(spread, node.shape).astype(number)
