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


class TwoStates(nn.Module):
    """A layer of neurons between two linear layers; each kind says how its states go on."""

    def __init__(self, gain=20.0, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.enter, self.leave = nn.Linear(6, 8), nn.Linear(8, 3)
        self.enter.weight.data.mul_(gain)
        for name, low, high in (("alpha", 0.82, 0.96), ("beta", 0.9, 0.99), ("a", 0.0, 1.0), ("b", 0.0, 2.0)):
            setattr(self, name, nn.Parameter(torch.empty(8).uniform_(low, high)))

    def forward(self, x):
        if x.ndim == 2:
            x = x[:, None].expand(-1, 7, -1)
        u = torch.zeros(x.shape[0], 8, dtype=x.dtype)
        w, s, total = torch.zeros_like(u), torch.zeros_like(u), 0.0
        for step in self.enter(x).unbind(1):
            u, w, s = self.go_on(step, u, w, s)
            total = total + self.leave(s)
        return total


class Adapting(TwoStates):
    """adLIF as SparCh has it: w takes up the membrane, and the spikes, of the step before."""

    def go_on(self, x, u, w, s):
        w = self.beta * w + self.a * u + self.b * s
        u = self.alpha * (u - s) + (1 - self.alpha) * (x - w)
        return u, w, (u - 1.0 > 0).to(x.dtype)


class Connected(Adapting):
    """RadLIF: its spikes come back through a matrix, too."""

    def __init__(self):
        super().__init__()
        self.back = nn.Linear(8, 8, bias=False)
        nn.init.orthogonal_(self.back.weight)

    def go_on(self, x, u, w, s):
        return super().go_on(x + self.back(s), u, w, s)


class Late(TwoStates):
    """Symplectic adLIF: w takes up the membrane behind its reset."""

    def go_on(self, x, u, w, s):
        u = self.alpha * u + (1 - self.alpha) * (x - w)
        s = (u > 1).to(x.dtype)
        u = u * (1 - s)
        return u, self.beta * w + (1 - self.beta) * (self.a * u + self.b * s), s


class Swinging(TwoStates):
    """A balanced resonate-and-fire neuron: u and w turn about each other and shrink."""

    def __init__(self):
        super().__init__(8.0)

    def go_on(self, x, u, w, s):
        now = u - 0.1 * u - self.a * w + x
        return now, w - 0.1 * w + self.a * u, (now > 1).to(x.dtype)


class Ternary(nn.Module):
    """Spikes of -1, 0 and 1 and a size that is learned: a sign, where the membrane is large; the gradient goes past."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(8)
        self.first, self.last, self.size = nn.Linear(6, 8), nn.Linear(8, 3), nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        u, total = 0.0, 0.0
        for step in x.unbind(1):
            u = 0.25 * u + 2 * self.first(step)
            spikes, smooth = torch.sign(u), torch.clamp(u, -1, 1)
            spikes[torch.abs(u) < 0.5] = 0.0
            spikes = (spikes - smooth).detach() + smooth
            u = u * (1 - torch.abs(spikes))
            total = total + self.last(self.size * spikes)
        return total / x.shape[1]
