"""Neurons that compare one membrane at several thresholds: spikes of two signs, levels, and those of the low side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, Linear, Scale
from spikeport.quantisation import quantize
from spikeport.target import Request
from spikeport.tracing import capture
from traced import fired

T = 4


class Loop(nn.Module):
    """Two linear layers, and between them a loop over time whose step is ``step(v, i) -> v, spikes``."""

    def __init__(self, step):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(12, 20), nn.Linear(20, 7)
        self.step = step
        with torch.no_grad():
            self.first.weight *= 3

    def forward(self, x):
        v, total = 0.0, 0.0
        for _ in range(T):
            v, spikes = self.step(v, self.first(x))
            total = total + self.last(spikes)
        return total / T


def to_zero(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return u * (1 - spikes.abs()), spikes


def taken_off(v, i):
    u = 0.9 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return u - spikes, spikes


def uneven(v, i):
    u = 0.9 * v + i
    up, down = (u > 1).float(), (u < -0.5).float()
    return u - up + 0.5 * down, up - down


def low_first(v, i):
    u = 0.5 * v + i
    spikes = torch.where(u <= -1, -1.0, torch.where(u >= 1, 1.0, 0.0))
    return u * (1 - spikes * spikes), spikes


def low_first_taken_off(v, i):
    u = 0.5 * v + i
    down, up = (u <= -1).float(), (u >= 1).float()
    return u - up + down, up - down


def by_size(v, i):
    u = 0.25 * v + i
    spikes = torch.sign(u) * (u.abs() >= 0.5)
    return torch.where(spikes != 0, 0.0, u), spikes


def by_surrogate(v, i):
    u = 0.5 * v + i
    up, down = (torch.heaviside(side - 1, torch.tensor(1.0)) for side in (u, -u))
    spikes = up - down
    return u * (1 - spikes**2) + 0.2 * spikes.pow(2), spikes


def by_mask(v, i):
    """As published for ternary spikes: a sign, where the membrane is large, with a gradient straight through."""
    u = 0.25 * v + i
    x = u / 1.0
    spikes = torch.sign(x)
    spikes[torch.abs(x) < 0.5] = torch.tensor(0.0)
    smooth = torch.clamp(x, -1, 1)
    spikes = (spikes - smooth).detach() + smooth
    return u * (1 - torch.abs(spikes)), spikes * 0.7


def asked_again(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return u - (spikes > 0).float() + (spikes == -1).float(), 0.5 * spikes.sign()


def levels(v, i):
    u = 0.5 * v + i
    spikes = (u >= 1).float() + (u >= 2).float()
    return u - spikes, spikes


def one_resets(v, i):
    u = 0.5 * v + i
    low, high = (u >= 1).float(), (u >= 2).float()
    return u * (1 - low), low + high


STEPS = {
    step.__name__: step
    for step in (to_zero, taken_off, uneven, low_first, low_first_taken_off, by_size, by_surrogate, by_mask)
} | {step.__name__: step for step in (asked_again, levels, one_resets)}
#: those whose every threshold is a node with a membrane of its own
PAIRS = ("taken_off", "uneven", "low_first_taken_off", "asked_again", "levels")


def frames():
    return np.random.default_rng(5).normal(size=(40, 12)).astype(np.float32)


@pytest.mark.parametrize("name", STEPS)
def test_each_threshold_is_a_layer(name):
    module = Loop(STEPS[name]).eval()
    graph = fired(capture(module, (12,)))
    neurons = graph.nodes_of(LIF)
    assert len(neurons) == 2
    assert all(bool(node.decay.any()) == (name in PAIRS) for node in neurons.values())
    record = simulate(graph, frames(), Request(trains=True))
    with torch.no_grad():
        theirs = module(torch.from_numpy(frames())).numpy()
    np.testing.assert_allclose(record.outputs, theirs, rtol=1e-5, atol=1e-5)
    both = np.logical_and(*(record.trains[layer].unpack() for layer in neurons))
    assert both.any() == (name in ("levels", "one_resets"))


def test_the_low_side_alone_is_one_node():
    def low(v, i):
        u = 0.5 * v + i
        spikes = (u < -1).float()
        return u * (1 - spikes), spikes

    graph = fired(capture(Loop(low).eval(), (12,)))
    ((name, node),) = graph.nodes_of(LIF).items()
    assert (node.reset, float(node.decay), node.compare) == ("zero", 0.5, ">")
    (source,) = graph.sources(name)
    assert graph[source].factor == -1
    rates = simulate(graph, frames()).rates()[name]
    assert (rates < 0.5).all()  # spikes where it is low, not where it is not


def test_thresholds_of_channels_and_maps():
    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.conv, self.norm, self.head = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Linear(3 * 16, 5)
            self.theta = nn.Parameter(torch.tensor([0.5, 0.8, 1.1]).reshape(1, 3, 1, 1))

        def forward(self, x):
            v, total = 0.0, 0.0
            for _ in range(T):
                u = 0.5 * v + self.norm(self.conv(x))
                spikes = (u > self.theta).float() - (u < -self.theta).float()
                v = u - self.theta * spikes
                total = total + self.head(spikes.flatten(1))
            return total

    graph = fired(capture(Maps().eval(), (2, 4, 4)))
    for node in graph.nodes_of(LIF).values():
        np.testing.assert_allclose(node.threshold[0], [0.5, 0.8, 1.1], rtol=1e-6)


def test_neurons_without_memory_over_all_steps():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(12, 20), nn.Linear(20, 7)

        def forward(self, x):
            h = 3 * self.first(x)
            return self.last((h >= 1).float() - (h <= -1).float()).mean(0)

    graph = fired(capture(Block().eval(), (12,), timesteps=T, forward="sequence"))
    x = np.random.default_rng(5).normal(size=(T, 40, 12)).astype(np.float32)
    assert len(graph.nodes_of(LIF)) == 2
    assert all((rates < 0.5).all() for rates in simulate(graph, x).rates().values())


@pytest.mark.parametrize("reset", [0.0, None, 0.25])
@pytest.mark.parametrize("steps", ["m", "s"])
def test_the_ternary_neurons_of_spikingjelly(reset, steps):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(12, 20), neuron.TernaryIFNode(v_reset=reset, step_mode=steps), nn.Linear(20, 7))
    graph = fired(capture(module.eval(), (12,), timesteps=T, coding="events"))
    x = np.random.default_rng(5).normal(size=(T, 40, 12)).astype(np.float32)
    module[1].reset()
    with torch.no_grad():
        frames = torch.from_numpy(x)
        theirs = module(frames) if steps == "m" else torch.stack([module(frame) for frame in frames])
    np.testing.assert_allclose(simulate(graph, x).outputs, theirs.mean(0).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["to_zero", "uneven"])
def test_files_hold_both_signs(name, tmp_path):
    graph = capture(Loop(STEPS[name]).eval(), (12,))
    outputs = simulate(graph, frames()).outputs
    for form, file in ((nir, "a.nir"), (onnx, "a.onnx")):
        form.write(graph, tmp_path / file)
        assert np.array_equal(simulate(form.read(tmp_path / file)[0], frames()).outputs, outputs)


def test_integers_have_a_synapse_for_each_sign():
    graph = capture(Loop(uneven).eval(), (12,))
    quantised = quantize(graph, frames(), run=simulate)
    assert len(quantised.graph.nodes_of(Linear)) == 3
    (doubled,) = [f for f in quantised.findings if f.code == "SP441"]
    assert isinstance(graph[doubled.where.split("'")[1]], Scale)
    real, whole = (simulate(each, frames(), Request(trains=True)) for each in (graph, quantised.graph))
    for layer in graph.nodes_of(LIF):
        assert real.trains[layer].apart(whole.trains[layer]).sum() < 0.02 * np.prod(real.trains[layer].shape)


def test_a_membrane_that_both_signs_reset_to_zero_has_no_integers():
    with pytest.raises(SpikeportError) as caught:
        quantize(capture(Loop(to_zero).eval(), (12,)), frames(), run=simulate)
    assert caught.value.code == "SP437"


def sometimes(v, i):
    sometimes.step += 1
    u = 0.5 * v + i
    spikes = (u >= 1).float()
    return u - spikes, spikes - ((u <= -1).float() if sometimes.step % T == T - 1 else 0.0)


def anywhere(v, i):
    u = 0.5 * v + i
    return u - torch.sign(u), (u >= 1).float()


def below(v, i):
    u = 0.5 * v + i
    return u, (u.abs() > -1).float()


@pytest.mark.parametrize(
    ("step", "words"),
    [(sometimes, "other thresholds at some steps"), (anywhere, "gives -1, 0 and 1"), (below, "not above 0")],
)
def test_what_is_no_layer_is_refused(step, words):
    sometimes.step = 0
    with pytest.raises(SpikeportError) as caught:
        capture(Loop(step).eval(), (12,))
    assert any(words in f.what for f in caught.value.findings), [f.what for f in caught.value.findings]
