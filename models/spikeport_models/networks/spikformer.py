"""Spikformer: spiking self-attention without softmax, on patches that three convolutions make."""

from __future__ import annotations

from collections import OrderedDict
from typing import Unpack

from torch import Tensor, nn

from spikeport.findings import require
from spikeport.training.layers import Flatten, GlobalAvgPool2d, Linear
from spikeport.training.networks import Cells, Count, Task, Width
from spikeport.training.neurons import Neuron
from spikeport_models.networks.blocks import Blocks, scaled


class Attention(nn.Module):
    """``project(neuron(q (k^T v) * scale))`` over [T, B, C, H, W]; C is split into heads, H x W are the tokens.

    Zhou et al., ICLR 2023, eq. 5-8. Of spikes no product needs a softmax, so k^T v comes first: C/heads rows instead of
    one a token.
    """

    scale = 0.125  #: the paper's; a constant, which the neurons behind take into their thresholds

    def __init__(self, channels: int, heads: int, blocks: Blocks) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.project = (blocks.conv(channels, channels, kernel=1) for _ in range(4))
        self.neuron: Neuron = blocks.bare_neurons(channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._rows(part(x)) for part in (self.q, self.k, self.v))  # [T, B, heads, C/heads, tokens]
        mixed = (v @ k.transpose(-2, -1)) @ q
        spikes: Tensor = self.project(self.neuron(mixed.reshape(x.shape) * self.scale))
        return spikes

    def _rows(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, x.shape[2] // self.heads, -1)


class Position(nn.Module):
    """``x + conv(x)``: where a token lies, told by its neighbours (Zhou et al., ICLR 2023, eq. 3: RPE)."""

    def __init__(self, channels: int, blocks: Blocks) -> None:
        super().__init__()
        self.near = blocks.conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.near(x)
        return y


class Encoder(nn.Module):
    """``y = x + attention(x)``, then ``y + mlp(y)``: sums of spikes."""

    def __init__(self, channels: int, heads: int, ratio: int, blocks: Blocks) -> None:
        super().__init__()
        self.attention = Attention(channels, heads, blocks)
        self.widen = blocks.conv(channels, ratio * channels, kernel=1)
        self.narrow = blocks.conv(ratio * channels, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.attention(x)
        return y + self.narrow(self.widen(y))  # type: ignore[no-any-return]


def spikformer(
    task: Task,
    *,
    channels: Count = 64,
    depth: Count = 2,
    heads: Count = 4,
    ratio: Count = 2,
    events: bool = False,
    width: Width = 1.0,
    **cells: Unpack[Cells],
) -> nn.Module:
    """Three 3x3 convolutions, two of stride 2; ``depth`` encoders of ``channels``, and the mean over the tokens.

    ``ratio`` is how much wider the hidden layer of an encoder is; ``width`` multiplies ``channels``; ``events`` takes
    [T, B, C, H, W] instead of [B, C, H, W]. Raises SP314 where the channels do not divide into heads.
    """
    channels = scaled(channels, width)
    what = f"{channels} channels do not divide into {heads} heads and by 2"
    require(channels % (2 * heads) == 0, "SP314", what, mend=f"channels (times width) in steps of {2 * heads}")
    blocks = Blocks(task, cells)
    layers = blocks.begin(events)
    layers["patch1"] = blocks.conv(task.input_shape[0], channels // 2)
    layers["patch2"] = blocks.conv(channels // 2, channels, stride=2)
    layers["patch3"] = blocks.conv(channels, channels, stride=2)
    layers["position"] = Position(channels, blocks)
    for number in range(1, depth + 1):
        layers[f"encoder{number}"] = Encoder(channels, heads, ratio, blocks)
    layers |= OrderedDict(pool=GlobalAvgPool2d(), flatten=Flatten())
    return blocks.end(layers, Linear(channels, task.classes))
