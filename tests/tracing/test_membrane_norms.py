"""Batch normalisation of membranes (MPBN, Guo et al., ICCV 2023): numbers of the neurons, held to the modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Norm
from spikeport.tracing import capture
from traced import fired

T = 6
RESETS = {
    "the membrane": lambda v, u, z: v * (1 - z),
    "what was normalised": lambda v, u, z: u * (1 - z),
    "what was normalised, less the threshold": lambda v, u, z: u - 0.3 * z,
}


def trained(norm, sign=1.0):
    """Statistics and factors as after training."""
    generator = torch.Generator().manual_seed(1)
    norm.running_mean.copy_(torch.rand(norm.num_features, generator=generator) * 0.4 - 0.2)
    norm.running_var.copy_(torch.rand(norm.num_features, generator=generator) + 0.7)
    norm.weight.data.copy_(sign * (torch.rand(norm.num_features, generator=generator) * 0.6 + 0.5))
    norm.bias.data.copy_(torch.rand(norm.num_features, generator=generator) * 0.4 - 0.2)
    return norm


class Loop(nn.Module):
    """[T, B, ...]: a layer, a membrane that is normalised before it is compared, and the counts of what fires."""

    def __init__(self, layer, norm, reset, end=lambda z: z):
        super().__init__()
        self.layer, self.norm, self.reset, self.end = layer, norm, reset, end

    def forward(self, x):
        v, total = 0.0, 0.0
        for step in x:
            v = 0.5 * v + self.layer(step)
            u = self.norm(v)
            z = (u > 0.3).float()
            v = self.reset(v, u, z)
            total = total + self.end(z)
        return total


def same(module, shape=(6,), **options):
    module.eval()
    graph = fired(capture(module, shape, timesteps=T, forward="sequence", **options))
    x = np.random.default_rng(2).normal(0, 1, (T, 30, *shape)).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.as_tensor(x)).numpy()
    assert 0.05 < theirs.mean() / T < 0.9
    np.testing.assert_array_equal(simulate(graph, x).outputs, theirs)
    return graph, x


@pytest.mark.parametrize("reset", RESETS)
def test_a_normalised_membrane_is_one_node_and_goes_to_integers(reset):
    torch.manual_seed(0)
    graph, x = same(Loop(nn.Linear(6, 8), trained(nn.BatchNorm1d(8)), RESETS[reset]))
    assert len(graph.nodes_of(LIF)) == 1
    assert not graph.nodes_of(Norm)
    assert len(spikeport.quantize(graph, data=x.swapaxes(0, 1)).graph.nodes_of(LIF)) == 1


def test_on_maps_and_with_factors_below_zero():
    torch.manual_seed(0)
    maps = trained(nn.BatchNorm2d(4))
    same(Loop(nn.Conv2d(1, 4, 3), maps, RESETS["the membrane"]), (1, 6, 6))
    same(Loop(nn.Linear(6, 8), trained(nn.BatchNorm1d(8), sign=-1.0), RESETS["the membrane"]))


def test_a_normalisation_before_the_loop_stays_in_the_layer():
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(6, 8), trained(nn.BatchNorm1d(8)))
    graph, _ = same(Loop(layer, trained(nn.BatchNorm1d(8)), RESETS["the membrane"]), fold=False)
    assert len(graph.nodes_of(Norm)) == 1


@pytest.mark.parametrize("mode", ["s", "m"])
def test_spikingjellys_neurons_with_it(mode):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    torch.manual_seed(0)
    cell = neuron.MPBNLIFNode(out_features=8, v_threshold=0.3, step_mode=mode)
    trained(cell.vbn)
    net = nn.Sequential(nn.Linear(6, 8), cell).eval()
    net[0].weight.data.mul_(3)
    x = np.random.default_rng(2).normal(0, 1, (T, 30, 6)).astype(np.float32)
    coding = {} if mode == "m" else {"coding": "events"}
    graph = fired(capture(net, (6,), timesteps=T, **coding))
    functional.reset_net(net)
    with torch.no_grad():
        frames = torch.as_tensor(x)
        theirs = net(frames) if mode == "m" else torch.stack([net(frame) for frame in frames])
    np.testing.assert_array_equal(simulate(graph, x).outputs, theirs.sum(0).numpy())
    assert 0 < theirs.mean() < 0.9


def test_something_else_that_is_wrong_is_the_one_finding():
    torch.manual_seed(0)
    net = Loop(nn.Linear(6, 8), trained(nn.BatchNorm1d(8)), RESETS["the membrane"], lambda z: torch.tanh(z * 2.5 - 1))
    with pytest.raises(SpikeportError) as caught:
        capture(net.eval(), (6,), timesteps=T, forward="sequence")
    (finding,) = caught.value.findings
    assert finding.code == "SP380"
    assert finding.what.startswith("tanh")


def test_a_fresh_normalisation_has_nothing_to_add():
    torch.manual_seed(0)
    same(Loop(nn.Linear(6, 8), nn.BatchNorm1d(8), RESETS["the membrane"]))


def test_factors_of_both_signs_are_refused_and_turned_channels_are_the_same():
    torch.manual_seed(0)
    module = Loop(nn.Linear(6, 8), trained(nn.BatchNorm1d(8)), RESETS["the membrane"]).eval()
    module.norm.weight.data[::2] *= -1
    x = torch.randn(T, 30, 6)
    expected = module(x).detach()
    with pytest.raises(SpikeportError, match=r"factors above 0 for some.*\n.*turn the channels below 0") as told:
        capture(module, (6,), timesteps=T, forward="sequence")
    assert len(told.value.findings) == 1
    parts = (module.layer.weight, module.layer.bias, module.norm.running_mean, module.norm.weight)
    for part in parts:
        part.data[::2] *= -1
    torch.testing.assert_close(module(x).detach(), expected)
    same(module)
