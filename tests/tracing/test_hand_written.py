"""Neurons written by hand are recognised by their algebra and proved: every spike, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import hand_written as written
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, CubaLIF, Delay, Norm, StepAffine
from spikeport.target import Request
from spikeport.tracing import capture
from traced import fired


def net(neuron):
    torch.manual_seed(0)
    return written.Whole(neuron).eval()


def sigmoid(w):
    return 1 / (1 + np.exp(-w))


@pytest.mark.parametrize(
    ("neuron", "decay", "threshold", "reset", "compare"),
    [
        (written.IntoZeros, sigmoid(-1.4), [0.5] * 4, "zero", ">="),
        (written.Stacked, 0.5, [1.0] * 4, "zero", ">"),
        (written.Scheduled, 0.2, [0.3, 0.5, 0.4, 0.7], "zero", ">="),
        (written.Subtracting, 0.9, [0.6] * 4, "subtract", ">"),
    ],
)
def test_a_loop_over_time_is_the_neuron_that_its_equations_say(neuron, decay, threshold, reset, compare):
    graph = fired(capture(net(neuron()), (2, 5, 5)))
    assert graph.timesteps == 4
    assert not graph.nodes_of(Norm)  # the norm is folded into the convolution
    node = graph["lif"]
    np.testing.assert_allclose(node.decay, decay, rtol=1e-6)
    np.testing.assert_allclose(node.threshold, threshold, rtol=1e-6)
    assert (node.reset, node.compare, float(node.gain)) == (reset, compare, 1.0)


def test_time_as_the_last_axis_with_the_last_steps_spikes_as_the_gate():
    class Net(written.Whole):
        def forward(self, x):
            x = x.unsqueeze(-1).repeat(1, 1, 1, 1, written.T)
            y = torch.stack([self.norm(self.conv(x[..., t])) for t in range(written.T)], -1)
            return self.fc(self.lif(y).flatten(2)).mean(1)

    torch.manual_seed(0)
    node = fired(capture(Net(written.TimeLast()).eval(), (2, 5, 5)))["lif"]
    assert (float(node.decay), node.reset) == (0.25, "zero")


class FromTheCurrent(nn.Module):
    """The current of one frame, which is the first membrane too: v = i, then v = 0.5 v + i."""

    def __init__(self, steps, subtracts):
        super().__init__()
        self.conv, self.fc, self.steps, self.subtracts = nn.Conv2d(1, 4, 3), nn.Linear(64, 5), steps, subtracts

    def forward(self, x):
        current, v, w, count = self.conv(x), None, None, 0
        for _ in range(self.steps):
            v = current if v is None else v * 0.5 + current
            z = (v >= 0.25).float()
            v = v - 0.25 * z if self.subtracts else v * (1 - z)
            inner = self.fc(z.flatten(1))
            w = inner if w is None else w * 0.75 + inner
            y = (w > 0.125).float()
            w, count = w * (1 - y), count + y
        return count


@pytest.mark.parametrize("subtracts", [False, True])
@pytest.mark.parametrize("steps", [2, 3, 6])
def test_a_first_membrane_that_is_the_current_itself(steps, subtracts):
    torch.manual_seed(0)
    module = FromTheCurrent(steps, subtracts).eval()
    graph = fired(capture(module, (1, 6, 6)))
    inner, outer = graph.nodes_of(LIF).values()
    assert (float(inner.decay), inner.reset) == (0.5, "subtract" if subtracts else "zero")
    assert (float(outer.decay), outer.reset) == (0.75, "zero")
    x = torch.randn(20, 1, 6, 6)
    with torch.no_grad():
        np.testing.assert_array_equal(simulate(graph, x.numpy()).outputs, module(x).numpy())


def test_a_reset_one_step_late_is_a_connection_of_the_layer_to_itself():
    graph = fired(capture(net(written.Late()), (2, 5, 5)))
    assert graph["lif"].reset == "none"
    assert len(graph.nodes_of(Delay)) == 1


def test_a_current_that_decays_by_itself():
    node = fired(capture(net(written.Current()), (2, 5, 5)))["lif"]
    assert isinstance(node, CubaLIF)
    np.testing.assert_allclose([node.current_decay, node.decay], [0.6, 0.7], rtol=1e-6)


def test_a_membrane_that_starts_and_rests_elsewhere_is_measured_from_there():
    node = fired(capture(net(written.FromRest()), (2, 5, 5)))["lif"]
    np.testing.assert_allclose([node.decay, node.gain, node.threshold[0]], [1 - 1 / 1.5, 1 / 1.5, 0.6], rtol=1e-6)
    assert node.reset == "zero"
    assert abs(float(node.bias)) < 2**-24  # what float32 makes of -0.2 and 0.2


def test_the_graph_fires_what_the_module_fires():
    module = net(written.IntoZeros())
    graph = capture(module, (2, 5, 5))
    x = np.random.default_rng(0).standard_normal((9, 2, 5, 5)).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.as_tensor(x)).mean(1).numpy()
    np.testing.assert_allclose(simulate(graph, x, Request()).outputs, theirs, atol=1e-5)


def test_a_state_that_was_left_in_an_attribute_is_reset_and_left_as_it_was():
    module = net(written.Scheduled())
    with torch.no_grad():
        module(torch.ones(3, 2, 5, 5))
    left = module.lif.v
    fired(capture(module, (2, 5, 5)))
    assert module.lif.v is left


class Recurrent(nn.Module):
    """Its own spikes come back through weights a step later."""

    def __init__(self):
        super().__init__()
        self.fc, self.back, self.out = nn.Linear(5, 6), nn.Linear(6, 6, bias=False), nn.Linear(6, 2)

    def forward(self, x):
        v = s = torch.zeros(x.shape[1], 6)
        spikes = []
        for step in x:
            v = 0.6 * v + self.fc(step) + self.back(s)
            s = (v > 0.3).to(x.dtype)
            v = v - v * s
            spikes.append(s)
        return self.out(torch.stack(spikes)).sum(0)


def test_recurrent_weights_by_hand_are_a_delayed_path():
    torch.manual_seed(0)
    graph = fired(capture(Recurrent().eval(), (5,), timesteps=5, forward="sequence"))
    assert [node.steps for node in graph.nodes_of(Delay).values()] == [1]


class Odd(Recurrent):
    """A neuron that no node is: what is different is in ``charge``."""

    def __init__(self, charge):
        super().__init__()
        self.charge = charge

    def forward(self, x):
        v = s = a = torch.zeros(x.shape[1], 6)
        spikes = []
        for t, step in enumerate(x):
            v, theta, a = self.charge(v, self.fc(step), s, a, t)
            s = (v > theta).to(x.dtype)
            v = v * (1 - s)
            spikes.append(s)
        return self.out(torch.stack(spikes)).sum(0)


@pytest.mark.parametrize(
    ("charge", "several"),
    [
        (lambda v, x, s, a, t: (0.5 * v + x * (t + 1), 0.3, a), False),
        (lambda v, x, s, a, t: (0.5 * v + x + 0.1 * t, 0.3, a), True),
        (lambda v, x, s, a, t: (0.5 * v + (x - 0.1 * t) / (t + 1), 0.3, a), False),
        (lambda v, x, s, a, t: ((0.5 + 0.1 * t) * v + x, 0.3, a), True),
        (lambda v, x, s, a, t: (0.5 * v + x - 0.2 * t * s, 0.3, a), True),
    ],
)
def test_what_differs_from_step_to_step_is_a_node_before_the_neurons_or_within_them(charge, several):
    torch.manual_seed(0)
    graph = fired(capture(Odd(charge).eval(), (5,), timesteps=4, forward="sequence"))
    assert {len(node.gain) for node in graph.nodes_of(StepAffine).values()} == {4}
    (neurons,) = graph.nodes_of(LIF)
    assert (f"{neurons}.membrane" in graph.nodes) == several


@pytest.mark.parametrize(
    ("charge", "word"),
    [
        (lambda v, x, s, a, t: (0.5 * v * v + x, 0.3, a), "neither of which is spikes"),
        (lambda v, x, s, a, t: (torch.clamp(0.5 * v + x, -1.0, 1.0), 0.3, a), "clamp"),
    ],
)
def test_what_no_neuron_of_a_graph_computes_is_refused_by_name(charge, word):
    torch.manual_seed(0)
    with pytest.raises(SpikeportError, match=word) as caught:
        capture(Odd(charge).eval(), (5,), timesteps=4, forward="sequence")
    assert "test_hand_written.py line" in str(caught.value)


def test_two_layers_over_one_current_stay_two_layers():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(2, 3, 3), nn.Linear(27, 2)

        def forward(self, x):
            y, a, b, out = self.conv(x), 0.0, 0.0, []
            for _ in range(3):
                a, b = 0.5 * a + y, 0.9 * b + y
                s, r = (a > 0.4).to(x.dtype), (b > 0.4).to(x.dtype)
                a, b = a * (1 - s), b * (1 - r)
                out.append(self.fc((s + r).flatten(1)))
            return sum(out) / 3

    torch.manual_seed(0)
    decays = sorted(float(node.decay) for node in fired(capture(Two(), (2, 5, 5))).nodes_of(LIF).values())
    np.testing.assert_allclose(decays, [0.5, 0.9], rtol=1e-6)


class CurrentReset(nn.Module):
    """Frames [T, B, 6]; a spike takes 0.5 from the current, which decays: i = 0.9 i + x, v = 0.7 v + i, i -= 0.5 s."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 9)

    def forward(self, x):
        current, v, spikes = torch.zeros(x.shape[1], 9), torch.zeros(x.shape[1], 9), []
        for frame in x:
            current = 0.9 * current + self.a(frame)
            v = 0.7 * v + current
            s = (v > 0.6).float()
            current = current - 0.5 * s
            spikes.append(s)
        return torch.stack(spikes)


@pytest.mark.parametrize("timesteps", [2, 3, 5])
def test_what_a_spike_takes_from_the_current_decays_with_it(timesteps):
    torch.manual_seed(0)
    module = CurrentReset()
    graph = fired(capture(module, (6,), timesteps=timesteps, forward="sequence"))
    x = 2 * torch.randn(timesteps, 50, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        spikes = module(x).numpy()
    (name,) = graph.nodes_of(LIF)
    np.testing.assert_array_equal(simulate(graph, x.numpy(), Request(trains=True)).trains[name].unpack(), spikes)
    if timesteps == 3:
        assert float(graph["spikes.back1"].factor) == pytest.approx(-0.45)
        assert len(graph.nodes_of(Delay)) == 1
