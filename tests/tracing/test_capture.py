"""A module of spikeport.training becomes a graph that fires the same spikes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Norm, Readout, Scale
from spikeport.target import Request
from spikeport.tracing import capture
from spikeport.training import PLIF, Flatten, Linear, Neuron, Repeat, TdBatchNorm, method
from spikeport.training import Readout as MeanOverTime
from spikeport.training.layers import AvgPool2d, Conv2d
from spikeport.training.networks import build

T = 4


def settled(module, seed=0):
    """Norms and thresholds as after training: nothing at its start value."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, TdBatchNorm):
            for value, low, high in (
                (part.weight, 0.5, 1.5),
                (part.bias, -0.3, 0.3),
                (part.running_mean, -0.5, 0.5),
                (part.running_var, 0.3, 2.0),
            ):
                value.data.uniform_(low, high, generator=generator)
        if hasattr(part, "threshold"):
            part.threshold.data.uniform_(0.05, 0.6, generator=generator)
        if hasattr(part, "w"):
            part.w.data.uniform_(-1.5, 1.0, generator=generator)
    return module.eval()


def small(name="ds-atgo"):
    torch.manual_seed(0)
    how = method(name)
    norm1, norm2 = TdBatchNorm(6, how), TdBatchNorm(8, how)
    return settled(
        nn.Sequential(
            Repeat(T),
            Conv2d(2, 6, 3, padding=1, bias=False),
            norm1,
            PLIF(how, T, norm=norm1),
            AvgPool2d(2),
            Flatten(),
            Linear(6 * 9, 8, bias=False),
            norm2,
            PLIF(how, T, norm=norm2),
            Linear(8, 3),
            MeanOverTime(T),
        )
    )


@pytest.mark.parametrize("name", ["ds-atgo", "mpd-agl", "fixed"])
def test_the_graph_fires_the_modules_spikes(name):
    module = small(name)
    graph = capture(module, (2, 6, 6))
    assert not graph.nodes_of(Norm)
    assert graph.timesteps == T
    np.testing.assert_array_equal(graph["3"].threshold, module[3].threshold.numpy())
    x = np.random.default_rng(3).standard_normal((16, 2, 6, 6)).astype(np.float32)
    record = simulate(graph, x, Request(trains=True))
    with torch.no_grad():
        steps = module[:4](torch.as_tensor(x))
        logits = module(torch.as_tensor(x))
    assert 0.02 < record.rates()["3"].mean() < 0.9
    assert np.mean(record.trains["3"].unpack() != steps.bool().numpy()) < 1e-3  # float32: folding moves the last bits
    np.testing.assert_allclose(record.outputs, logits, atol=0.2)
    proof = graph.provenance["verified"]  # float64: every spike equal, or capture had raised
    assert proof["spikes"] > 0


def test_nodes_carry_the_names_of_modules():
    graph = capture(small(), (2, 6, 6), fold=False)
    assert graph.order == ("input", "1", "2", "3", "4", "5", "6", "7", "8", "9", "readout")
    assert isinstance(graph["1"], Conv)
    assert isinstance(graph["3"], LIF)
    assert isinstance(graph["readout"], Readout)
    assert graph["2"].scale == 1.0


def test_a_network_of_one_timestep_is_captured():
    module = nn.Sequential(Repeat(1), nn.Linear(4, 3), PLIF(method("fixed"), 1), Linear(3, 2), MeanOverTime(1)).eval()
    x = torch.rand(5, 4)
    record = simulate(capture(module, (4,)), x.numpy(), Request())
    np.testing.assert_allclose(record.outputs, module(x).detach().numpy(), atol=1e-6)


def test_mpd_agl_keeps_its_factor_apart():
    assert capture(small("mpd-agl"), (2, 6, 6), fold=False)["2"].scale == 0.5


def test_the_module_is_left_as_it_was():
    module = small().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    capture(module, (2, 6, 6))
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_everything_unsupported_is_named_at_once_with_what_is_supported():
    first = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    module = nn.Sequential(Repeat(T), first, PLIF(method("fixed"), T), nn.Linear(4, 3), nn.Threshold(0, 0))
    with pytest.raises(SpikeportError) as caught:
        capture(module, (4,))
    text = str(caught.value)
    assert "'1.1' (ReLU)" in text
    assert "'4' (Threshold)" in text
    assert "put spiking neurons in its place" in text
    assert len(caught.value.findings) == 2
    assert "BatchNorm2d" in text
    assert caught.value.code == "SP380"


@pytest.mark.parametrize(
    ("network", "shape", "options"),
    [
        ("resnet19", (3, 16, 16), {"width": 0.06}),
        ("resnet19", (3, 16, 16), {"width": 0.06, "residual": "plain", "reset": "subtract"}),
        ("vggsnn", (2, 16, 16), {"width": 0.06, "events": True}),
        ("sew-resnet18", (3, 32, 32), {"width": 0.06, "neuron": "if"}),
        ("mlp", (1, 8, 8), {"width": 0.25, "neuron": "lif"}),
    ],
)
def test_whole_networks(network, shape, options):
    """Every spike of every layer equals the module's in float64, or capture raises."""
    torch.manual_seed(0)
    module = settled(build(network, input_shape=shape, classes=10, timesteps=2, train_with="ds-atgo", options=options))
    graph = capture(module, shape)
    layers = [name for name, part in module.named_modules() if isinstance(part, Neuron)]
    assert sorted(graph.nodes_of(LIF)) == sorted(layers)
    assert not graph.nodes_of(Norm, Scale)
    silent = graph.provenance["verified"]["silent"]
    assert len(silent) <= len(layers) // 4
    if network == "resnet19" and options.get("residual") != "plain":  # SEW: three blocks and the encoder add up
        assert len(graph.sources("stage2_1.conv1.synapse")) == 4
