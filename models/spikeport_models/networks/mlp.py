"""A spiking multi-layer perceptron."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from spikeport.training.layers import Flatten, Linear, Readout, Repeat
from spikeport.training.methods import Method
from spikeport_models.networks.blocks import spiking_linear


def mlp(
    input_shape: tuple[int, ...],
    classes: int,
    timesteps: int,
    method: Method,
    *,
    hidden: Sequence[int] = (256, 256),
    width: float = 1.0,
    events: bool = False,
    neuron: str = "plif",
    reset: str = "zero",
    detach_reset: bool = False,
    train_threshold: bool = False,
) -> nn.Module:
    """Linear-tdBN-neurons for each of ``hidden``, then Linear and the mean over time."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if not events:
        layers["repeat"] = Repeat(timesteps)
    layers["flatten"] = Flatten()
    inputs = math.prod(input_shape)
    for number, wanted in enumerate(hidden, 1):
        outputs = max(1, round(wanted * width))
        layers[f"dense{number}"] = spiking_linear(
            inputs,
            outputs,
            method,
            timesteps,
            neuron=neuron,
            reset=reset,
            detach_reset=detach_reset,
            train_threshold=train_threshold,
        )
        inputs = outputs
    layers["classify"] = Linear(inputs, classes)
    layers["readout"] = Readout(timesteps)
    return nn.Sequential(layers)
