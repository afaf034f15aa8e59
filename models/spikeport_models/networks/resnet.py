"""Residual networks: ResNet-19 of both papers, and SEW-ResNet-18 and -34."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Literal, Unpack

from torch import Tensor, nn

from spikeport.training.layers import AvgPool2d, Conv2d, Flatten, GlobalAvgPool2d, Linear
from spikeport.training.networks import Cells, Task, Width
from spikeport_models.networks.blocks import Blocks, Layers, scaled

Residual = Literal["sew", "plain"]


class SewBlock(nn.Module):
    """conv-tdBN-spike-conv-tdBN-spike, and the identity is added after the spike: whole numbers leave it.

    Source: Fang et al. 2021 (SEW ADD); ResNet19.py:39-49 of MPD-AGL, 42-51 of DS-ATGO.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, blocks: Blocks) -> None:
        super().__init__()
        self.conv1 = blocks.conv(inputs, outputs, stride=stride)
        self.conv2 = blocks.conv(outputs, outputs)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = blocks.conv(inputs, outputs, kernel=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x)) + self.skip(x)  # type: ignore[no-any-return]


class PlainBlock(nn.Module):
    """conv-tdBN-spike-conv-tdBN, the identity is added to the current, then a spike: zeros and ones leave it.

    Source: Zheng et al. 2021 (tdBN), figure 3.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, blocks: Blocks) -> None:
        super().__init__()
        self.conv1 = blocks.conv(inputs, outputs, stride=stride)
        self.conv2 = Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = blocks.norm(outputs)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            shortcut = Conv2d(inputs, outputs, 1, stride, bias=False)
            self.skip = nn.Sequential(OrderedDict(synapse=shortcut, norm=blocks.norm(outputs)))
        self.neuron = blocks.neurons(self.norm2)

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.norm2(self.conv2(self.conv1(x))) + self.skip(x))  # type: ignore[no-any-return]


BLOCKS: dict[str, type[SewBlock | PlainBlock]] = {"sew": SewBlock, "plain": PlainBlock}


def resnet19(
    task: Task,
    *,
    residual: Residual = "sew",
    width: Width = 1.0,
    events: bool = False,
    readout_bias: bool = False,
    **cells: Unpack[Cells],
) -> nn.Module:
    """ResNet-19: 3, 3 and 2 blocks of 128, 256 and 512 channels, a dense spiking layer of 256, no biases.

    Source: ResNet19.py of both public codes; 12,698,260 parameters for 3x32x32 and 10 classes. The last layer had a
    bias (``readout_bias``) in earlier revisions of MPD-AGL's code.
    """
    blocks = Blocks(task, cells)
    channels = [scaled(count, width) for count in (128, 256, 512)]
    layers = blocks.begin(events)
    layers["encode"] = blocks.conv(task.input_shape[0], channels[0])
    _add_stages(layers, blocks, channels, (3, 3, 2), residual)
    dense = scaled(256, width)
    layers["dense"] = blocks.linear(channels[-1], dense)
    return blocks.end(layers, Linear(dense, task.classes, bias=readout_bias))


def sew_resnet(
    task: Task,
    *,
    depth: Literal[18, 34] = 18,
    residual: Residual = "sew",
    width: Width = 1.0,
    stem: Literal["imagenet", "small"] = "imagenet",
    events: bool = False,
    **cells: Unpack[Cells],
) -> nn.Module:
    """ResNet-18 or -34 with SEW ADD (Fang et al. 2021). ``stem`` small is a 3x3 convolution, for 32x32 and less.

    The 3x3 pool of the stem is an average, not a maximum: a sum of spikes is something that hardware computes.
    """
    counts = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
    blocks = Blocks(task, cells)
    channels = [scaled(count, width) for count in (64, 128, 256, 512)]
    layers = blocks.begin(events)
    if stem == "imagenet":
        layers["encode"] = blocks.conv(task.input_shape[0], channels[0], kernel=7, stride=2)
        layers["reduce"] = AvgPool2d(3, stride=2, padding=1)
    else:
        layers["encode"] = blocks.conv(task.input_shape[0], channels[0])
    _add_stages(layers, blocks, channels, counts[depth], residual)
    return blocks.end(layers, Linear(channels[-1], task.classes))


sew_resnet18, sew_resnet34 = partial(sew_resnet, depth=18), partial(sew_resnet, depth=34)


def _add_stages(
    layers: Layers, blocks: Blocks, channels: Sequence[int], counts: Sequence[int], residual: Residual
) -> None:
    """Add ``counts`` blocks a stage, each but the first stage halving the image, and the mean over space."""
    inputs = channels[0]
    for stage, (outputs, count) in enumerate(zip(channels, counts, strict=True), 1):
        for number in range(1, count + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            layers[f"stage{stage}_{number}"] = BLOCKS[residual](inputs, outputs, stride, blocks)
            inputs = outputs
    layers["pool"] = GlobalAvgPool2d()
    layers["flatten"] = Flatten()
