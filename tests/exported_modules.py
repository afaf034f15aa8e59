"""Spiking modules as people export them to ONNX: by hand, and of snnTorch, Norse and SpikingJelly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from spikeport.graph import LIF, CubaLIF

T = 5


@dataclass(frozen=True)
class Case:
    """How a module is built, what it takes, and the neuron layers that it is made of."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]  #: of one sample
    axis: int  #: that counts samples
    neurons: Mapping[type[LIF] | type[CubaLIF], int]

    def input_of(self, samples):
        """The shape of an input of so many samples."""
        return tuple(samples if at == self.axis else size for at, size in enumerate(self.shape))


class Frames(nn.Module):
    """[T, B, C, H, W]: residual, batch normalisation, a hard reset and one by subtraction, a mean over the logits."""

    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.c2, self.b2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.pool, self.fc = nn.AvgPool2d(2), nn.Linear(4 * 9, 3)
        self.b1.running_mean.uniform_(-0.1, 0.1)
        self.b2.running_var.uniform_(0.5, 2)

    def forward(self, x):
        v = torch.zeros(x.shape[1], 4, 6, 6)
        w, logits = torch.zeros_like(v), []
        for t in range(T):
            v = v + (self.b1(self.c1(x[t])) - v) / 2.0
            z = (v >= 0.25).float()
            v = torch.where(z > 0, torch.zeros_like(v), v)
            w = w * 0.75 + self.b2(self.c2(z))
            y = (w > 0.5).float()
            w = w - y * 0.5
            logits.append(self.fc(self.pool(z + y).flatten(1)))
        return torch.stack(logits).mean(0)


class Images(nn.Module):
    """[B, C, H, W], the same at each step: the current of the first step is the first membrane."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 6, 3), nn.Linear(6 * 4, 5)

    def forward(self, x):
        current, v, w, count = self.conv(x), None, None, 0
        for _ in range(T):
            v = current if v is None else v * 0.5 + current
            z = (v >= 1).float()
            v = v * (1 - z)
            inner = self.fc(nn.functional.max_pool2d(z, 2).flatten(1))
            w = inner if w is None else w * 0.75 + inner
            y = (w > 0.5).float()
            w, count = w - 0.5 * y, count + y
        return count / T


class Folded(nn.Module):
    """[T, B, 1, H, W], time folded into the batch for the convolution, as SpikingJelly's multi-step layers do."""

    def __init__(self):
        super().__init__()
        self.entry, self.last = nn.Conv2d(1, 3, 3), nn.Linear(48, 4)  # names that other modules have too

    def forward(self, x):
        currents = self.entry(x.flatten(0, 1)).view(T, x.shape[1], 3, 4, 4)
        v, total = torch.zeros_like(currents[0]), 0.0
        for t in range(T):
            v = 0.75 * v + 2 * currents[t]
            z = (v > 1).float()
            v, total = v - z, total + self.last(z.reshape(x.shape[1], 48))
        return total


class ReadTogether(Folded):
    """The same, and all steps' spikes go through the last layer at once: one reshape folds the batch, one does not."""

    def forward(self, x):
        currents = self.entry(x.flatten(0, 1)).view(T, x.shape[1], 3, 4, 4)
        v, spikes = torch.zeros_like(currents[0]), []
        for t in range(T):
            v = 0.75 * v + 2 * currents[t]
            spikes.append((v > 1).float())
            v = v - spikes[-1]
        return self.last(torch.stack(spikes).flatten(2)).mean(0)


class Repeated(Folded):
    """[B, 1, H, W], repeated over time before the convolution, as SpikingJelly's networks for images do."""

    def forward(self, x):
        return super().forward(x.unsqueeze(0).repeat(T, 1, 1, 1, 1))


class Grey(Folded):
    """[T, B, H, W] without an axis of channels, which the fold puts in."""

    def forward(self, x):
        currents = self.entry(x.reshape(-1, 1, 6, 6)).view(T, x.shape[1], 3, 4, 4)
        v, total = torch.zeros_like(currents[0]), 0.0
        for current in currents:
            v = 0.75 * v + 2 * current
            z = (v > 1).float()
            v, total = v - z, total + self.last(z.flatten(1))
        return total


class Recurrent(nn.Module):
    """[B, T, C]; its own spikes come back through a layer, from zeros at the first step."""

    def __init__(self):
        super().__init__()
        self.a, self.r, self.b = nn.Linear(6, 10), nn.Linear(10, 10), nn.Linear(10, 3)

    def forward(self, x):
        v, z, total = torch.zeros(x.shape[0], 10), torch.zeros(x.shape[0], 10), 0.0
        for t in range(T):
            v = 0.75 * v + self.a(x[:, t]) + self.r(z)
            z = (v > 0.5).float()
            v, total = v * (1 - z), total + self.b(z)
        return total


class Sequences(nn.Module):
    """[B, T, C]; a readout that adds up."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(12, 20), nn.Linear(20, 4)

    def forward(self, x):
        currents, v, total = self.a(x), 0.0, 0.0
        for t in range(T):
            v = 0.875 * v + currents[:, t]
            z = (v > 1).float()
            v, total = v - z, total + self.b(z)
        return total


def snntorch(kind, start, **options):
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(12, 16), nn.Linear(16, 5)
            self.lif1, self.lif2 = (getattr(snn, kind)(**options) for _ in range(2))

        def forward(self, x):
            a, b = getattr(self.lif1, start)(), getattr(self.lif2, start)()
            a, b = (s if isinstance(s, tuple) else (s,) for s in (a, b))
            trains = []
            for _ in range(T):
                z, *a = self.lif1(self.fc1(x), *a)
                y, *b = self.lif2(self.fc2(z), *b)
                trains.append(y)
            return torch.stack(trains).sum(0)

    return Net()


def norse():
    cells = pytest.importorskip("norse.torch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(12, 16), nn.Linear(16, 4)
            self.lif1, self.lif2 = cells.LIFCell(), cells.LIFCell()

        def forward(self, x):
            a, b, total = None, None, 0
            for _ in range(T):
                z, a = self.lif1(10 * self.fc1(x), a)
                y, b = self.lif2(5 * self.fc2(z), b)
                total = total + y
            return total

    return Net()


def spikingjelly(mode):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            conv = layer.Conv2d(2, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), neuron.LIFNode(v_threshold=0.5)
            self.net = nn.Sequential(*conv, layer.MaxPool2d(2), layer.Flatten(), layer.Linear(36, 10), neuron.IFNode())
            functional.set_step_mode(self.net, mode)

        def forward(self, x):
            functional.reset_net(self.net)
            return self.net(x).sum(0) if mode == "m" else sum(self.net(x) for _ in range(T))

    return Net()


CASES = {
    "frames": Case(Frames, (T, 1, 2, 6, 6), 1, {LIF: 2}),
    "images": Case(Images, (1, 1, 6, 6), 0, {LIF: 3}),  # the maximum of spikes is a layer without memory
    "sequences": Case(Sequences, (1, T, 12), 0, {LIF: 1}),
    "folded": Case(Folded, (T, 1, 1, 6, 6), 1, {LIF: 1}),
    "repeated": Case(Repeated, (1, 1, 6, 6), 0, {LIF: 1}),
    "grey": Case(Grey, (T, 1, 6, 6), 1, {LIF: 1}),
    "read together": Case(ReadTogether, (T, 1, 1, 6, 6), 1, {LIF: 1}),
    "recurrent": Case(Recurrent, (1, T, 6), 0, {LIF: 1}),
    "snntorch Leaky": Case(lambda: snntorch("Leaky", "init_leaky", beta=0.9), (1, 12), 0, {LIF: 2}),
    "snntorch Leaky, zero": Case(
        lambda: snntorch("Leaky", "init_leaky", beta=0.8, reset_mechanism="zero"), (1, 12), 0, {LIF: 2}
    ),
    "snntorch Synaptic": Case(
        lambda: snntorch("Synaptic", "init_synaptic", alpha=0.7, beta=0.8), (1, 12), 0, {CubaLIF: 2}
    ),
    "norse LIFCell": Case(norse, (1, 12), 0, {CubaLIF: 2}),
}
