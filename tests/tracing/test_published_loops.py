"""How public repositories write: 3-d pools of maps, time made by broadcasting, membranes from their start."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeport.graph import Norm, Peak, Pool
from spikeport.tracing import capture
from traced import fired


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


def test_three_axes_of_a_pool_may_be_channels_and_maps():
    torch.manual_seed(0)
    graph = fired(capture(Residual(), (2, 8, 8)))
    kernels = sorted(node.kernel for node in graph.nodes_of(Pool).values())
    assert (graph.timesteps, kernels) == (3, [(2, 2)] * 3)


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
