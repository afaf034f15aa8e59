"""SpikingJelly's neurons, as their own code runs them, against the captured graph: every spike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Concat, Delay
from spikeport.target import Request
from spikeport.tracing import capture

sj = pytest.importorskip("spikingjelly.activation_based")
from spikingjelly.activation_based import functional, layer, neuron  # noqa: E402

T = 8


class Net(nn.Module):
    """Convolution, norm, neuron, pool, dense, neuron."""

    def __init__(self, kind, mode, **options):
        super().__init__()
        self.mode = mode
        self.conv = layer.Conv2d(2, 5, 3, padding=1, bias=False)
        self.bn = layer.BatchNorm2d(5)
        self.sn1 = kind(**options)
        self.pool = layer.AvgPool2d(2, 2)
        self.flatten = layer.Flatten()
        self.drop = layer.Dropout(0.5)
        self.fc = layer.Linear(45, 6)
        self.sn2 = kind(**options)
        self.bn.running_mean.uniform_(-0.3, 0.3)
        self.bn.running_var.uniform_(0.5, 1.5)
        self.fc.weight.data *= 4  # so that the second layer fires with every option
        functional.set_step_mode(self, mode)

    def forward(self, x):
        if self.mode == "m":
            x = x.unsqueeze(0).repeat(T, 1, 1, 1, 1)
        x = self.pool(self.sn1(self.bn(self.conv(x))))
        return self.sn2(self.fc(self.drop(self.flatten(x))))


OPTIONS = [
    (neuron.IFNode, {}),
    (neuron.IFNode, {"v_threshold": 0.7, "v_reset": -0.25}),
    (neuron.IFNode, {"v_reset": None}),
    (neuron.LIFNode, {"tau": 2.0}),
    (neuron.LIFNode, {"tau": 1.5, "decay_input": False, "v_reset": 0.2}),
    (neuron.LIFNode, {"tau": 3.0, "decay_input": True, "v_reset": -0.5, "v_threshold": 0.3}),
    (neuron.LIFNode, {"tau": 2.0, "decay_input": False, "v_reset": None}),
    (neuron.LIFNode, {"tau": 2.0, "decay_input": True, "v_reset": None, "v_threshold": 0.4}),
    (neuron.ParametricLIFNode, {"init_tau": 1.8, "decay_input": False}),
    (neuron.ParametricLIFNode, {"init_tau": 2.5, "decay_input": True, "v_reset": None, "v_threshold": 0.4}),
]


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_every_spike(kind, options, mode):
    torch.manual_seed(0)
    module = Net(kind, mode, **options).double().eval()
    how = {"forward": "sample"} if mode == "m" else {"timesteps": T}
    graph = capture(module, (2, 6, 6), **how)
    x = np.random.default_rng(1).standard_normal((10, 2, 6, 6)) * 2
    with torch.no_grad():
        functional.reset_net(module)
        first = torch.as_tensor(x)
        theirs = module(first) if mode == "m" else torch.stack([module(first) for _ in range(T)])
        functional.reset_net(module)
    ours = simulate(graph, x, Request(trains=True))
    assert 0.01 < theirs.mean() < 0.97
    np.testing.assert_array_equal(ours.trains["sn2"].unpack(), theirs.numpy().astype(bool))
    assert set(graph.nodes_of(LIF)) == {"sn1", "sn2"}


def test_a_multi_step_block_of_frames():
    torch.manual_seed(0)
    net = nn.Sequential(layer.Linear(4, 6), neuron.LIFNode(step_mode="m"), layer.Linear(6, 3))
    functional.set_step_mode(net, "m")
    graph = capture(net, (4,), timesteps=5)
    assert graph["input"].coding == "events"


def test_a_state_that_would_pass_between_two_places_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.sn = layer.Linear(4, 4), layer.Linear(4, 4), neuron.IFNode()

        def forward(self, x):
            return self.sn(self.b(self.sn(self.a(x))))

    with pytest.raises(SpikeportError) as caught:
        capture(Twice(), (4,), timesteps=3)
    assert caught.value.code == "SP383"


def test_a_network_that_ran_and_was_not_reset_is_captured():
    """As after a training: the last membranes hang on the gradients, and torch copies no such tensor."""
    torch.manual_seed(0)
    net = nn.Sequential(layer.Linear(4, 6), neuron.LIFNode(), layer.Linear(6, 3))
    net(torch.rand(2, 4) * 9)
    fresh = capture(nn.Sequential(net[0], neuron.LIFNode(), net[2]), (4,), timesteps=5)
    assert capture(net, (4,), timesteps=5).nodes == fresh.nodes


class Recorded(nn.Module):
    """Read out by the membranes that neurons keep in an attribute."""

    def __init__(self):
        super().__init__()
        self.fc, self.neurons = layer.Linear(4, 3), neuron.LIFNode(v_threshold=1e9, store_v_seq=True)
        functional.set_step_mode(self, "m")

    def forward(self, x):
        self.neurons(self.fc(x))
        return self.neurons.v_seq


def test_membranes_that_neurons_keep_are_no_result():
    with pytest.raises(
        SpikeportError, match=r"SP385  the result is what the neurons of 'neurons' keep.*\n.*never spikes"
    ):
        capture(Recorded(), (4,), timesteps=5, forward="sequence")


def test_a_list_of_steps_is_told_how_to_name_the_last():
    net = nn.Sequential(layer.Linear(4, 3), neuron.IFNode(), layer.Linear(3, 2), neuron.NonSpikingLIFNode())
    functional.set_step_mode(net, "m")
    with pytest.raises(SpikeportError, match="output=4"):
        capture(net, (4,), timesteps=5)


@pytest.mark.parametrize("build", [lambda: neuron.GatedLIFNode(T=T), lambda: neuron.SlidingPSN(k=3)])
def test_neurons_of_gates_and_of_windows_are_several_nodes(build):
    torch.manual_seed(0)
    net = nn.Sequential(layer.Linear(6, 8), build(), layer.Linear(8, 3))
    net[0].weight.data *= 4
    functional.set_step_mode(net, "m")
    graph = capture(net, (6,), timesteps=T)
    assert len(graph.nodes_of(Delay)) == 2
    assert graph.provenance["verified"]["silent"] == []


def test_spikes_of_the_step_before_beside_the_input_are_an_operand_that_is_late():
    """The container joins [x, y[t-1]], where y is zeros before the first step, and feeds the result to its layer."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), layer.LinearRecurrentContainer(neuron.LIFNode(), 8, 8), nn.Linear(8, 3))
    net[0].weight.data *= 4
    functional.set_step_mode(net, "m")
    graph = capture(net, (6,), timesteps=T, forward="sequence")
    ((name, node),) = graph.nodes_of(Concat).items()
    first, late = node.operands
    assert isinstance(graph[late], Delay)
    assert graph.recurrent
    assert set(graph.sources(name)) == {first, late}
    assert graph.provenance["verified"]["silent"] == []
