"""MPBN in float64 against torch's batch normalisation in a plain loop; inference and graph with folded thresholds."""

from contextlib import nullcontext
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from data_files import code
from spikeport import loops, simulate
from spikeport.graph import LIF
from spikeport.tracing import capture
from spikeport.training import DsAtgo, Fixed, MpdAgl, fused_membrane, losses
from spikeport.training.membrane_norm import MembraneNorm
from spikeport.training.neurons import Neuron
from spikeport.training.probe import activity
from spikeport.training.recipe import parse
from tiny_training import TINY, network

T, C = 3, 4
SHAPES = [(T, 6, C), (T, 6, C, 2, 3)]
SHARED = (1, 6, C, 2, 3)  #: one step, that all have
METHOD = Fixed(threshold=0.6, width=0.8)


def layer(shape):
    torch.manual_seed(5)
    cells = MembraneNorm(METHOD, T, channels=C, decay=0.5).double()
    with torch.no_grad():
        cells.gamma.copy_(torch.tensor([0.5, 1.5, -0.7, 1.0]))
        cells.beta.copy_(torch.randn(C))
    norm = (torch.nn.BatchNorm2d if len(shape) == 5 else torch.nn.BatchNorm1d)(C).double()
    norm.weight, norm.bias = (torch.nn.Parameter(part.detach().clone()) for part in (cells.gamma.abs(), cells.beta))
    x = torch.randn(shape, dtype=torch.float64)
    x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, shape[:2]) if len(shape) == 5 else x
    return cells, norm, x.requires_grad_()


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


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("shape", [*SHAPES, SHARED], ids=["dense", "conv", "shared"])
def test_spikes_gradients_and_estimates_are_those_of_the_equations(shape, compiled, monkeypatch):
    """Compiled as in torch's operations; the layers lie in memory as convolutions leave them."""
    cells, norm, x = layer(shape)
    fire = Mock(wraps=fused_membrane.fire)
    monkeypatch.setattr(fused_membrane, "fire", fire)
    steps = x.expand(T, *shape[1:])
    w, weights = cells.w.detach().clone().requires_grad_(), torch.randn(steps.shape, dtype=torch.float64)
    with nullcontext() if compiled else loops.left_out():
        spikes = cells(steps)
    assert fire.called == compiled
    expected = by_hand(norm, steps, torch.sigmoid(w))
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


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
def test_many_neurons_in_the_compiled_loops_are_those_of_torchs_operations(kind):
    """Several blocks of memory and a rest; currents with a mean far from 0. bfloat16 holds currents, not membranes."""
    torch.manual_seed(2)
    x = (3 + torch.randn(3 * 41, 16, 5, 7)).contiguous(memory_format=torch.channels_last).unflatten(0, (3, 41)).to(kind)
    cells, weights = MembraneNorm(METHOD, 3, channels=16, decay=0.5), torch.randn(x.shape)
    gradients = []
    for compiled in (True, False):
        values = (x if compiled else x.float()).clone().requires_grad_()
        with nullcontext() if compiled else loops.left_out():
            spikes = cells(values)
        wanted = [values, cells.gamma, cells.beta, cells.w]
        gradients.append([spikes.detach().float(), *torch.autograd.grad((spikes.float() * weights).sum(), wanted)])
    ours, theirs = gradients
    assert (ours[0] != theirs[0]).float().mean() < 1e-4  # a membrane at its threshold may round either way
    tolerance = 1e-2 if kind is torch.bfloat16 else 1e-4
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        apart = (one.float() - other).norm() / other.norm()
        assert apart < tolerance


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
