"""snnTorch's neurons, as their own code runs them, against the captured graph: every spike, in float64 and float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import Delay
from spikeport.target import Request
from spikeport.tracing import capture

snn = pytest.importorskip("snntorch")

T = 12


class OneLayer(nn.Module):
    """A linear layer and a neuron, called once a step."""

    def __init__(self, neuron, n=7):
        super().__init__()
        self.fc = nn.Linear(5, n)
        self.neuron = neuron

    def forward(self, x):
        return self.neuron(self.fc(x))


def fired(module, x):
    """What the library itself does: [T, B, n]."""
    spikes = []
    with torch.no_grad():
        for _ in range(T):
            out = module(x)
            spikes.append(out[0] if isinstance(out, tuple) else out)
    return torch.stack(spikes).numpy()


def same(build, scale=2.0, rate=(0.02, 0.95)):
    torch.manual_seed(1)
    module = OneLayer(build()).double()
    graph = capture(module, (5,), timesteps=T)
    x = np.random.default_rng(5).standard_normal((64, 5)) * scale
    theirs = fired(module, torch.as_tensor(x))
    ours = simulate(graph, x, Request(trains=True))
    assert rate[0] < (theirs != 0).mean() < rate[1]
    np.testing.assert_array_equal(ours.trains["neuron"].unpack(), theirs != 0)
    return graph, theirs, ours


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1.0, 1.7])
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_leaky(beta, reset):
    same(lambda: snn.Leaky(beta=beta, reset_mechanism=reset, init_hidden=True))


@pytest.mark.parametrize("reset", ["zero", "none"])
def test_leaky_without_delay(reset):
    same(lambda: snn.Leaky(beta=0.8, reset_mechanism=reset, reset_delay=False, init_hidden=True))


def test_leaky_with_parameters_a_neuron():
    beta, threshold = torch.linspace(0.2, 0.95, 7), torch.linspace(0.3, 1.5, 7)
    for reset in ("zero", "subtract", "none"):
        same(lambda reset=reset: snn.Leaky(beta, threshold, reset_mechanism=reset, init_hidden=True))


def test_graded_spikes_are_scaled_on_their_way_out():
    graph, theirs, ours = same(lambda: snn.Leaky(beta=0.9, graded_spikes_factor=0.5, init_hidden=True))
    assert set(np.unique(theirs)) == {0.0, 0.5}
    np.testing.assert_allclose(ours.outputs, theirs.sum(0), atol=1e-12)
    assert graph.output == "readout"


@pytest.mark.parametrize("alpha", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_synaptic(alpha, reset):
    same(lambda: snn.Synaptic(alpha=alpha, beta=0.7, reset_mechanism=reset, init_hidden=True))


@pytest.mark.parametrize("reset", ["subtract", "none"])
@pytest.mark.parametrize("how", [{"beta": 0.8}, {"R": 5.0, "C": 1.2}, {"R": 2.0, "C": 3.0, "time_step": 0.5}])
def test_lapicque(reset, how):
    same(lambda: snn.Lapicque(**how, threshold=0.3, reset_mechanism=reset, init_hidden=True), rate=(0.005, 0.95))


def test_a_time_step_longer_than_rc_is_a_decay_that_only_several_nodes_hold():
    graph, _, _ = same(lambda: snn.Lapicque(R=0.5, C=0.5, threshold=0.3, init_hidden=True))
    assert graph["neuron.keep"].factor == -3


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (snn.Alpha, {"alpha": 0.9, "beta": 0.6, "reset_mechanism": "zero"}),
        (snn.Alpha, {"alpha": 0.9, "beta": 0.6, "reset_mechanism": "subtract"}),
        (snn.Alpha, {"alpha": 0.9, "beta": 0.6, "reset_mechanism": "none"}),
        (snn.Synaptic, {"alpha": 0.5, "beta": 0.8, "reset_mechanism": "zero"}),
        (snn.Synaptic, {"alpha": 0.5, "beta": 0.8, "reset_delay": False}),
        (snn.Lapicque, {"R": 2.0, "C": 3.0, "time_step": 0.5, "reset_mechanism": "zero"}),
        (snn.Leaky, {"beta": 0.8, "reset_delay": False, "graded_spikes_factor": 0.5}),
    ],
)
def test_states_that_no_one_node_holds_are_several_nodes(kind, options):
    graph, _, _ = same(lambda: kind(**options, threshold=0.3, init_hidden=True))
    assert graph.recurrent
    assert len(graph.nodes_of(Delay)) >= 1


def alike(neuron):
    """Training may bring both decays together, where snnTorch divides by their distance."""
    neuron.beta = neuron.alpha.clone()
    return neuron


@pytest.mark.parametrize(
    "build",
    [
        lambda: alike(snn.Alpha(alpha=0.9, beta=0.5, init_hidden=True)),
        lambda: snn.Leaky(beta=0.8, state_quant=lambda m: m.round(), init_hidden=True),
    ],
)
def test_what_no_node_computes_is_refused(build):
    with pytest.raises(SpikeportError) as caught:
        capture(OneLayer(build()), (5,), timesteps=T)
    assert caught.value.code == "SP387"
    assert "'neuron'" in str(caught.value)


def doubled(module):
    """snnTorch fires in float32 whatever it gets; this lets the rest of a network be float64."""
    for part in module.modules():
        if isinstance(part, snn.SpikingNeuron):
            part.register_forward_hook(
                lambda _m, _a, out: (out[0].double(), *out[1:]) if isinstance(out, tuple) else out.double()
            )
    return module.double()


class Loop(nn.Module):
    """The tutorials' way: the loop over time and the membranes in `forward`."""

    def __init__(self, events=False):
        super().__init__()
        self.events = events
        self.conv = nn.Conv2d(1, 4, 3)
        self.lif1 = snn.Leaky(beta=0.9)
        self.fc = nn.Linear(4 * 9, 6)
        self.lif2 = snn.Leaky(beta=0.8, threshold=0.2, reset_mechanism="zero")

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        recorded = []
        for step in range(T):
            cur = torch.nn.functional.avg_pool2d(self.conv(x[step] if self.events else x), 2)
            spk, mem1 = self.lif1(cur, mem1)
            spk, mem2 = self.lif2(self.fc(spk.view(spk.size(0), -1)), mem2)
            recorded.append(spk)
        return torch.stack(recorded, dim=0)


@pytest.mark.parametrize("events", [False, True])
def test_a_loop_over_time_in_forward(events):
    torch.manual_seed(2)
    module = Loop(events)
    capture(module, (1, 8, 8), forward="sequence" if events else "sample", timesteps=T if events else None)
    module = doubled(module)
    form = "sequence" if events else "sample"
    graph = capture(module, (1, 8, 8), forward=form, timesteps=T if events else None)
    assert graph.timesteps == T
    lead = (T, 9) if events else (9,)
    x = np.random.default_rng(6).standard_normal((*lead, 1, 8, 8)) * 3
    with torch.no_grad():
        theirs = module(torch.as_tensor(x)).numpy()
    ours = simulate(graph, x, Request(trains=True))
    assert 0.02 < theirs.mean() < 0.9
    np.testing.assert_array_equal(ours.trains["lif2"].unpack(), theirs.astype(bool))


def test_sequential_with_hidden_states_is_one_step_a_call():
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Linear(5, 9),
        snn.Leaky(beta=0.9, init_hidden=True),
        nn.Linear(9, 4),
        snn.Leaky(beta=0.7, init_hidden=True, output=True),
    )
    graph = capture(net, (5,), timesteps=T, output=0)
    assert graph.timesteps == T
    assert graph.recurrent
