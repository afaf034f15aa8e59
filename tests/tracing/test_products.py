"""Products of spikes and the maximum of spikes are neurons without memory: exact with sums and thresholds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.engine import simulate
from spikeport.graph import LIF
from spikeport.tracing import capture
from spikeport.training import Repeat
from traced import T, fired, plif


class Gated(nn.Module):
    """Two spike maps, and what is made of them."""

    def __init__(self, joined):
        super().__init__()
        self.joined, self.repeat = joined, Repeat(T)
        self.a, self.b = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
        self.s, self.r = plif(), plif()

    def forward(self, x):
        x = self.repeat(x)
        s, r = (
            lif(conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])) for conv, lif in ((self.a, self.s), (self.b, self.r))
        )
        return self.joined(s, r).sum(0)


def pooled(function, x, *options):
    return function(x.flatten(0, 1), *options).unflatten(0, x.shape[:2])


JOINED = {
    "and": lambda s, r: s * r,
    "iand": lambda s, r: s * (1 - r),
    "and of bits": lambda s, r: (s.bool() & r.bool()).float(),
    "or of bits": lambda s, r: (s.bool() | r.bool()).float(),
    "exclusive or": lambda s, r: (s.bool() ^ r.bool()).float(),
    "chosen": lambda s, r: torch.where(s > 0, r, 1 - r),
    "filled": lambda s, r: r.masked_fill(s.bool(), 0.0),
    "a chain": lambda s, r: s * r * (1 - s * r) + s,
    "asked": lambda s, r: s * (r == 0) + (s != 0) * (r == 1) - (r != 1).to(s.dtype),
    "squared": lambda s, r: s**2 - r.square(),
    "max over windows": lambda s, r: pooled(F.max_pool2d, s, 2),
    "max over windows that overlap": lambda s, r: pooled(F.max_pool2d, s, 3, 1, 1),
    "max over all": lambda s, r: pooled(F.adaptive_max_pool2d, r, 1),
}


@pytest.mark.parametrize("what", JOINED)
def test_spikes_of_two_layers_joined_bit_by_bit(what):
    torch.manual_seed(0)
    module = Gated(JOINED[what]).eval()
    graph = fired(capture(module, (2, 6, 6)))
    x = np.random.default_rng(0).standard_normal((9, 2, 6, 6)).astype(np.float32) * 2
    with torch.no_grad():
        theirs = module(torch.as_tensor(x)).numpy()
    np.testing.assert_array_equal(simulate(graph, x).outputs, theirs)
    extra = [node for name, node in graph.nodes_of(LIF).items() if name not in ("s", "r")]
    assert all(float(node.decay) == 0 for node in extra)
