"""A normalisation, a factor or a matrix a timestep, as BNTT, TEBN and MaskedPSN have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.graph import StepAffine
from spikeport.tracing import capture
from traced import T, fired, plif


class EachItsOwn(nn.Module):
    """BNTT: one batch normalisation a timestep, neurons by hand in the loop."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.Linear(100, 3)
        self.norms = nn.ModuleList([spread(nn.BatchNorm2d(4)) for _ in range(T)])

    def forward(self, x):
        v, total = 0.0, 0.0
        for norm in self.norms:
            v = 0.8 * v + norm(self.conv(x))
            s = (v > 0.5).to(x.dtype)
            v = v - 0.5 * s
            total = total + self.out(s.flatten(1))
        return total


class Factor(nn.Module):
    """TEBN: one batch normalisation, a learned factor a timestep, neurons that take all of them."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), spread(nn.BatchNorm2d(4))
        self.factor = nn.Parameter(torch.linspace(0.7, 1.4, T).view(T, 1, 1, 1, 1))
        self.neurons, self.out = plif(), nn.Linear(100, 3)

    def forward(self, x):
        y = self.norm(self.conv(x)).expand(T, -1, -1, -1, -1)
        return self.out(self.neurons(y * self.factor).flatten(2)).mean(0)


class Called(EachItsOwn):
    """BNTT before neurons that are called once a step."""

    def __init__(self):
        super().__init__()
        self.neurons = pytest.importorskip("snntorch").Leaky(beta=0.8, init_hidden=True)

    def forward(self, x):
        return sum(self.out(self.neurons(norm(self.conv(x))).flatten(1)) for norm in self.norms)


def spread(norm):
    for values, low, high in ((norm.running_mean, -0.3, 0.3), (norm.running_var, 0.1, 0.5), (norm.bias.data, 0, 0.3)):
        values.uniform_(low, high)
    return norm


@pytest.mark.parametrize("build", [EachItsOwn, Factor, Called])
def test_a_normalisation_or_a_factor_a_timestep_is_one_node(build):
    torch.manual_seed(0)
    module = build().eval()
    graph = fired(capture(module, (2, 5, 5), forward="sample"))
    ((name, node),) = graph.nodes_of(StepAffine).items()
    assert graph.sources(name) == ("conv",)
    assert not np.allclose(node.gain, node.gain[:1])
    np.testing.assert_allclose(node.gain, expected(module), rtol=1e-5)


def expected(module):
    """gamma / sqrt(var + eps) of each step, times the factor of each."""
    norms = module.norms if isinstance(module, EachItsOwn) else [module.norm] * T
    gains = torch.stack([norm.weight / (norm.running_var + norm.eps).sqrt() for norm in norms])
    return (gains * getattr(module, "factor", torch.ones(T)).view(T, 1)).detach().numpy()
