"""Neurons that compare one membrane at several thresholds: spikes of two signs, levels, and those of the low side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from signed_steps import STEPS, Loop, T, taken_off, to_zero, uneven
from spikeport.engine import simulate
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, Linear, Norm, Scale
from spikeport.quantisation import quantize
from spikeport.target import Request
from spikeport.tracing import capture
from traced import fired

#: those whose every threshold is a node with a membrane of its own
PAIRS = ("taken_off", "uneven", "low_first_taken_off", "asked_again", "levels", "chosen", "in_units", "sign_elsewhere")


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
    assert both.any() == (name in ("levels", "one_resets", "no_level"))


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


def kept(v, i):
    u = 0.5 * v + i
    low = (u <= -0.5).float()
    return u * low, 1 - low


def inverse(v, i):
    u = 0.5 * v + i
    spikes = 1 - (u < -0.5).float()
    return u * (1 - spikes), spikes


@pytest.mark.parametrize("step", [kept, inverse])
def test_what_is_not_low_is_the_layer_that_fires_there(step):
    """u not below a threshold is u beyond it: of the two ways to say it the smaller graph is taken."""
    graph = fired(capture(Loop(step).eval(), (12,)))
    (node,) = graph.nodes_of(LIF).values()
    assert (node.reset, float(node.decay), float(node.threshold[0])) == ("zero", 0.5, -0.5)
    assert not graph.nodes_of(Scale)


def test_a_low_side_may_have_a_threshold_on_either_side_of_zero():
    def moving(v, i):
        moving.step += 1
        u = 0.5 * v + i
        spikes = (u < (-0.5, 0.5)[moving.step % 2]).float()
        return u * (1 - spikes), spikes

    moving.step = -1
    module = Loop(moving).eval()
    graph = fired(capture(module, (12,)))
    with torch.no_grad():
        theirs = module(torch.from_numpy(frames())).numpy()
    np.testing.assert_allclose(simulate(graph, frames()).outputs, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", ["recurrent", "and reset"])
def test_what_is_not_low_comes_back_as_a_constant_and_spikes(way):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.r, self.b = nn.Linear(12, 20), nn.Linear(20, 20), nn.Linear(20, 7)

        def forward(self, x):
            v, total, spikes = 0.0, 0.0, torch.zeros(len(x), 20, dtype=x.dtype)
            for _ in range(T):
                v = 0.5 * v + self.a(x) + self.r(spikes)
                spikes = 1 - (v < -0.5).float()
                v = v - spikes if way == "and reset" else v
                total = total + self.b(spikes)
            return total

    fired(capture(Recurrent().eval(), (12,)))


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


def with_a_current(state, x):
    """A membrane behind a synaptic current, from which each sign takes its threshold off."""
    v, i = state if isinstance(state, tuple) else (0.0, 0.0)
    i = 0.75 * i + x
    u = 0.5 * v + i
    spikes = (u >= 1).float() - (u <= -1).float()
    return (u - spikes, i), spikes


@pytest.mark.parametrize("step", [to_zero, with_a_current])
def test_a_reset_of_both_signs_that_spikes_do_not_tell_has_no_integers(step):
    graph = fired(capture(Loop(step).eval(), (12,)))
    with pytest.raises(SpikeportError, match="take the threshold off") as caught:
        quantize(graph, frames(), run=simulate)
    assert caught.value.code == "SP437"


def test_what_the_refusal_advises_has_integers():
    """Each sign takes its threshold off, and no synaptic current: spikes are the plain definition's."""
    graph = capture(Loop(taken_off).eval(), (12,))
    whole = quantize(graph, frames(), run=simulate, steps=()).graph
    plain = Engine(whole, kernels="plain").simulate(frames(), Request(trains=True))
    fast = simulate(whole, frames(), Request(trains=True))
    for layer in whole.nodes_of(LIF):
        assert (plain.trains[layer].unpack() == fast.trains[layer].unpack()).all()
        assert plain.trains[layer].unpack().any()


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


def sign_between(v, i):
    u = 0.5 * v + i
    spikes = torch.sign(u - 1.5) * (u.abs() >= 1)
    return u - spikes, spikes


def skipped(v, i):
    skipped.step += 1
    u = 0.5 * v + i
    up = (u >= 1).float()
    return u if skipped.step % T == 0 else u - up + (u <= -1).float(), up


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (sometimes, "other thresholds at some steps"),
        (skipped, "fire at [3, 4] steps"),
        (anywhere, "gives -1, 0 and 1"),
        (sign_between, "at other places than beyond its thresholds"),
        (below, "not above 0"),
    ],
)
def test_what_is_no_layer_is_refused(step, words):
    sometimes.step = skipped.step = 0
    with pytest.raises(SpikeportError) as caught:
        capture(Loop(step).eval(), (12,))
    assert any(words in f.what for f in caught.value.findings), [f.what for f in caught.value.findings]


def test_a_constant_that_no_bias_takes_stays_a_node():
    """The 1 of 1 - spikes goes through a synapse into a current, and no bias of neurons stands for it there."""

    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.r, self.b = nn.Linear(12, 20), nn.Linear(20, 20), nn.Linear(20, 7)

        def forward(self, x):
            v, w, current, total = 0.0, 0.0, 0.0, 0.0
            for _ in range(T):
                v = 0.5 * v + self.a(x)
                current = 0.6 * current + self.r((v < 0.5).float())
                w = 0.5 * w + current
                spikes = (w > 0.5).float() - (w < -0.5).float()
                w = w - spikes
                total = total + self.b(spikes)
            return total / T

    module = Late().eval()
    graph = fired(capture(module, (12,)))
    (note,) = graph.provenance["notes"][-1:]
    assert "cannot be folded past node 'spikes#2.past'" in note  # the membrane's own circle
    assert graph.nodes_of(Norm)
    with torch.no_grad():
        theirs = module(torch.from_numpy(frames())).numpy()
    np.testing.assert_allclose(simulate(graph, frames()).outputs, theirs, rtol=1e-5, atol=1e-5)
    with pytest.raises(SpikeportError):
        quantize(graph, frames(), run=simulate)
