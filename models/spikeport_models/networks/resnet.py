"""Residual networks: ResNet-19 of both papers, and SEW-ResNet-18 and -34."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from spikeport.findings import require
from spikeport.training.layers import (
    AvgPool2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    Readout,
    Repeat,
    start_weights,
)
from spikeport.training.methods import Method
from spikeport.training.neurons import NEURONS
from spikeport.training.norm import TdBatchNorm
from spikeport_models.networks.blocks import spiking_conv, spiking_linear

Residual = Literal["sew", "plain"]


class SewBlock(nn.Module):
    """conv-tdBN-spike-conv-tdBN-spike, and the identity is added after the spike: whole numbers leave it.

    Source: Fang et al. 2021 (SEW ADD); ResNet19.py:39-49 of MPD-AGL, 42-51 of DS-ATGO.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, method: Method, timesteps: int, **options: Any) -> None:
        super().__init__()
        self.conv1 = spiking_conv(inputs, outputs, method, timesteps, stride=stride, **options)
        self.conv2 = spiking_conv(outputs, outputs, method, timesteps, **options)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = spiking_conv(inputs, outputs, method, timesteps, kernel=1, stride=stride, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x)) + self.skip(x)  # type: ignore[no-any-return]


class PlainBlock(nn.Module):
    """conv-tdBN-spike-conv-tdBN, the identity is added to the current, then a spike: zeros and ones leave it.

    Source: Zheng et al. 2021 (tdBN), figure 3.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        method: Method,
        timesteps: int,
        neuron: str = "plif",
        **options: Any,
    ) -> None:
        super().__init__()
        self.conv1 = spiking_conv(inputs, outputs, method, timesteps, stride=stride, neuron=neuron, **options)
        self.conv2 = Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = TdBatchNorm(outputs, method)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            shortcut = Conv2d(inputs, outputs, 1, stride, bias=False)
            self.skip = nn.Sequential(OrderedDict(synapse=shortcut, norm=TdBatchNorm(outputs, method)))
        self.neuron = NEURONS[neuron](method, timesteps, norm=self.norm2, channels=outputs, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.norm2(self.conv2(self.conv1(x))) + self.skip(x))  # type: ignore[no-any-return]


BLOCKS: dict[str, type[nn.Module]] = {"sew": SewBlock, "plain": PlainBlock}


def resnet19(
    input_shape: tuple[int, ...],
    classes: int,
    timesteps: int,
    method: Method,
    *,
    residual: Residual = "sew",
    width: float = 1.0,
    events: bool = False,
    neuron: str = "plif",
    reset: str = "zero",
    detach_reset: bool = False,
    train_threshold: bool = False,
    readout_bias: bool = False,
) -> nn.Module:
    """ResNet-19: 3, 3 and 2 blocks of 128, 256 and 512 channels, a dense spiking layer of 256, no biases.

    Source: ResNet19.py of both public codes; 12,698,260 parameters for 3x32x32 and 10 classes. The last layer had a
    bias (``readout_bias``) in earlier revisions of MPD-AGL's code.
    """
    options: dict[str, Any] = {
        "neuron": neuron,
        "reset": reset,
        "detach_reset": detach_reset,
        "train_threshold": train_threshold,
    }
    wide = [max(1, round(n * width)) for n in (128, 256, 512)]
    layers = _start(timesteps, events)
    layers["encode"] = spiking_conv(input_shape[0], wide[0], method, timesteps, **options)
    inputs = _stages(layers, wide, (3, 3, 2), wide[0], residual, method, timesteps, options)
    dense = max(1, round(256 * width))
    layers["pool"] = GlobalAvgPool2d()
    layers["flatten"] = Flatten()
    layers["dense"] = spiking_linear(inputs, dense, method, timesteps, **options)
    layers["classify"] = Linear(dense, classes, bias=readout_bias)
    return _end(layers, timesteps)


def sew_resnet(
    input_shape: tuple[int, ...],
    classes: int,
    timesteps: int,
    method: Method,
    *,
    depth: int = 18,
    residual: Residual = "sew",
    width: float = 1.0,
    stem: Literal["imagenet", "small"] = "imagenet",
    events: bool = False,
    neuron: str = "plif",
    reset: str = "zero",
    detach_reset: bool = False,
    train_threshold: bool = False,
) -> nn.Module:
    """ResNet-18 or -34 with SEW ADD (Fang et al. 2021). ``stem`` small is a 3x3 convolution, for 32x32 and less.

    The 3x3 pool of the stem is an average, not a maximum: a sum of spikes is something that hardware computes.
    """
    blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
    require(depth in blocks, "SP314", f"there is no ResNet-{depth}", mend="depth is 18 or 34")
    options: dict[str, Any] = {
        "neuron": neuron,
        "reset": reset,
        "detach_reset": detach_reset,
        "train_threshold": train_threshold,
    }
    wide = [max(1, round(n * width)) for n in (64, 128, 256, 512)]
    layers = _start(timesteps, events)
    if stem == "imagenet":
        layers["encode"] = spiking_conv(input_shape[0], wide[0], method, timesteps, kernel=7, stride=2, **options)
        layers["reduce"] = AvgPool2d(3, stride=2, padding=1)
    else:
        layers["encode"] = spiking_conv(input_shape[0], wide[0], method, timesteps, **options)
    inputs = _stages(layers, wide, blocks[depth], wide[0], residual, method, timesteps, options)
    layers["pool"] = GlobalAvgPool2d()
    layers["flatten"] = Flatten()
    layers["classify"] = Linear(inputs, classes)
    return _end(layers, timesteps)


def _start(timesteps: int, events: bool) -> OrderedDict[str, nn.Module]:
    return OrderedDict() if events else OrderedDict(repeat=Repeat(timesteps))


def _stages(
    layers: OrderedDict[str, nn.Module],
    wide: Sequence[int],
    blocks: Sequence[int],
    inputs: int,
    residual: Residual,
    method: Method,
    timesteps: int,
    options: dict[str, Any],
) -> int:
    """Add the stages; the first block of each but the first halves the image. Returns the channels that leave."""
    require(residual in BLOCKS, "SP314", f"there is no residual {residual!r}", mend="residual is sew or plain")
    for stage, (outputs, count) in enumerate(zip(wide, blocks, strict=True), 1):
        for number in range(1, count + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            block = BLOCKS[residual](inputs, outputs, stride, method, timesteps, **options)
            layers[f"stage{stage}_{number}"] = block
            inputs = outputs
    return inputs


def _end(layers: OrderedDict[str, nn.Module], timesteps: int) -> nn.Module:
    layers["readout"] = Readout(timesteps)
    module = nn.Sequential(layers)
    start_weights(module)
    return module
