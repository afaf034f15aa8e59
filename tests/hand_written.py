"""Neurons as published code writes them, in our own words: loops over time, states in attributes, custom functions."""

from __future__ import annotations

import torch
from torch import nn

T = 4


class Step(torch.autograd.Function):
    """A spike with a surrogate gradient."""

    @staticmethod
    def forward(ctx, x, inclusive):
        ctx.save_for_backward(x)
        return (x >= 0.0).float() if inclusive else (x > 0).float()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() < 0.5), None


class IntoZeros(nn.Module):
    """[B, T, ...]; each step is written into a block of float32 zeros and read back for the reset (MPD-AGL)."""

    def __init__(self, theta=0.5):
        super().__init__()
        self.w, self.theta = nn.Parameter(torch.tensor(-1.4)), theta

    def forward(self, x):
        v, out = 0.0, torch.zeros(x.shape)
        for t in range(x.size(1)):
            v = self.w.sigmoid() * v + x[:, t, ...]
            out[:, t, ...] = Step.apply(v - self.theta, True)
            v = v * (1.0 - out[:, t, ...])
        return out


class Stacked(nn.Module):
    """[B, T, ...]; spikes are collected and stacked, the comparison is strict (TET's manner)."""

    def forward(self, x):
        v, spikes = 0, []
        for t in range(x.shape[1]):
            v = v * 0.5 + x[:, t]
            s = Step.apply(v - 1.0, False)
            v = (1 - s) * v
            spikes.append(s)
        return torch.stack(spikes, dim=1)


class Scheduled(nn.Module):
    """One step a call, the membrane in an attribute, a threshold for each step (DS-ATGO's manner)."""

    def __init__(self):
        super().__init__()
        self.v, self.table = 0.0, torch.tensor([0.3, 0.5, 0.4, 0.7])

    def step(self, x, t):
        self.v = 0.2 * self.v + x
        self.mean = torch.mean(self.v.clone().detach()) + torch.std(
            self.v.clone().detach()
        )  # a log, which nobody reads
        s = Step.apply(self.v - self.table[t], True)
        self.v = self.v * (1.0 - s)
        return s

    def neuron_reset(self):
        self.v = 0.0

    def forward(self, x):
        out = torch.zeros(x.shape)
        for t in range(x.size(1)):
            out[:, t, ...] = self.step(x[:, t, ...], t)
        return out


class TimeLast(nn.Module):
    """[B, ..., T]; the last step's spikes gate the membrane (STBP-tdBN's manner)."""

    def forward(self, x):
        u, out = torch.zeros(x.shape[:-1]), torch.zeros(x.shape)
        for t in range(x.shape[-1]):
            u = 0.25 * u * (1 - out[..., max(t - 1, 0)]) + x[..., t]
            out[..., t] = Step.apply(u - 0.5, False)
        return out.movedim(-1, 1)


class Subtracting(nn.Module):
    """[B, T, ...]; the comparison is of membrane / threshold - 1, the reset subtracts (Diet-SNN's manner)."""

    def forward(self, x):
        v, spikes = torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            v = 0.9 * v + x[:, t]
            over = v / 0.6 - 1.0
            v = v - 0.6 * (over > 0).float()
            spikes.append(Step.apply(over, False))
        return torch.stack(spikes, 1)


class Late(nn.Module):
    """[B, T, ...]; the reset is taken from the next step's membrane, the whole threshold (snnTorch's manner)."""

    def forward(self, x):
        v, spikes = torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            again = (v - 0.5 > 0).float().detach()
            v = 0.8 * v + x[:, t] - again * 0.5
            spikes.append((v - 0.5 > 0).to(x.dtype))
        return torch.stack(spikes, 1)


class Current(nn.Module):
    """[B, T, ...]; a synaptic current that decays by itself."""

    def forward(self, x):
        i = v = torch.zeros_like(x[:, 0])
        spikes = []
        for t in range(x.shape[1]):
            i = 0.6 * i + x[:, t]
            v = 0.7 * v + i
            s = v.ge(0.8).to(x.dtype)
            v = torch.where(s.bool(), torch.zeros_like(v), v)
            spikes.append(s)
        return torch.stack(spikes, 1)


class FromRest(nn.Module):
    """[B, T, ...]; the membrane starts and falls back to rest, and leaks towards it, with the input over tau."""

    def forward(self, x):
        v, spikes = torch.full_like(x[:, 0], -0.2), []
        for t in range(x.shape[1]):
            v = v + (x[:, t] - (v + 0.2)) / 1.5
            s = v >= 0.4
            v = v.masked_fill(s, -0.2)
            spikes.append(s.to(x.dtype))
        return torch.stack(spikes, 1)


class Whole(nn.Module):
    """A network around one hand-written neuron: the image is repeated along axis 1."""

    def __init__(self, neuron):
        super().__init__()
        self.conv, self.norm, self.lif = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), neuron
        self.fc = nn.Linear(6 * 25, 3)
        self.norm.running_mean.uniform_(-0.1, 0.1)
        self.norm.running_var.uniform_(0.2, 0.5)

    def forward(self, x):
        x = x.unsqueeze(1).repeat(1, T, 1, 1, 1)
        y = self.norm(self.conv(x.flatten(0, 1).contiguous()))
        return self.fc(self.lif(y.view(x.shape[0], T, *y.shape[1:])).flatten(2))


class Cell(nn.Module):
    """Neurons that keep their state from call to call, one call a step."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.first, self.out, self.u = nn.Linear(4, 8), nn.Linear(8, 2), 0.0

    def reset(self):
        self.u = 0.0

    def forward(self, x):
        u = 0.9 * self.u + self.first(x)
        spikes = (u > 0.4).float()
        self.u = u * (1 - spikes)
        return self.out(spikes)
