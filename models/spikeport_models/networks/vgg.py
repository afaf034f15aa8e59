"""VGGSNN: the network for event cameras of MPD-AGL's code."""

from __future__ import annotations

from typing import Unpack

from torch import nn

from spikeport.findings import require
from spikeport.training.layers import AvgPool2d, Flatten, Linear
from spikeport.training.networks import Cells, Task, Width
from spikeport_models.networks.blocks import Blocks, scaled

PLAN = ((64, 128), (256, 256), (512, 512), (512, 512))  #: channels between the pools; models/VGGSNN.py:22-83


def vggsnn(task: Task, *, width: Width = 1.0, events: bool = True, **cells: Unpack[Cells]) -> nn.Module:
    """Eight spiking 3x3 convolutions with 2x2 average pools between, then one linear layer with bias.

    9,268,754 parameters for 2x48x48 and 10 classes. Raises SP314 for images smaller than 16x16.
    """
    inputs, rows, columns = task.input_shape
    require(min(rows, columns) >= 16, "SP314", f"{rows}x{columns} pixels do not survive four 2x2 pools")
    blocks = Blocks(task, cells)
    layers = blocks.begin(events)
    number = 0
    for stage, plan in enumerate(PLAN, 1):
        for outputs in (scaled(channels, width) for channels in plan):
            number += 1
            layers[f"conv{number}"] = blocks.conv(inputs, outputs)
            inputs = outputs
        layers[f"pool{stage}"] = AvgPool2d(2)
    layers["flatten"] = Flatten()
    return blocks.end(layers, Linear(inputs * (rows // 16) * (columns // 16), task.classes))
