"""spikeport's own neurons as nodes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.graph import LIF, CubaLIF, Delay, Linear
from spikeport.tracing.registry import Cells, array, register_neuron
from spikeport.training.neurons import Neuron
from spikeport.training.synaptic import Synaptic


def convert(module: Neuron, shape: tuple[int, ...], timesteps: int) -> LIF:
    """The node of a `spikeport.training` neuron: its equations are those of the node."""
    threshold = array(module.threshold)
    if len(threshold) != timesteps:
        fail("SP384", f"has thresholds for {len(threshold)} timesteps, the model runs {timesteps}")
    zero = np.zeros((), threshold.dtype)
    return LIF(
        shape,
        decay=array(module.decay),
        threshold=threshold,
        bias=zero,
        gain=np.ones((), threshold.dtype),
        reset=module.reset,
        reset_value=zero,
        compare=module.compare,
    )


register_neuron(Neuron, convert)


def convert_synaptic(module: Synaptic, shape: tuple[int, ...], timesteps: int) -> Cells:
    """A current that decays as it arrives has a gain of its decay; what feeds back comes a step later."""
    plain = convert(module, shape, timesteps)
    fade = np.asarray(module.current, plain.threshold.dtype)
    node = CubaLIF(**{**_fields(plain), "gain": fade, "most_spikes": module.most}, current_decay=fade)
    if module.feedback is None:
        return Cells(node)
    parts = {"past": Delay(shape, 1), "back": Linear(array(module.feedback.weight))}
    return Cells(node, parts=parts, wires=(("", "past"), ("past", "back"), ("back", "")))


def _fields(node: LIF) -> dict[str, Any]:
    return {each.name: getattr(node, each.name) for each in fields(node)}


register_neuron(Synaptic, convert_synaptic, counts=True)
