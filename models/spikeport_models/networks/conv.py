"""A small convolutional network: spiking convolutions, one spiking dense layer, and a readout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack

from torch import nn

from spikeport.findings import require
from spikeport.training.layers import AvgPool2d, Flatten, Linear
from spikeport.training.networks import Cells, Count, Task, Width
from spikeport_models.networks.blocks import Blocks, scaled


def conv(
    task: Task,
    *,
    channels: Sequence[Count] = (16, 32),
    strides: Sequence[Count] = (1, 2),
    kernels: Sequence[Count] | None = None,
    hidden: Count = 64,
    pool: Count = 1,
    events: bool = False,
    width: Width = 1.0,
    **cells: Unpack[Cells],
) -> nn.Module:
    """Convolutions with tdBN and neurons, then Linear-tdBN-neurons, then Linear and the mean over time.

    ``channels``, ``strides`` and ``kernels`` (3 each by default) have one entry a convolution; ``pool`` averages
    windows of that size before the dense layer; ``width`` multiplies ``channels`` and ``hidden``; ``events`` takes
    [T, B, C, H, W] instead of [B, C, H, W].
    """
    kernels = (3,) * len(channels) if kernels is None else kernels
    require(
        len(channels) == len(strides) == len(kernels),
        "SP314",
        f"{len(channels)} channels, {len(strides)} strides and {len(kernels)} kernels",
        mend="give one stride and one kernel a convolution",
    )
    blocks = Blocks(task, cells)
    layers = blocks.begin(events)
    inputs, *size = task.input_shape
    for number, (count, stride, kernel) in enumerate(zip(channels, strides, kernels, strict=True), 1):
        outputs = scaled(count, width)
        layers[f"conv{number}"] = blocks.conv(inputs, outputs, kernel=kernel, stride=stride)
        inputs, size = outputs, [(n + (kernel - 1) // 2 * 2 - kernel) // stride + 1 for n in size]
    if pool > 1:
        layers["pool"] = AvgPool2d(pool)
        size = [n // pool for n in size]
    mend = "smaller kernels, strides or pool"
    require(min(size) >= 1, "SP314", f"no pixel of {list(task.input_shape)} is left for the dense layer", mend=mend)
    dense = scaled(hidden, width)
    layers["flatten"] = Flatten()
    layers["dense"] = blocks.linear(inputs * math.prod(size), dense)
    return blocks.end(layers, Linear(dense, task.classes))
