"""MPBN in float64 against torch's batch normalisation in a plain loop; inference and graph with folded thresholds."""

import numpy as np
import pytest
import torch

from data_files import code
from spikeport import simulate
from spikeport.graph import LIF
from spikeport.tracing import capture
from spikeport.training import DsAtgo, Fixed, MpdAgl, losses
from spikeport.training.membrane_norm import MembraneNorm
from spikeport.training.neurons import Neuron
from spikeport.training.probe import activity
from spikeport.training.recipe import parse
from tiny_training import TINY, network

T, C = 3, 4
SHAPES = [(T, 6, C), (T, 6, C, 2, 3)]
METHOD = Fixed(threshold=0.6, width=0.8)


def layer(shape):
    torch.manual_seed(5)
    cells = MembraneNorm(METHOD, T, channels=C, decay=0.5).double()
    with torch.no_grad():
        cells.gamma.copy_(torch.tensor([0.5, 1.5, -0.7, 1.0]))
        cells.beta.copy_(torch.randn(C))
    norm = (torch.nn.BatchNorm2d if len(shape) == 5 else torch.nn.BatchNorm1d)(C).double()
    norm.weight, norm.bias = (torch.nn.Parameter(part.detach().clone()) for part in (cells.gamma.abs(), cells.beta))
    return cells, norm, torch.randn(shape, dtype=torch.float64, requires_grad=True)


def spike(y):
    """A step whose gradient is 1 / 0.8 within 0.4 of the threshold, and 0 elsewhere."""
    near = ((y.detach() - 0.6).abs() < 0.4) / 0.8
    return (y >= 0.6).double() + near * (y - y.detach())


def by_hand(norm, x, decay):
    v, spikes = torch.zeros_like(x[0]), []
    for now in x:
        u = decay * v + now
        spikes.append(spike(norm(u)))
        v = u * (1 - spikes[-1])
    return torch.stack(spikes)


@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "conv"])
def test_spikes_gradients_and_estimates_are_those_of_the_equations(shape):
    cells, norm, x = layer(shape)
    w, weights = cells.w.detach().clone().requires_grad_(), torch.randn(shape, dtype=torch.float64)
    spikes = cells(x)
    expected = by_hand(norm, x, torch.sigmoid(w))
    assert torch.equal(spikes, expected.detach())
    (spikes * weights).sum().backward()
    theirs = torch.autograd.grad((expected * weights).sum(), [x, norm.weight, norm.bias, w])
    sign = torch.sign(cells.gamma.detach())
    for ours, other in zip((x, cells.gamma, cells.beta, cells.w), theirs, strict=True):
        other = other * sign if ours is cells.gamma else other
        torch.testing.assert_close(ours.grad, other, rtol=1e-10, atol=1e-12)
        assert ours.grad.abs().max() > 0
    torch.testing.assert_close(cells.running_mean, norm.running_mean)
    torch.testing.assert_close(cells.running_var, norm.running_var)


@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "conv"])
def test_folded_thresholds_fire_as_the_running_estimates_do(shape):
    cells, norm, x = layer(shape)
    for _ in range(5):
        cells(x)
        by_hand(norm, x, torch.sigmoid(cells.w))
    spikes = by_hand(norm.eval(), x, torch.sigmoid(cells.w)).detach()
    assert torch.equal(cells.eval()(x), spikes)
    assert torch.equal(cells.threshold[0], cells.threshold[2])
    assert len(set(cells.threshold[0].tolist())) == C
    seen = activity(torch.nn.Sequential(cells), x.detach(), "events")["0"]
    v, inside = torch.zeros_like(x[0]), []
    for now, fired in zip(x.detach(), spikes, strict=True):
        u = torch.sigmoid(cells.w.detach()) * v + now
        inside.append(float(((norm(u) - 0.6).abs() < 0.4).double().mean()))
        v = u * (1 - fired)
    assert seen.inside == pytest.approx(inside)


def test_a_network_of_them_is_its_graph():
    module = network(parse({**TINY, "method": "fixed", "architecture": {**TINY["architecture"], "neuron": "mpbn"}}))
    x = torch.rand(20, 1, 8, 8)
    for _ in range(10):
        module(x)
    graph = capture(module.eval(), (1, 8, 8))  # proves itself
    cells = [part for part in module.modules() if isinstance(part, Neuron)]
    for node, part in zip(graph.nodes_of(LIF).values(), cells, strict=True):
        assert np.array_equal(node.threshold.reshape(2, -1), part.threshold.numpy())
    with torch.no_grad():
        np.testing.assert_allclose(simulate(graph, x.numpy()).outputs, module(x).numpy(), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_is_refused():
    assert code(losses.near_threshold, MembraneNorm(METHOD, T, channels=C)) == "SP316"
    for method in (DsAtgo(), MpdAgl()):
        assert code(MembraneNorm, method, T, channels=C) == "SP316"
    for option in ({"reset": "subtract"}, {"train_threshold": True}, {"gradient": "sltt"}, {"detach_reset": True}):
        assert code(MembraneNorm, METHOD, T, channels=C, **option) == "SP316"
