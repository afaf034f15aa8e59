"""Neurons that no one node computes are captured as several, each proved spike for spike against its own code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, Delay, Gate
from spikeport.target import Request
from spikeport.tracing import capture
from traced import fired

T = 6


class Partial(nn.Module):
    """u = keep u - lost u s[t-1] - given s[t-1] + x, fires above 0.6: [T, B, ...]"""

    def __init__(self, keep, lost, given):
        super().__init__()
        self.keep, self.lost, self.given = keep, lost, given

    def forward(self, x):
        u, s, out = torch.zeros_like(x[0]), torch.zeros_like(x[0]), []
        for step in x:
            u = self.keep * u - self.lost * u * s - self.given * s + step
            s = (u > 0.6).to(x.dtype)
            out.append(s)
        return torch.stack(out)


class Window(nn.Module):
    """Compares 0.5 x[t] - 0.25 x[t-1] + x[t-2] - 0.1 with 0, as a matrix over time or step by step."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = matrix

    def forward(self, x):
        taps = torch.tensor([0.5, -0.25, 1.0], dtype=x.dtype)
        if self.matrix:
            weight = sum(torch.diag(tap.expand(len(x) - n), -n) for n, tap in enumerate(taps))
            return (torch.addmm(torch.tensor(-0.1), weight, x.flatten(1)).view(x.shape) >= 0).to(x.dtype)
        sums = [sum(taps[n] * x[t - n] for n in range(min(3, t + 1))) - 0.1 for t in range(len(x))]
        return torch.stack([(u >= 0).to(x.dtype) for u in sums])


def network(neurons):
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(6, 8), neurons, nn.Linear(8, 3))
    net[0].weight.data.mul_(4)
    return net.eval()


@pytest.mark.parametrize(
    ("neurons", "kinds"),
    [
        (Partial(0.8, 0.5, 0.0), {Delay, Gate}),
        (Partial(0.8, 0.5, 0.3), {Delay, Gate}),
        (Partial(1.25, 0.25, 0.0), {Delay, Gate}),
        (Partial(-0.3, 0.0, 0.2), {Delay}),
        (Window(matrix=True), {Delay}),
        (Window(matrix=False), {Delay}),
    ],
)
def test_every_spike_is_the_modules_in_the_engine_and_behind_both_formats(neurons, kinds, tmp_path):
    net = network(neurons)
    graph = fired(capture(net, (6,), timesteps=T))
    assert {type(node) for node in graph.nodes.values()} & {Delay, Gate} == kinds
    x = np.random.default_rng(2).standard_normal((T, 9, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = neurons(net[0](torch.as_tensor(x))).numpy()
    (name,) = graph.nodes_of(LIF)
    np.testing.assert_array_equal(simulate(graph, x, Request(trains=True)).trains[name].unpack(), theirs)
    nir.write(graph, tmp_path / "net.nir")
    onnx.write(graph, tmp_path / "net.onnx")
    assert nir.read(tmp_path / "net.nir")[0] == onnx.read(tmp_path / "net.onnx")[0] == graph


def test_a_matrix_over_time_that_looks_ahead_is_refused():
    class Ahead(nn.Module):
        def forward(self, x):
            return (torch.ones(T, T, dtype=x.dtype) @ x.flatten(1) >= 0).to(x.dtype).view(x.shape)

    with pytest.raises(SpikeportError, match="sees no step to come") as caught:
        capture(network(Ahead()), (6,), timesteps=T)
    assert caught.value.code == "SP380"
