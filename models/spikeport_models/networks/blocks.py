"""What the networks are made of: a synapse, tdBN and a spiking neuron, in this order."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikeport.training import cells
from spikeport.training.layers import Conv2d, Linear, Readout, Repeat, start_weights
from spikeport.training.networks import Cells, Task
from spikeport.training.neurons import Neuron
from spikeport.training.norm import TdBatchNorm
from spikeport.training.step_norms import norm_of
from spikeport.training.traces import by_traces

Layers = OrderedDict[str, nn.Module]


class Spiking(nn.Sequential):
    """``neuron(norm(synapse(x)))`` over [T, B, ...]."""

    def forward(self, x: Tensor) -> Tensor:
        synapse: nn.Module = self.synapse  # type: ignore[assignment]
        neuron: Neuron = self.neuron  # type: ignore[assignment]
        online = self.training and neuron.gradient == "ottt"
        current = by_traces(synapse, x, neuron.decay) if online else synapse(x)
        return neuron.normalised(current, self.norm)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Blocks:
    """What all layers of one network share; makes its spiking layers, its beginning and its end."""

    task: Task
    cells: Cells

    def neurons(self, norm: TdBatchNorm) -> Neuron:
        """Neurons behind a normalisation."""
        return self._neurons(norm, norm.channels)

    def bare_neurons(self, channels: int) -> Neuron:
        """Neurons without a normalisation before them."""
        return self._neurons(None, channels)

    def _neurons(self, norm: TdBatchNorm | None, channels: int) -> Neuron:
        return cells.neurons(self.task, self.cells, norm=norm, channels=channels)

    def norm(self, channels: int) -> TdBatchNorm:
        """The normalisation that the network has."""
        return norm_of(self.cells.get("norm", "tdbn"), channels, self.task.method, self.task.timesteps)

    def spiking(self, synapse: nn.Module, channels: int) -> Spiking:
        """A synapse with tdBN and neurons."""
        norm = self.norm(channels)
        return Spiking(OrderedDict(synapse=synapse, norm=norm, neuron=self.neurons(norm)))

    def conv(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> Spiking:
        """Convolution without bias, padded to keep the size at stride 1."""
        return self.spiking(Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=False), outputs)

    def linear(self, inputs: int, outputs: int) -> Spiking:
        """Linear layer without bias."""
        return self.spiking(Linear(inputs, outputs, bias=False), outputs)

    def begin(self, events: bool) -> Layers:
        """No layer yet for event frames [T, B, C, H, W]; images [B, C, H, W] are repeated."""
        return OrderedDict() if events else OrderedDict(repeat=Repeat(self.task.timesteps))

    def end(self, layers: Layers, classify: nn.Module) -> nn.Sequential:
        """The network: behind its layers the classes, and their mean over time."""
        module = nn.Sequential(OrderedDict(**layers, classify=classify, readout=Readout(self.task.timesteps)))
        start_weights(module)
        return module


def fade(readout: Readout, memory: float, total: float = 1.0) -> None:
    """Give the steps the weights ``memory ** (T - 1 - t)``, 0 ... 1, which add up to ``total``."""
    weight = memory ** torch.arange(readout.timesteps - 1, -1, -1, dtype=torch.float64)
    readout.weight.copy_(total * weight / weight.sum())


def scaled(channels: int, width: float) -> int:
    """So many channels times ``width``, at least one."""
    return max(1, round(channels * width))
