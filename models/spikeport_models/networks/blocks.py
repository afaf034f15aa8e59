"""What the networks are made of: a synapse, tdBN and a spiking neuron, in this order."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn

from spikeport.training.layers import Conv2d, Linear
from spikeport.training.methods import Method
from spikeport.training.neurons import NEURONS, Neuron
from spikeport.training.norm import TdBatchNorm


class Spiking(nn.Sequential):
    """``neuron(norm(synapse(x)))`` over [T, B, ...]."""

    def __init__(
        self, synapse: nn.Module, channels: int, method: Method, timesteps: int, neuron: str = "plif", **options: Any
    ) -> None:
        norm = TdBatchNorm(channels, method)
        cells = NEURONS[neuron](method, timesteps, norm=norm, channels=channels, **options)
        super().__init__(OrderedDict(synapse=synapse, norm=norm, neuron=cells))

    def forward(self, x: Tensor) -> Tensor:
        cells: Neuron = self.neuron  # type: ignore[assignment]
        return cells.normalised(self.synapse(x), self.norm)  # type: ignore[arg-type]


def spiking_conv(
    inputs: int, outputs: int, method: Method, timesteps: int, *, kernel: int = 3, stride: int = 1, **options: Any
) -> Spiking:
    """Convolution without bias, padded to keep the size at stride 1."""
    synapse = Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=False)
    return Spiking(synapse, outputs, method, timesteps, **options)


def spiking_linear(inputs: int, outputs: int, method: Method, timesteps: int, **options: Any) -> Spiking:
    """Linear layer without bias."""
    return Spiking(Linear(inputs, outputs, bias=False), outputs, method, timesteps, **options)
