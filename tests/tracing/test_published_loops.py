"""How public repositories write: 3-d pools of maps, time made by broadcasting, membranes from their start."""

import warnings

import pytest
import torch
from torch import nn

from published import FromStart, Gated, Loop, Residual
from spikeport.graph import Norm, Peak, Pool
from spikeport.tracing import capture
from traced import fired


def test_three_axes_of_a_pool_may_be_channels_and_maps():
    torch.manual_seed(0)
    graph = fired(capture(Residual(), (2, 8, 8)))
    kernels = sorted(node.kernel for node in graph.nodes_of(Pool).values())
    assert (graph.timesteps, kernels) == (3, [(2, 2)] * 3)


def test_the_highest_of_membranes_that_start_at_zero_is_no_lower():
    torch.manual_seed(0)
    graph = fired(capture(FromStart(), (6, 5), timesteps=6))
    assert isinstance(graph[graph.output], Peak)
    assert graph.timesteps == 6


def test_factors_whose_last_digits_the_type_decides_are_no_other_way():
    """0.4999975 has another sixth digit in float32 than in float64, and names of nodes have six."""

    class Halved(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.loop, self.out = nn.Linear(6, 8), Loop(), nn.Linear(8, 3)
            self.fc.weight.data.mul_(4)
            self.variance = nn.Parameter(torch.ones(1))

        def forward(self, x):
            share = 0.5 / torch.sqrt(self.variance + 1e-5)
            return self.out(self.loop(self.loop(self.fc(x).expand(3, -1, -1)) * share)).mean(0)

    torch.manual_seed(0)
    fired(capture(Halved(), (6,)))


def step(x: torch.Tensor, u: torch.Tensor, keep: float):
    u = u * keep + x
    spikes = (u >= 1.0).to(x)
    return spikes, (1.0 - spikes) * u


with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # torch would rather have torch.compile
    compiled_step = torch.jit.script(step)


class Compiled(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.out = nn.Linear(6, 8), nn.Linear(8, 3)
        self.fc.weight.data.mul_(4)

    def forward(self, x):
        u, total = x.new_zeros(len(x), 8), 0.0
        for _ in range(4):
            spikes, u = compiled_step(self.fc(x), u, 0.5)
            total = total + self.out(spikes)
        return total


@pytest.mark.parametrize("net", [Gated, Compiled])
def test_gated_leaks_and_compiled_functions_are_followed(net):
    before = torch.jit.ScriptFunction.__call__
    torch.manual_seed(0)
    graph = fired(capture(net(), (6,)))
    assert graph.timesteps == 4
    assert not graph.nodes_of(Norm)  # folded: the constant leak stands beside the gates
    assert torch.jit.ScriptFunction.__call__ is before
