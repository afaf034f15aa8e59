"""snnTorch's RLeaky and RSynaptic, whose spikes come back to them: held to their own code, spike for spike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.target import Request
from spikeport.tracing import capture
from traced import fired

snn = pytest.importorskip("snntorch")

T = 8
WAYS = {
    "linear": {"linear_features": 7},
    "one to one": {"all_to_all": False, "V": -0.4},
    "excited": {"all_to_all": False, "V": 0.7},
}


class Loop(nn.Module):
    """[T, B, 5] through a layer and a neuron whose states pass through `forward`; it returns the spikes."""

    def __init__(self, neuron, layer):
        super().__init__()
        self.layer, self.neuron = layer, neuron

    def forward(self, x):
        states, spikes = self.neuron.reset_mem(), []
        for step in x:
            states = self.neuron(self.layer(step), *states)
            spikes.append(states[0])
        return torch.stack(spikes)


class Hidden(Loop):
    """The same with states in the neuron."""

    def forward(self, x):
        self.neuron.reset_mem()
        return torch.stack([self.neuron(self.layer(step)) for step in x])


def same(build, x, shape):
    torch.manual_seed(3)
    module = build().double()
    graph = fired(capture(module, shape, timesteps=T, forward="sequence"))
    with torch.no_grad():
        theirs = module(torch.as_tensor(x)).numpy()
    ours = simulate(graph, x, Request(trains=True))
    assert 0.03 < theirs.mean() < 0.9
    (train,) = ours.trains.values()
    np.testing.assert_array_equal(train.unpack(), theirs)
    return theirs


def neuron(kind, **options):
    rates = {"beta": 0.8} if kind is snn.RLeaky else {"alpha": 0.6, "beta": 0.8}
    return kind(**rates, threshold=0.5, spike_grad=above, **options)


def above(x):
    """Spikes in the type of the membrane; snnTorch's own are float32, which its recurrent layer then would not take."""
    return (x > 0).to(x.dtype)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("kind", [snn.RLeaky, snn.RSynaptic])
def test_spikes_come_back_under_every_reset(kind, reset, way):
    x = np.random.default_rng(4).normal(0, 1, (T, 32, 5)) * 2
    options = {**WAYS[way], "reset_mechanism": reset}
    theirs = same(lambda: Loop(neuron(kind, **options), nn.Linear(5, 7)), x, (5,))
    if reset == "zero":  # the membrane, and all that enters it, is 0 at the step after a spike
        assert not (theirs[1:] * theirs[:-1]).any()


@pytest.mark.parametrize("kind", [snn.RLeaky, snn.RSynaptic])
def test_states_that_are_kept_in_the_neuron(kind):
    x = np.random.default_rng(5).normal(0, 1, (T, 32, 5)) * 2
    options = {"linear_features": 7, "reset_mechanism": "zero", "init_hidden": True}
    same(lambda: Hidden(neuron(kind, **options), nn.Linear(5, 7)), x, (5,))


def test_maps_whose_spikes_come_back_through_a_convolution():
    x = np.random.default_rng(6).normal(0, 1, (T, 9, 2, 5, 5)) * 2
    options = {"conv2d_channels": 3, "kernel_size": 3, "reset_mechanism": "zero"}
    same(lambda: Loop(neuron(snn.RLeaky, **options), nn.Conv2d(2, 3, 3)), x, (2, 5, 5))
