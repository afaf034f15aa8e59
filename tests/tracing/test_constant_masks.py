"""Selections by masks that are the same for every sample, against the module: which neurons, or whether it began."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.tracing import capture
from traced import fired

T = 5
CURRENTS = {
    "nothing elsewhere": lambda x, mask: torch.where(mask, x, torch.zeros_like(x)),
    "two factors": lambda x, mask: torch.where(mask, x, -2 * x),
    "a number": lambda x, mask: torch.where(mask, 0.4, x),
    "a row": lambda x, mask: torch.where(mask, torch.linspace(0, 1, 8), x),
    "filled": lambda x, mask: x.masked_fill(mask, 0.25),
}

ASKED = {
    "and": lambda s, mask: s & mask,
    "or": lambda s, mask: mask | s,
    "xor": lambda s, mask: torch.logical_xor(s, mask),
    "all": lambda s, mask: s & True,
}


class Net(nn.Module):
    """[T, B, 6]: a layer, what ``current`` makes of it, and neurons that reset to zero."""

    def __init__(self, current=lambda x, mask: x, asked=lambda s, mask: s):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.out, self.current = nn.Linear(6, 8), nn.Linear(8, 3), current
        self.asked = asked
        self.register_buffer("mask", torch.arange(8) % 3 == 0)

    def forward(self, x):
        v, began, total = torch.zeros(x.shape[1], 8), torch.zeros(x.shape[1], 8), 0
        for step in x:
            u = 0.8 * v + self.current(self.fc(step), self.mask)
            u = torch.where(began > 0, v, u)  # a neuron that fired rests for one step; at the first step none did
            began = (u > 0.3).float()
            v = u * (1 - began)
            total = total + self.out(self.asked(began.bool(), self.mask).to(x.dtype))
        return total


def same(module):
    graph = fired(capture(module, (6,), timesteps=T, forward="sequence"))
    x = np.random.default_rng(1).normal(0, 1, (T, 30, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.as_tensor(x)).numpy()
    np.testing.assert_allclose(simulate(graph, x).outputs, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("current", CURRENTS)
def test_a_constant_mask_chooses_neuron_by_neuron(current):
    same(Net(CURRENTS[current]))


@pytest.mark.parametrize("asked", ASKED)
def test_spikes_are_combined_with_a_constant_mask(asked):
    same(Net(asked=ASKED[asked]))
