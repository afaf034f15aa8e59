"""VGGSNN: the network for event cameras of MPD-AGL's code."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from spikeport.findings import require
from spikeport.training.layers import AvgPool2d, Flatten, Linear, Readout, Repeat, start_weights
from spikeport.training.methods import Method
from spikeport_models.networks.blocks import spiking_conv

PLAN = (64, 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")  #: models/VGGSNN.py:22-83


def vggsnn(
    input_shape: tuple[int, ...],
    classes: int,
    timesteps: int,
    method: Method,
    *,
    width: float = 1.0,
    events: bool = True,
    neuron: str = "plif",
    reset: str = "zero",
    detach_reset: bool = False,
    train_threshold: bool = False,
) -> nn.Module:
    """Eight spiking 3x3 convolutions with 2x2 average pools between, then one linear layer with bias.

    9,268,754 parameters for 2x48x48 and 10 classes. Raises SP314 for images smaller than 16x16.
    """
    inputs, height, width_in = input_shape
    require(min(height, width_in) >= 16, "SP314", f"{height}x{width_in} pixels do not survive four 2x2 pools")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if not events:
        layers["repeat"] = Repeat(timesteps)
    convolutions = pools = 0
    for step in PLAN:
        if isinstance(step, str):
            pools += 1
            layers[f"pool{pools}"] = AvgPool2d(2)
            continue
        convolutions += 1
        outputs = max(1, round(step * width))
        layers[f"conv{convolutions}"] = spiking_conv(
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
    layers["flatten"] = Flatten()
    layers["classify"] = Linear(inputs * (height // 16) * (width_in // 16), classes)
    layers["readout"] = Readout(timesteps)
    module = nn.Sequential(layers)
    start_weights(module)
    return module
