"""Networks that snnTorch's tutorials describe, in our own words: layers, sizes and decays are theirs."""

from __future__ import annotations

import snntorch
import torch
from snntorch import utils
from torch import nn


def cells(beta: float, **options) -> nn.Module:
    return snntorch.Leaky(beta=beta, init_hidden=True, **options)


def convolutional() -> nn.Module:
    """Tutorial 6: 12C5-MP2-64C5-MP2-1024FC10 on 28 x 28 digits, one step a call; returns spikes and membranes."""
    first = [nn.Conv2d(1, 12, 5), nn.MaxPool2d(2), cells(0.5)]
    second = [nn.Conv2d(12, 64, 5), nn.MaxPool2d(2), cells(0.5)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(64 * 4 * 4, 10), cells(0.5, output=True))


class OverEvents(nn.Module):
    """Tutorial 7: 12C5-MP2-32C5-MP2-800FC10 on frames of N-MNIST, [T, B, 2, 34, 34], in a loop over time."""

    def __init__(self):
        super().__init__()
        first = [nn.Conv2d(2, 12, 5), nn.MaxPool2d(2), cells(0.5)]
        second = [nn.Conv2d(12, 32, 5), nn.MaxPool2d(2), cells(0.5)]
        self.net = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32 * 5 * 5, 10), cells(0.5, output=True))

    def forward(self, frames):
        utils.reset(self.net)
        return torch.stack([self.net(frame)[0] for frame in frames])


class Regression(nn.Module):
    """The regression tutorial: learned decays, and the last membrane, which is never reset, is the answer."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(1, 16), snntorch.Leaky(beta=0.9, learn_beta=True)
        self.fc2, self.lif2 = nn.Linear(16, 16), snntorch.Leaky(beta=torch.linspace(0.2, 0.9, 16), learn_beta=True)
        self.out, self.last = nn.Linear(16, 1), snntorch.Leaky(beta=0.8, learn_beta=True, reset_mechanism="none")

    def forward(self, x):
        first, second, last = (neurons.init_leaky() for neurons in (self.lif1, self.lif2, self.last))
        membranes = []
        for step in x:
            spikes, first = self.lif1(self.fc1(step), first)
            spikes, second = self.lif2(self.fc2(spikes), second)
            _, last = self.last(self.out(spikes), last)
            membranes.append(last)
        return torch.stack(membranes)


class Stacked(nn.Module):
    """What SpikingJelly's NonSpikingLIFNode returns without a decoder, a list of steps, as one tensor."""

    def forward(self, steps):
        return torch.stack(steps)
