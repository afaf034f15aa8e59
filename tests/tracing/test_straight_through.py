"""Spikes of straight-through estimators: what a smooth function adds is taken away again."""

import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.tracing import capture
from traced import fired


class Net(nn.Module):
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


@pytest.mark.parametrize(
    "joined",
    [
        lambda hard, smooth: (hard - smooth).detach() + smooth,
        lambda hard, smooth: smooth + (hard - smooth).detach(),
        lambda hard, smooth: hard.detach() + 0.5 * smooth - 0.5 * smooth.detach(),
    ],
)
def test_what_a_smooth_function_adds_and_takes_away_leaves_the_spikes(joined):
    torch.manual_seed(0)
    graph = fired(capture(Net(joined), (6,)))
    node = graph["spikes"]
    assert (float(node.decay), node.reset, node.compare) == (0.5, "zero", ">")
    assert (node.threshold == 1).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 2.0])
def test_what_is_not_taken_away_is_refused_with_its_reason(share):
    torch.manual_seed(0)
    with pytest.raises(SpikeportError, match="tanh: is an analog nonlinearity"):
        capture(Net(lambda hard, smooth: (hard - share * smooth).detach() + smooth), (6,))
