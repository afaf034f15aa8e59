"""Loops over time whose neurons compare one membrane with several thresholds, as people write them."""

from __future__ import annotations

import torch
from torch import nn

T = 4


class Loop(nn.Module):
    """Two linear layers, and between them a loop over time whose step is ``step(v, i) -> v, spikes``."""

    def __init__(self, step):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(12, 20), nn.Linear(20, 7)
        self.step = step
        with torch.no_grad():
            self.first.weight *= 3

    def forward(self, x):
        v, total = 0.0, 0.0
        for _ in range(T):
            v, spikes = self.step(v, self.first(x))
            total = total + self.last(spikes)
        return total / T


def to_zero(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return u * (1 - spikes.abs()), spikes


def taken_off(v, i):
    u = 0.9 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return u - spikes, spikes


def uneven(v, i):
    u = 0.9 * v + i
    up, down = (u > 1).float(), (u < -0.5).float()
    return u - up + 0.5 * down, up - down


def low_first(v, i):
    u = 0.5 * v + i
    spikes = torch.where(u <= -1, -1.0, torch.where(u >= 1, 1.0, 0.0))
    return u * (1 - spikes * spikes), spikes


def low_first_taken_off(v, i):
    u = 0.5 * v + i
    down, up = (u <= -1).float(), (u >= 1).float()
    return u - up + down, up - down


def by_size(v, i):
    u = 0.25 * v + i
    spikes = torch.sign(u) * (u.abs() >= 0.5)
    return torch.where(spikes != 0, 0.0, u), spikes


def by_surrogate(v, i):
    u = 0.5 * v + i
    up, down = (torch.heaviside(side - 1, torch.tensor(1.0)) for side in (u, -u))
    spikes = up - down
    return u * (1 - spikes**2) + 0.2 * spikes.pow(2), spikes


def by_mask(v, i):
    """As published for ternary spikes: a sign, where the membrane is large, with a gradient straight through."""
    u = 0.25 * v + i
    x = u / 1.0
    spikes = torch.sign(x)
    spikes[torch.abs(x) < 0.5] = torch.tensor(0.0)
    smooth = torch.clamp(x, -1, 1)
    spikes = (spikes - smooth).detach() + smooth
    return u * (1 - torch.abs(spikes)), spikes * 0.7


def asked_again(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return u - (spikes > 0).float() + (spikes == -1).float(), 0.5 * spikes.sign()


def levels(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() + (u >= 2).float()
    return u - spikes, spikes


def one_resets(v, i):
    u = 0.5 * v + i
    low, high = (u >= 1).float(), (u >= 2).float()
    return u * (1 - low), low + high


def one_zeroes(v, i):
    """A spike up takes its threshold off, one down sets the membrane to zero."""
    u = 0.5 * v + i
    up, down = (u >= 1).float(), (u <= -1).float()
    return u * (1 - down) - up, up - down


def chosen(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return torch.where(spikes > 0, u - 1, torch.where(spikes < 0, u + 1, u)), spikes


def one_by_one(v, i):
    u = 0.5 * v + i
    up, down = (u >= 1).float(), (u <= -1).float()
    return u * (1 - up) * (1 - down), up - down


def as_bool(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return u.masked_fill(spikes.bool(), 0.0), spikes


def negated(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return u * spikes.logical_not(), spikes


def at_nothing(v, i):
    u = 0.5 * v + i
    spikes = (u > 0).float() - (u < 0).float()
    return u * (1 - spikes.abs()), spikes


def in_units(v, i):
    """A membrane in units of its threshold, which is less of it, as one is a step later."""
    u = 0.9 * v + i
    x = u / 1.5
    spikes = (x >= 1).float() - (x <= -1).float()
    return u - 1.5 * spikes, spikes


def no_level(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() + (u >= 2).float()
    return u * (spikes == 0), spikes


def by_neuron(v, i):
    u = 0.5 * v + i
    theta = torch.linspace(0.3, 1.5, 20, dtype=i.dtype)
    spikes = theta * ((u >= theta).float() - (u <= -theta).float())
    return torch.where(spikes != 0, 0.0, u), spikes


def sign_elsewhere(v, i):
    u = 0.5 * v + i
    spikes = torch.sign(u - 0.5) * (u.abs() >= 1)
    return u - spikes, spikes


KINDS = (to_zero, taken_off, uneven, low_first, low_first_taken_off, by_size, by_surrogate, by_mask, asked_again)
KINDS += (
    levels,
    one_resets,
    one_zeroes,
    chosen,
    one_by_one,
    as_bool,
    negated,
    at_nothing,
    in_units,
    no_level,
    by_neuron,
)
STEPS = {step.__name__: step for step in (*KINDS, sign_elsewhere)}
