"""Spiking modules whose loops over time torch.jit.script keeps as loops, as the older exporter writes them to ONNX."""

from __future__ import annotations

import torch
from torch import Tensor, nn

T = 5


class Stepped(nn.Module):
    """[T, B, 12]: as many steps as the input has frames."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.last = nn.Linear(12, 8), nn.Linear(8, 3)

    def forward(self, x):
        v, total = torch.zeros(x.size(1), 8), torch.zeros(x.size(1), 3)
        for t in range(x.size(0)):
            v = 0.9 * v + self.fc(x[t])
            z = (v > 0.5).float()
            v, total = v * (1 - z), total + self.last(z)
        return total


class Listed(Stepped):
    """What each step gives goes into a list, which is stacked; two outputs."""

    def forward(self, x):
        v, logits, spikes = torch.zeros(x.size(1), 8), [], []
        for frame in x:
            v = 0.9 * v + self.fc(frame)
            z = (v > 0.5).float()
            v = v - 0.5 * z
            logits.append(self.last(z))
            spikes.append(z)
        return torch.stack(logits), torch.stack(spikes)


class Unbound(Stepped):
    """[B, T, 12], taken apart into frames."""

    def forward(self, x):
        v, total = torch.zeros(x.size(0), 8), torch.zeros(x.size(0), 3)
        for frame in x.unbind(1):
            v = 0.9 * v + self.fc(frame)
            z = (v > 0.5).float()
            v, total = v * (1 - z), total + self.last(z)
        return total


class Begun(Stepped):
    """The first step is another: a branch in the loop. The loop says itself whether it goes on."""

    def forward(self, x):
        v, total, t = torch.zeros(x.size(1), 8), torch.zeros(x.size(1), 3), 0
        while t < x.size(0):
            current = self.fc(x[t])
            v = current if t == 0 else 0.9 * v + current
            z = (v > 0.5).float()
            v, total, t = v * (1 - z), total + self.last(z), t + 1
        return total


class NoneYet(Stepped):
    """A membrane that is None before the first step."""

    def forward(self, x):
        v: Tensor | None = None
        total = torch.zeros(x.size(1), 3)
        for t in range(x.size(0)):
            current = self.fc(x[t])
            v = current if v is None else 0.9 * v + current
            z = (v > 0.5).float()
            v, total = v * (1 - z), total + self.last(z)
        return total


class Held(nn.Module):
    """A list of membranes, one a layer, each taken out and put back; soft resets."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(12, 8), nn.Linear(8, 3)])

    def forward(self, x):
        membranes = [torch.zeros(x.size(1), 8), torch.zeros(x.size(1), 3)]
        total = torch.zeros(x.size(1), 3)
        for t in range(x.size(0)):
            h = x[t]
            for place, layer in enumerate(self.layers):
                v = 0.9 * membranes[place] + layer(h)
                h = (v > 0.25).float()
                membranes[place] = v - 0.25 * h
            total = total + h
        return total


class Fed(nn.Module):
    """[B, T, 12]; spikes come back through a layer, and currents are ready before the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.back, self.last = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        currents = self.fc(x)
        v, z = torch.zeros_like(currents[:, 0]), torch.zeros_like(currents[:, 0])
        total = torch.zeros(x.size(0), 3)
        for t in range(currents.size(1)):
            v = 0.75 * v + currents[:, t] + self.back(z)
            z = (v > 0.5).float()
            v, total = v * (1 - z), total + self.last(z)
        return total


class Maps(nn.Module):
    """[T, B, 1, 6, 6]: convolutions, batch normalisation and a pool in the body."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.norm, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.MaxPool2d(2)
        self.c2, self.fc = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(36, 3)
        self.norm.running_mean.uniform_(-0.1, 0.1)

    def forward(self, x):
        v, w = torch.zeros(x.size(1), 4, 6, 6), torch.zeros(x.size(1), 4, 3, 3)
        logits: list[Tensor] = []
        for t in range(x.size(0)):
            v = v + (self.norm(self.c1(x[t])) - v) / 2.0
            z = (v >= 0.25).float()
            v = torch.where(z > 0, torch.zeros_like(v), v)
            w = 0.75 * w + self.c2(self.pool(z))
            y = (w > 0.25).float()
            w = w - 0.25 * y
            logits.append(self.fc(y.flatten(1)))
        return torch.stack(logits, 1).mean(1)


class Early(Stepped):
    """Stops once enough has fired: how often it runs is a value of the input."""

    def forward(self, x):
        v, total, t = torch.zeros(x.size(1), 8), torch.zeros(x.size(1), 3), 0
        while t < x.size(0) and bool(total.sum() < 1.0):
            v = 0.9 * v + self.fc(x[t])
            z = (v > 0.5).float()
            v, total, t = v * (1 - z), total + self.last(z), t + 1
        return total


class Silenced(Stepped):
    """Resets all neurons once one of them fires: a branch by a value of the input."""

    def forward(self, x):
        v, total = torch.zeros(x.size(1), 8), torch.zeros(x.size(1), 3)
        for t in range(x.size(0)):
            v = 0.9 * v + self.fc(x[t])
            z = (v > 0.5).float()
            if bool(z.sum() > 0):
                v = v * 0.0
            total = total + self.last(z)
        return total


#: a module, the shape of one sample, and the axis that counts samples
SCRIPTED = {
    "a loop": (Stepped, (T, 1, 12), 1),
    "lists": (Listed, (T, 1, 12), 1),
    "unbind": (Unbound, (1, T, 12), 0),
    "while, and a branch": (Begun, (T, 1, 12), 1),
    "None at the start": (NoneYet, (T, 1, 12), 1),
    "a list of membranes": (Held, (T, 1, 12), 1),
    "recurrent": (Fed, (1, T, 12), 0),
    "maps": (Maps, (T, 1, 1, 6, 6), 1),
}
