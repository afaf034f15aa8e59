"""Networks as public repositories write them, in our own words and small: shared by tests and the zoo."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Loop(nn.Module):
    """[T, B, ...]: u = 0.25 u + x, fires above 0.5, resets to zero."""

    def forward(self, x):
        u, spikes = 0.0, torch.zeros_like(x)
        for t in range(x.shape[0]):
            u = 0.25 * u + x[t]
            spikes[t] = (u > 0.5).to(x.dtype)
            u = u * (1 - spikes[t])
        return spikes


class Residual(nn.Module):
    """MS-ResNet pools [T, B, C, H, W] by 3-d pools whose first window holds one channel."""

    def __init__(self):
        super().__init__()
        self.conv, self.loop, self.fc = nn.Conv2d(2, 4, 3, padding=1), Loop(), nn.Linear(4, 3)
        self.conv.weight.data.mul_(4)
        self.pool = nn.AvgPool3d((1, 2, 2))

    def forward(self, x):
        x, _ = torch.broadcast_tensors(x, torch.zeros((3, *x.shape)))
        spikes = self.loop(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        pooled = F.max_pool3d(self.loop(self.pool(spikes)), (1, 2, 2))
        return self.fc(F.adaptive_avg_pool3d(pooled, (None, 1, 1)).flatten(2)).sum(0)


class FromStart(nn.Module):
    """Zenke's tutorial: membranes are recorded from their start at zero, and each step adds the last current."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(5, 8)), nn.Parameter(torch.randn(8, 3) - 1)

    def forward(self, x):
        current = u = torch.zeros(len(x), 8)
        recorded, membranes = [], [torch.zeros(len(x), 3)]
        for t in range(x.shape[1]):
            spikes = (u - 1 > 0).to(x.dtype)
            recorded.append(spikes)
            charged = torch.lerp(torch.zeros_like(u), u, 0.9) + current
            current, u = 0.8 * current + x[:, t] @ self.first, charged * (1 - spikes)
        flow = torch.zeros(len(x), 3)
        for step in torch.einsum("btc,cd->btd", torch.stack(recorded, 1), self.second).unbind(1):
            membranes.append(0.9 * membranes[-1] + flow)
            flow = 0.7 * flow + step
        return torch.stack(membranes, 1).max(1)[0]


class Gated(nn.Module):
    """GLIF: a gate a step for what enters, a constant leak, and a spike takes a part of the membrane."""

    def __init__(self):
        super().__init__()
        self.fc, self.out, self.gates = nn.Linear(6, 8), nn.Linear(8, 3), nn.Parameter(torch.rand(4, 8) + 0.5)
        self.fc.weight.data.mul_(4)
        self.leak = nn.Parameter(torch.rand(8))

    def forward(self, x):
        u, spikes, total = x.new_zeros(len(x), 8), x.new_zeros(len(x), 8), 0.0
        for gate in self.gates:
            u = 0.75 * u * (1 - 0.5 * spikes) - self.leak + self.fc(x) * gate
            spikes = (u > 0.5).to(x.dtype)
            total = total + spikes
        return self.out(total)


class StraightThrough(nn.Module):
    """[B, 6] at each of 4 steps: u = 0.5 u + x, fires above 1, resets to zero."""

    def __init__(self, joined):
        super().__init__()
        self.joined, self.fc, self.out = joined, nn.Linear(6, 8), nn.Linear(8, 3)
        self.fc.weight.data.mul_(4)

    def forward(self, x):
        u, total = 0.0, 0.0
        for _ in range(4):
            u = 0.5 * u + self.fc(x)
            spikes = self.joined((u > 1).to(u.dtype), 0.5 + torch.tanh(3 * u.clamp(0, 2) - 3) / 2)
            u = u * (1 - spikes)
            total = total + self.out(spikes)
        return total


class Counting(nn.Module):
    """[B, 6] at each of 4 steps: u = 0.25 u + x; its spikes are counted and taken away from it."""

    def __init__(self, spikes, unit=1.0, taken=1.0):
        super().__init__()
        self.spikes, self.unit, self.taken, self.fc, self.out = spikes, unit, taken, nn.Linear(6, 8), nn.Linear(8, 3)
        self.fc.weight.data.mul_(8)

    def forward(self, x):
        u, total = 0.0, 0.0
        for _ in range(4):
            u = 0.25 * u + self.fc(x)
            spikes = self.spikes(u / self.unit)
            u = u - spikes * self.unit * self.taken
            total = total + self.out(spikes / 4)
        return total


class Converted(nn.Module):
    """QCFS, converted: time is folded into the batch, spikes are worth the threshold, membranes start at half of it."""

    def __init__(self, timesteps=4, threshold=1.25):
        super().__init__()
        self.timesteps, self.threshold, self.fc, self.out = timesteps, threshold, nn.Linear(6, 8), nn.Linear(8, 3)
        self.fc.weight.data.mul_(2)

    def neurons(self, x):
        u, spikes = 0.5 * self.threshold, []
        for step in x.view(self.timesteps, -1, *x.shape[1:]):
            u = u + step
            fires = (u - self.threshold >= 0).to(x.dtype) * self.threshold
            u = u - fires
            spikes.append(fires)
        return torch.stack(spikes).flatten(0, 1)

    def forward(self, x):
        x = x.unsqueeze(0).repeat(self.timesteps, 1, 1).flatten(0, 1)
        return self.out(self.neurons(self.fc(x))).view(self.timesteps, -1, 3).mean(0)


class Segmenting(nn.Module):
    """A spiking U-Net: states by name, a skip connection that is concatenated, the mean of analog maps."""

    def __init__(self, mode="nearest", border="zeros"):
        super().__init__()
        self.mode = mode
        self.down, self.deep, self.up = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 8, 3, 1, 1), nn.Conv2d(12, 4, 3, 1, 1)
        self.head, self.norm = nn.Conv2d(4, 2, 1), nn.BatchNorm2d(4)
        self.up.padding_mode = border
        for layer in (self.down, self.deep, self.up):
            layer.weight.data.mul_(4)

    def fires(self, states, name, x):
        u = 0.5 * states.get(name, 0.0) + x
        spikes = (u > 1).to(x.dtype)
        states[name] = u - spikes.detach()
        return spikes

    def forward(self, x):
        states, total = {}, 0.0
        for _ in range(4):
            fine = self.fires(states, "down", self.norm(self.down(x)))
            coarse = self.fires(states, "deep", self.deep(F.avg_pool2d(fine, 2)))
            whole = torch.cat([F.interpolate(coarse, scale_factor=2, mode=self.mode), fine], 1)
            total = total + self.head(self.fires(states, "up", self.up(whole)))
        return total / 4


class Held(nn.Module):
    """Membranes that end at a value from below, written by hand: ``u = torch.clamp(u, min=-1)``."""

    def __init__(self):
        super().__init__()
        self.fc, self.out = nn.Linear(6, 8), nn.Linear(8, 3)
        self.fc.weight.data.mul_(4)

    def forward(self, x):
        u, total, current = 0.0, 0.0, self.fc(x)
        for _ in range(4):
            u = torch.clamp(0.5 * u + current, min=-1.0)
            spikes = (u > 1).to(x.dtype)
            u = u - spikes
            total = total + self.out(spikes)
        return total / 4


class BorderedNorm(nn.Module):
    """A border filled with what the normalisation makes of zeros, as re-parametrised convolutions have it."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.mix = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)
        self.bn.running_mean.uniform_(-0.5, 0.5)
        self.bn.bias.data.uniform_(-0.5, 0.5)

    def forward(self, x):
        u, total = 0.0, 0.0
        y = F.pad(self.bn(self.conv(x)), (1, 1, 1, 1))
        gain = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        edge = (self.bn.bias - self.bn.running_mean * gain).view(1, -1, 1, 1)
        y[:, :, :1], y[:, :, -1:], y[:, :, :, :1], y[:, :, :, -1:] = edge, edge, edge, edge
        y = self.mix(y)
        for _ in range(4):
            u = 0.5 * u + y
            spikes = (u > 0.5).to(x.dtype)
            u = u * (1 - spikes)
            total = total + spikes
        return total.flatten(1) / 4
