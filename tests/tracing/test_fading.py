"""Neurons of membranes that only leak, over all steps at once: snnTorch's newer ones, held to their own code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Delay, Linear
from spikeport.target import Request
from spikeport.tracing import capture
from traced import fired

snn = pytest.importorskip("snntorch")

T, N = 9, 7


class Net(nn.Module):
    """[T, B, 5]: a layer, neurons that take all steps, and the spikes."""

    def __init__(self, neurons, spikes=lambda out: out[0]):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.neurons, self.spikes = nn.Linear(5, N), neurons(), spikes

    def forward(self, x):
        return self.spikes(self.neurons(self.fc(x)))


class Deltas(nn.Module):
    """snnTorch's DeltaLeaky in a loop."""

    def __init__(self, **options):
        super().__init__()
        self.cell = snn.DeltaLeaky(**options)

    def forward(self, x):
        state, spikes = self.cell.reset_mem(), []
        for step in x:
            spike, state = self.cell(step) if self.cell.init_hidden else self.cell(step, state)
            spikes.append(spike)
        return torch.stack(spikes)


def inputs(batch=60):
    return np.random.default_rng(3).normal(0, 1, (T, batch, 5)).astype(np.float32)


def captured(module):
    return fired(capture(module, (5,), timesteps=T, forward="sequence"))


def same(module, x=None):
    x = inputs() if x is None else x
    graph = captured(module)
    with torch.no_grad():
        theirs = module(torch.as_tensor(x)).numpy()
    assert 0.03 < theirs.mean() < 0.9
    trains = simulate(graph, x, Request(trains=True)).trains.values()
    np.testing.assert_array_equal(sum(train.unpack().astype(int) for train in trains), theirs)
    return graph


def quantised(graph, x):
    """Integers that fire where the real numbers do, but for what rounding leaves near a threshold."""
    whole = spikeport.quantize(graph, data=x.swapaxes(0, 1)).graph
    real, integer = (simulate(each, x, Request(trains=True)).trains for each in (graph, whole))
    for name in graph.nodes_of(LIF):
        assert (real[name].unpack() == integer[name].unpack()).mean() > 0.97
        assert integer[name].unpack().any()
    return whole


STATES = {
    "one decay": lambda: snn.StateLeaky(0.8, N, threshold=0.4),
    "a decay a channel": lambda: snn.StateLeaky(torch.linspace(0.1, 0.95, N), N, threshold=torch.linspace(0.2, 1, N)),
    "its own layer": lambda: snn.LinearLeaky(0.7, N, N, threshold=0.3),
    "a kernel that is longer than needed": lambda: snn.StateLeaky(0.8, N, threshold=0.4, kernel_truncation_steps=40),
    "apart": lambda: snn.LeakyParallel(N, N, beta=0.8, threshold=0.3),
    "apart, no bias": lambda: snn.LeakyParallel(N, N, beta=0.5, threshold=0.2, bias=False),
}


@pytest.mark.parametrize("kind", STATES)
def test_neurons_of_all_steps_are_one_node_that_leaks_and_go_to_integers(kind):
    module = Net(STATES[kind], (lambda out: out) if kind.startswith("apart") else (lambda out: out[0]))
    graph = same(module)
    (node,) = graph.nodes_of(LIF).values()
    assert node.reset == "none"
    assert not graph.nodes_of(Delay)
    assert (node.lower_bound is not None) == kind.startswith("apart")
    quantised(graph, inputs())


def test_a_kernel_that_ends_early_keeps_its_taps():
    graph = same(Net(lambda: snn.StateLeaky(0.8, N, threshold=0.4, kernel_truncation_steps=3)))
    assert len(graph.nodes_of(Delay)) == 2  # of one step, and of two


def test_membranes_that_nothing_compares_are_states_between_layers():
    module = Net(lambda: snn.StateLeaky(0.8, N, output=False), lambda membrane: (membrane > 0.3).float().sum(0) + 0)
    assert list(captured(module).nodes_of(LIF))
    head = nn.Sequential(Net(lambda: snn.StateLeaky(0.8, N, output=False), lambda membrane: membrane), nn.Linear(N, 3))
    graph = capture(head, (5,), timesteps=T, forward="sequence")
    x = inputs()
    with torch.no_grad():
        theirs = head(torch.as_tensor(x)).mean(0).numpy()
    np.testing.assert_allclose(simulate(graph, x).outputs, theirs, rtol=1e-4, atol=1e-5)


class Kernel(nn.Module):
    """By hand: 2 * 0.5 ** k over time, and a bias."""

    def __init__(self, power=0.5):
        super().__init__()
        taps = 2 * power ** torch.arange(T - 1, -1, -1.0)
        self.conv = nn.Conv1d(N, N, T, groups=N)
        self.conv.weight.data.copy_(taps.expand(N, 1, T))

    def forward(self, x):  # [T, B, N]
        v = self.conv(nn.functional.pad(x.permute(1, 2, 0), (T - 1, 0))).permute(2, 0, 1)
        return (v > 0.6).float()


def test_a_kernel_by_hand_with_a_factor_and_a_bias():
    module = Net(Kernel, lambda out: out)
    (node,) = same(module).nodes_of(LIF).values()
    assert np.all(node.decay == np.float32(0.5))


def test_a_kernel_that_does_not_fade_evenly_is_none():
    module = Net(Kernel, lambda out: out)
    module.neurons.conv.weight.data[:, :, 4] *= 1.1
    assert len(same(module).nodes_of(Delay)) == T - 1


def test_states_that_reach_each_other_are_refused():
    module = Net(lambda: snn.LeakyParallel(N, N, beta=0.8, weight_hh_enable=True), lambda out: out)
    assert module.neurons.rnn.weight_hh_l0.count_nonzero() > N
    with pytest.raises(SpikeportError, match="rnn_relu") as caught:
        captured(module)
    assert caught.value.code == "SP380"


def test_a_decay_above_one_is_refused():
    module = Net(lambda: snn.LeakyParallel(N, N, beta=0.8), lambda out: out)
    module.neurons.rnn.weight_hh_l0.data *= 2
    with pytest.raises(SpikeportError, match="of its state from step to step"):
        captured(module)


def test_states_at_zero_that_cross_a_threshold_below_are_refused():
    module = Net(lambda: snn.LeakyParallel(N, N, beta=0.8, threshold=-0.1), lambda out: out)
    with pytest.raises(SpikeportError, match="thresholds that are") as caught:
        captured(module)
    assert caught.value.code == "SP380"


def test_states_that_are_held_at_zero_are_no_spikes():
    module = Net(lambda: nn.RNN(N, N, nonlinearity="relu"), lambda out: out[0])
    module.neurons.weight_hh_l0.data.copy_(torch.eye(N) * 0.5)
    with pytest.raises(SpikeportError, match="held at 0 from below"):
        capture(nn.Sequential(module, nn.Linear(N, 3)), (5,), timesteps=T, forward="sequence")


@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("beta", [0.0, 0.6, 0.9, 1.0])
def test_differences_from_step_to_step_are_two_layers_that_leak(beta, hidden):
    """|u[t] - u[t-1]| > theta: one layer fires where it rises, one where it falls."""
    module = Net(lambda: Deltas(beta=beta, delta_threshold=0.6, init_hidden=hidden), lambda out: out)
    graph = same(module)
    assert len(graph.nodes_of(LIF)) == 2
    assert len(graph.nodes_of(Delay)) == (0 if beta == 1 else 1)  # where nothing leaks it is the current itself
    if beta != 1:
        whole = quantised(graph, inputs())
        assert len(whole.nodes_of(Linear)) == 3  # SP441: a synapse each of what enters at once, late, and turned round
