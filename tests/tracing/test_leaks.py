"""Membranes that only leak, between layers: states that are no neurons, against the modules that keep them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.findings import SpikeportError
from spikeport.graph import Gate, Scale
from spikeport.tracing import capture, leaks, registry
from spikeport.tracing.responses import Leak

T = 6


def linear(inputs, outputs, times=4.0):
    layer = nn.Linear(inputs, outputs)
    layer.weight.data *= times
    return layer


class ByHand(nn.Module):
    """LIF, then u += (i - u) / tau with i = fade * i + x, whose membrane u enters a layer and neurons behind it."""

    def __init__(self, fade=0.6, rate=0.3):
        super().__init__()
        self.fade, self.rate = fade, rate
        self.first, self.second, self.third = linear(6, 8), linear(8, 7), linear(7, 5)
        self.out = nn.Linear(5, 3)

    def forward(self, x):
        v = w = u = i = 0.0
        total = 0
        for _ in range(T):
            v = 0.9 * v + self.first(x)
            spikes = (v > 1).float()
            v = v * (1 - spikes)
            i = self.fade * i + self.second(spikes)
            u = u + self.rate * (i - u)
            w = 0.8 * w + self.third(u)
            fired = (w > 1).float()
            w = w * (1 - fired)
            total = total + self.out(fired)
        return total / T


def captured(module, **options):
    torch.manual_seed(0)
    graph = capture(module().eval(), (6,), timesteps=T, **options)
    assert graph.provenance["verified"]["silent"] == []
    return graph


@pytest.fixture(scope="module")
def graph():
    return captured(ByHand)


def test_a_current_and_a_membrane_are_two_loops_of_their_decays(graph):
    keeps = sorted(float(node.factor) for name, node in graph.nodes.items() if name.endswith(".keep"))
    np.testing.assert_allclose(keeps, [0.6, 0.7], rtol=1e-6)
    assert graph.sources("third") == ("third.leak",)


def test_a_state_of_other_decays_is_no_proof(monkeypatch):
    right = leaks._cells

    def wrong(leak: Leak, shape):
        return right(replace(leak, decay=leak.decay * 0.9), shape)

    monkeypatch.setattr(leaks, "_cells", wrong)
    with pytest.raises(SpikeportError) as caught:
        captured(ByHand)
    assert caught.value.code == "SP382"


def test_spikes_are_not_below_zero_so_that_relu_leaves_them():
    """As Norse's MNIST example has it; a membrane is another thing."""
    for what, refused in ((lambda v, s: torch.relu(s), False), (lambda v, s: torch.relu(v), True)):

        class Rectified(ByHand):
            def forward(self, x):
                v, total = 0.0, 0
                for _ in range(T):
                    v = 0.9 * v + self.first(x)
                    spikes = (v > 1).float()
                    v = v * (1 - spikes)
                    total = total + self.third(self.second(what(v, spikes)))  # noqa: B023
                return total / T

        if refused:
            with pytest.raises(SpikeportError, match="relu"):
                captured(Rectified)
        else:
            assert len(captured(Rectified).nodes) == 6


class Spiking(ByHand):
    """The membrane of neurons that fire, and are reset, enters the next layer."""

    def forward(self, x):
        v = 0.0
        total = 0
        for _ in range(T):
            v = 0.9 * v + self.first(x)
            spikes = (v > 1).float()
            v = v * (1 - spikes)
            total = total + self.out(self.third(self.second(v)))
        return total


def test_a_membrane_that_is_reset_is_no_leak():
    with pytest.raises(SpikeportError) as caught:
        captured(Spiking)
    assert {finding.code for finding in caught.value.findings} == {"SP380"}


def test_it_goes_through_both_formats_and_is_refused_in_integers(graph, tmp_path):
    for name in ("leak.nir", "leak.onnx"):
        spikeport.export(graph, tmp_path / name)
        assert spikeport.load_model(tmp_path / name).graph == graph
    with pytest.raises(SpikeportError) as caught:
        spikeport.quantize(graph, data=np.zeros((4, 6), np.float32), calibration=4)
    assert caught.value.code == "SP437"


def spikingjelly(mode, *middle):
    """Neurons, something between layers, neurons."""
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    net = nn.Sequential(linear(6, 8), neuron.LIFNode(), *middle, linear(8, 5), neuron.LIFNode(), nn.Linear(5, 3))
    functional.set_step_mode(net, mode)
    return net


@pytest.mark.parametrize("mode", ["s", "m"])
def test_a_synapse_filter_is_a_state_that_spikes_hold_up(mode):
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    graph = captured(lambda: spikingjelly(mode, layer.SynapseFilter(tau=5.0, learnable=True)))
    (gate,) = graph.nodes_of(Gate)
    assert set(graph.sources(gate)) == {"2.entering", "2.past"}
    assert float(graph["2.keep"].factor) == pytest.approx(0.8)


def test_a_wrong_converter_of_a_synapse_filter_is_no_proof(monkeypatch):
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    kind = registry.registered(layer.SynapseFilter())

    def wrong(module, shape, timesteps):
        cells = kind.convert(module, shape, timesteps)
        return replace(cells, parts={**cells.parts, "held": Scale(2 * cells.parts["held"].factor)})

    monkeypatch.setitem(registry._known, layer.SynapseFilter, replace(kind, convert=wrong))
    with pytest.raises(SpikeportError) as caught:
        captured(lambda: spikingjelly("s", layer.SynapseFilter(tau=5.0)))
    assert caught.value.code == "SP382"


class Stacked(nn.Module):
    def forward(self, steps):
        return torch.stack(steps)


def test_a_list_of_membranes_may_enter_a_layer():
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    graph = captured(lambda: spikingjelly("m", neuron.NonSpikingLIFNode(tau=4.0), Stacked()))
    assert float(graph["4.leak.keep"].factor) == 0.75
