"""Sinabs' neurons become nodes that fire as they do, several times in a step too: held to the real package."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import ALIF, LIF, CubaLIF, Pool, over_neurons
from spikeport.graph.neurons import EVERY_SPIKE
from spikeport.target import Request
from spikeport.tracing import capture
from spikeport.tracing.observe import observe
from spikeport.tracing.registry import registered

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, on import
layers = pytest.importorskip("sinabs.layers")
from sinabs.activation import MaxSpike, MembraneReset, SingleSpike  # noqa: E402
from sinabs.from_torch import from_model  # noqa: E402

KINDS = {
    "IAF": (lambda: layers.IAF(), LIF, EVERY_SPIKE, "subtract"),
    "LIF": (lambda: layers.LIF(tau_mem=10.0, norm_input=False), LIF, EVERY_SPIKE, "subtract"),
    "three at most, a current": (
        lambda: layers.LIF(9.0, 3.0, norm_input=False, spike_fn=MaxSpike(3)),
        CubaLIF,
        3,
        "subtract",
    ),
    "one, to zero": (lambda: layers.IAF(spike_fn=SingleSpike, reset_fn=MembraneReset()), LIF, 1, "zero"),
}


ADAPTING = {
    "subtract": {"tau_mem": 10.0, "tau_adapt": 5.0},
    "zero, adapting little": {"tau_mem": 8.0, "tau_adapt": 3.0, "norm_input": False, "adapt_scale": 0.7},
}


@pytest.mark.parametrize("kind", ADAPTING)
def test_thresholds_follow_their_own_spikes_as_in_sinabs(kind):
    torch.manual_seed(1)
    reset = {"reset_fn": MembraneReset()} if kind.startswith("zero") else {}
    module = nn.Sequential(nn.Linear(6, 8), layers.ALIF(**ADAPTING[kind], **reset), nn.Linear(8, 3)).eval()
    graph = capture(module, (6,), timesteps=9, forward="sequence")
    assert list(graph.nodes_of(ALIF)) == ["1"]
    x = np.random.default_rng(2).normal(0, 40, (9, 7, 6)).astype(np.float32)
    with torch.no_grad():
        fresh = nn.Sequential(module[0], layers.ALIF(**ADAPTING[kind], **reset)).eval()
        spikes = fresh(torch.tensor(x).transpose(0, 1)).transpose(0, 1).numpy()
    assert 20 < spikes.sum() < spikes.size / 2
    np.testing.assert_array_equal(simulate(graph, x, Request(trains=True)).trains["1"].unpack(), spikes)


def test_an_adapting_neuron_with_a_current_is_followed_line_by_line():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), layers.ALIF(10.0, 5.0, tau_syn=3.0), nn.Linear(8, 3))
    net[0].weight.data *= 4
    graph = capture(net.eval(), (6,), timesteps=5, forward="sequence")
    assert len(graph.nodes_of(ALIF)) == 1
    assert float(graph["1.current.keep"].factor) == pytest.approx(np.exp(-1 / 3) * (1 - np.exp(-0.1)))  # norm_input


@pytest.mark.parametrize("kind", KINDS)
def test_neurons_fire_as_often_as_sinabs_does(kind):
    make, node, most, reset = KINDS[kind]
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(6, 8), make(), nn.Linear(8, 3)).eval()
    graph = capture(module, (6,), timesteps=5, forward="sequence")
    (neurons,) = graph.nodes_of(LIF).values()
    assert (type(neurons), neurons.most_spikes, neurons.reset) == (node, most, reset)
    x = np.random.default_rng(2).normal(0, 4, (5, 7, 6)).astype(np.float32)
    fresh = nn.Sequential(module[0], make()).eval()
    with torch.no_grad():
        spikes = fresh(torch.tensor(x).transpose(0, 1)).transpose(0, 1).numpy()
    assert 1 < spikes.max() <= most or most == spikes.max() == 1
    np.testing.assert_array_equal(simulate(graph, x, Request(trains=True)).trains["1"].unpack(), spikes)


BOUNDED = {
    "IAF": lambda: layers.IAF(min_v_mem=-0.5),
    "LIF": lambda: layers.LIF(tau_mem=10.0, norm_input=False, min_v_mem=0.0, reset_fn=MembraneReset()),
    "a current": lambda: layers.LIF(9.0, 3.0, norm_input=False, min_v_mem=-1.0),
    "ALIF": lambda: layers.ALIF(tau_mem=10.0, tau_adapt=5.0, norm_input=False, min_v_mem=-1.0),
}


@pytest.mark.parametrize("kind", BOUNDED)
def test_a_membrane_ends_at_its_lower_bound_as_in_sinabs(kind):
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(6, 8), BOUNDED[kind](), nn.Linear(8, 3)).eval()
    graph = capture(module, (6,), timesteps=9, forward="sequence")
    x = np.random.default_rng(2).normal(0, 3, (9, 7, 6)).astype(np.float32)
    with torch.no_grad():
        fresh = nn.Sequential(module[0], BOUNDED[kind]()).eval()
        spikes = fresh(torch.tensor(x).transpose(0, 1)).transpose(0, 1).numpy()
    record = simulate(graph, x, Request(trains=True, membranes=True))
    np.testing.assert_array_equal(record.trains["1"].unpack(), spikes)
    low = float(BOUNDED[kind]().min_v_mem)
    assert record.membranes["1"].min() == np.float32(low)
    free = simulate(graph.replace({"1": graph["1"].with_(lower_bound=None)}), x, Request(trains=True))
    assert (free.trains["1"].unpack() != spikes).any()


def test_a_bound_above_zero_is_refused_and_a_filter_is_no_neuron():
    with pytest.raises(SpikeportError, match="a finite bound of zero or less"):
        capture(nn.Sequential(layers.IAF(min_v_mem=0.5)), (6,), timesteps=4, forward="sequence")
    assert registered(layers.ExpLeak(10.0)) is None


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 4}, {"num_timesteps": 5}], ids=str)
def test_a_network_that_sinabs_makes_of_one_without_spikes_takes_samples_and_time_in_one_axis(options):
    """`from_model` puts IAFSqueeze, whose membranes end at -1, in the place of each ReLU."""
    torch.manual_seed(0)
    pooled = (nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 10, bias=False), nn.ReLU())
    analog = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), *pooled)
    network = from_model(analog, input_shape=(1, 8, 8), **options)
    graph = capture(network, (1, 8, 8), timesteps=5)
    (note,) = graph.provenance["notes"]
    assert "samples and time in one axis" in note
    x = np.random.default_rng(0).normal(0.5, 2, (5, 8, 1, 8, 8)).astype(np.float32)
    at_once = options.get("batch_size", 8)
    assert network.spiking_model[1].batch_size == options.get("batch_size", -1), "the module is left as it was"
    spikes = []
    with torch.no_grad():
        for rows in torch.tensor(x).transpose(0, 1).split(at_once):
            network.reset_states()
            spikes.append(network(rows.flatten(0, 1)).unflatten(0, rows.shape[:2]))
    whole = torch.cat(spikes).transpose(0, 1).numpy()
    record = simulate(graph, x, Request(trains=True))
    np.testing.assert_array_equal(record.trains["spiking_model.5"].unpack(), whole)
    assert whole.sum() > 5
    assert {float(node.lower_bound) for node in graph.nodes_of(LIF).values()} == {-1.0}
    seen = observe(network, graph, x, Request(trains=True))
    np.testing.assert_array_equal(seen.trains["spiking_model.5"].unpack(), whole)


def folding(*parts, **options):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), layers.IAFSqueeze(batch_size=1, min_v_mem=-1.0, **options), *parts)


def test_a_bound_broadcasts_over_the_last_axes_as_sinabs_has_it():
    torch.manual_seed(0)
    lows = -torch.linspace(0.1, 0.6, 6)
    for given, wanted in ((lows, (6, 6, 6)), (lows[:, None, None], (6,)), (lows[:1], ())):
        graph = capture(Frames(nn.Conv2d(1, 6, 3), layers.IAF(min_v_mem=given)), (1, 8, 8), timesteps=4)
        (node,) = graph.nodes_of(LIF).values()
        assert node.lower_bound.shape == wanted
        ours, theirs = over_neurons(node.lower_bound, node.shape), given.numpy()
        np.testing.assert_array_equal(*(np.broadcast_to(low, (6, 6, 6)) for low in (ours, theirs)))


class Frames(nn.Module):
    """[T, B, C, H, W] through a convolution of each frame and neurons of [B, T, ...]."""

    def __init__(self, conv, neurons):
        super().__init__()
        self.conv, self.neurons = conv, neurons

    def forward(self, x):
        y = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.neurons(y.transpose(0, 1)).transpose(0, 1)


def test_what_float32_makes_of_a_far_bound_and_what_no_probe_reached_is_said():
    far = capture(nn.Sequential(nn.Linear(6, 8), layers.IAF(min_v_mem=-1e5)), (6,), timesteps=4, forward="sequence")
    said = " ".join(far.provenance["notes"])
    assert "Sinabs rounds membranes to 0.0078 on their way past min_v_mem" in said
    assert "no probe's membrane got there" in said
    near = capture(nn.Sequential(nn.Linear(6, 8), layers.IAF(min_v_mem=-1.0)), (6,), timesteps=4, forward="sequence")
    assert not any("min_v_mem" in note or "got there" in note for note in near.provenance.get("notes", ()))


@pytest.mark.parametrize(
    ("network", "options", "code", "words"),
    [
        (lambda: folding(), {}, "SP384", "pass timesteps=T"),
        (lambda: folding(reset_fn=MembraneReset(-0.5)), {"timesteps": 4}, "SP387", "reset_fn is"),
        (lambda: folding(nn.Tanh(), nn.Conv2d(4, 2, 1)), {"timesteps": 4}, "SP380", "analog nonlinearity"),
        (lambda: nn.Sequential(layers.IAF(min_v_mem=-np.inf)), {"timesteps": 4}, "SP387", "a finite bound"),
    ],
)
def test_a_refusal_is_that_of_the_reading_that_is_meant(network, options, code, words):
    with pytest.raises(SpikeportError) as caught:
        capture(network(), (1, 8, 8), **options)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_the_layers_say_how_many_timesteps():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), layers.IAFSqueeze(num_timesteps=7), layers.SumPool2d(2))
    graph = capture(module, (1, 8, 8))
    assert graph.timesteps == 7
    assert [node.kind for node in graph.nodes_of(Pool).values()] == ["sum"]


def test_time_before_samples_is_another_order():
    class Repeated(nn.Module):
        """A sample at each of 4 steps, all samples of a step in a row."""

        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(6, 8), layers.IAFSqueeze(num_timesteps=4), nn.Linear(8, 3))

        def forward(self, x):
            return self.inner(x.unsqueeze(0).repeat(4, 1, 1).flatten(0, 1)).unflatten(0, (4, -1))

    with pytest.raises(SpikeportError, match="takes all steps of a sample in a row, gets all samples of a step"):
        capture(Repeated(), (6,), forward="sample")
