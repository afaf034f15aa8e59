"""A spiking multi-layer perceptron."""

from __future__ import annotations

import math
from typing import Unpack

from torch import nn

from spikeport.training.layers import Flatten, Linear
from spikeport.training.networks import Cells, Counts, Task, Width
from spikeport_models.networks.blocks import Blocks, scaled


def mlp(
    task: Task, *, hidden: Counts = (256, 256), width: Width = 1.0, events: bool = False, **cells: Unpack[Cells]
) -> nn.Module:
    """Linear-tdBN-neurons for each of ``hidden``, then Linear and the mean over time."""
    blocks = Blocks(task, cells)
    layers = blocks.begin(events)
    layers["flatten"] = Flatten()
    inputs = math.prod(task.input_shape)
    for number, neurons in enumerate(hidden, 1):
        layers[f"dense{number}"] = blocks.linear(inputs, scaled(neurons, width))
        inputs = scaled(neurons, width)
    return blocks.end(layers, Linear(inputs, task.classes))
