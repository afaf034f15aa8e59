"""spikeport's own neurons as nodes."""

from __future__ import annotations

import numpy as np

from spikeport.findings import fail
from spikeport.graph import LIF
from spikeport.tracing.registry import array, register_neuron
from spikeport.training.neurons import Neuron


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
