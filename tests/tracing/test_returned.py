"""The output of a graph has the shape of the module's result, whatever shape the nodes behind it have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from exported import export
from spikeport.engine import simulate
from spikeport.formats import nir, onnx
from spikeport.graph import Flatten, Norm, Peak, Readout
from spikeport.tracing import capture
from spikeport.verbs.load import load_model

T = 5


class Population(nn.Module):
    """The counts [B, 12], or the spikes [T, B, 12], of neurons; ``end`` makes the result of them."""

    def __init__(self, end, timed=False):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.end, self.timed = nn.Linear(8, 12), end, timed

    def forward(self, x):
        u, spikes = 0.0, []
        for _ in range(T):
            u = 0.9 * u + self.fc(x)
            z = (u > 0.4).to(x.dtype)
            u = u * (1 - z)
            spikes.append(z)
        train = torch.stack(spikes)
        return self.end(train if self.timed else train.sum(0))


class Maps(nn.Module):
    """Feature maps [B, 4, 6, 6] of T steps, added up; ``end`` makes the result of them."""

    def __init__(self, end):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last, self.end = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 3, 1), end

    def forward(self, x):
        u, total = 0.0, 0.0
        for _ in range(T):
            u = 0.9 * u + self.conv(x)
            z = (u > 0.3).to(x.dtype)
            u = u * (1 - z)
            total = total + self.last(z)
        return self.end(total)


COUNTS = {
    "sums of groups": lambda c: c.reshape(len(c), 4, 3).sum(-1),
    "sums that keep their axis": lambda c: c.reshape(len(c), 4, 3).sum(-1, keepdim=True),
    "in two axes": lambda c: c.unflatten(1, (4, 3)),
    "in two axes, turned": lambda c: c.unflatten(1, (4, 3)).transpose(1, 2),
    "turned and flat": lambda c: c.unflatten(1, (4, 3)).transpose(1, 2).flatten(1),
    "an axis before": lambda c: c.unsqueeze(1),
    "an axis behind": lambda c: c.unsqueeze(2),
}
MAPS = {
    "means of maps": lambda m: F.adaptive_avg_pool2d(m, 1).flatten(1),
    "means of maps as they are": lambda m: F.adaptive_avg_pool2d(m, 1),
    "means over two axes": lambda m: m.mean((2, 3)),
    "shifted": lambda m: 0.5 * m.mean((2, 3)) + torch.tensor([0.1, 0.2, 0.3], dtype=m.dtype),
    "whole maps": lambda m: m.flatten(1),
    "whole maps, channels last": lambda m: m.permute(0, 2, 3, 1),
    "tokens": lambda m: m.flatten(2).transpose(1, 2),
}


def is_the_modules(net, shape):
    """The graph, whose output is the module's result."""
    x = 2 * torch.randn(30, *shape, generator=torch.Generator().manual_seed(1))
    graph = capture(net, shape)
    ours, theirs = simulate(graph, x.numpy()).outputs, net(x).detach().numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    return graph


@pytest.mark.parametrize("end", COUNTS)
def test_a_count_of_spikes_has_the_modules_shape(end):
    is_the_modules(Population(COUNTS[end]), (8,))


@pytest.mark.parametrize("end", MAPS)
def test_what_comes_of_maps_has_the_modules_shape(end):
    graph = is_the_modules(Maps(MAPS[end]), (1, 6, 6))
    assert not graph.nodes_of(Norm)  # a constant stays with the readout


@pytest.mark.parametrize("end", ["sums of groups", "in two axes, turned", "an axis before"])
def test_spikes_over_time_have_the_modules_shape(end):
    def each_step(train):
        return COUNTS[end](train.flatten(0, 1)).unflatten(0, (T, -1))

    net, x = Population(each_step, timed=True), torch.randn(30, 8)
    ours, theirs = simulate(capture(net, (8,)), x.numpy()).outputs, net(x).detach().numpy()
    assert ours.shape == theirs.shape[1:]
    close = [np.allclose(ours, each, atol=1e-5) for each in (theirs.sum(0), theirs.mean(0))]
    assert close == ([False, True] if end == "sums of groups" else [True, False])


def test_flat_results_cost_a_flatten_that_files_hold(tmp_path):
    graph = is_the_modules(Maps(MAPS["means of maps"]), (1, 6, 6))
    (source,) = graph.sources(graph.output)
    assert isinstance(graph[graph.output], Readout)
    assert isinstance(graph[source], Flatten)
    onnx.write(graph, tmp_path / "net.onnx")
    nir.write(graph, tmp_path / "net.nir")
    assert onnx.read(tmp_path / "net.onnx")[0].nodes == graph.nodes
    assert nir.read(tmp_path / "net.nir")[0].nodes == graph.nodes


def test_a_file_of_onnx_gives_the_shape_that_it_gives_elsewhere(tmp_path):
    net, x = Maps(MAPS["means of maps"]), torch.randn(20, 1, 6, 6)
    model = load_model(export(net, x[:1], tmp_path / "net.onnx", newer=False, open_axis=0))
    ours = simulate(model.graph, x.numpy()).outputs
    np.testing.assert_allclose(ours, net(x).detach().numpy(), atol=1e-5)


def test_the_highest_of_all_steps_is_the_last_node_as_it_is():
    class Highest(Maps):
        def forward(self, x):
            u, v, values = 0.0, 0.0, []
            for _ in range(T):
                u = 0.9 * u + self.conv(x)
                z = (u > 0.3).to(x.dtype)
                u = u * (1 - z)
                v = 0.8 * v + F.adaptive_avg_pool2d(self.last(z), 1)
                values.append(v)
            return torch.stack(values).amax(0).flatten(1)

    net, x = Highest(None), torch.randn(20, 1, 6, 6)
    graph = capture(net, (1, 6, 6))
    assert isinstance(graph[graph.output], Peak)
    ours = simulate(graph, x.numpy()).outputs
    np.testing.assert_allclose(ours.reshape(20, 3), net(x).detach().numpy(), atol=1e-5)
