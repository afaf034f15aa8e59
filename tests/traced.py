"""What tests of tracing share: neurons that fire, and graphs whose proof says that they did."""

from __future__ import annotations

import torch
from torch import nn

from spikeport.training import PLIF, Repeat, method

T = 3


def plif():
    """Neurons that fire often."""
    return PLIF(method("fixed", threshold=0.3), T)


def fired(graph):
    """The graph, proved with spikes in every layer."""
    proof = graph.provenance["verified"]
    assert proof["spikes"] > 0
    assert not proof["silent"]
    return graph


class Block(nn.Module):
    """Stem, then whatever ``joined`` does with the stem's spikes and a branch, then a head. Plain torch layers."""

    def __init__(self, joined, channels=4):
        super().__init__()
        self.joined = joined
        self.repeat = Repeat(T)
        self.stem, self.stem_lif = nn.Conv2d(2, channels, 3, padding=1), plif()
        self.branch, self.branch_lif = nn.Conv2d(channels, channels, 3, padding=1), plif()
        self.fc = nn.LazyLinear(5)

    def over(self, layer, x):
        return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def forward(self, x):
        a = self.stem_lif(self.over(self.stem, self.repeat(x)))
        b = self.branch_lif(self.over(self.branch, a))
        return self.fc(self.joined(self, a, b).flatten(2)).mean(0)


def built(joined):
    return made(lambda: Block(joined))


def made(build):
    """A module of maps [2, 6, 6], the same each time, whose lazy layers know their sizes."""
    torch.manual_seed(0)
    module = build()
    with torch.no_grad():
        module(torch.zeros(1, 2, 6, 6))
    return module.eval()
