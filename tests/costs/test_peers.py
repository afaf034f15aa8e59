"""Other tools count the same: NeuroBench effective and dense operations, sinabs and SpikingJelly the fan-out."""

from __future__ import annotations

import warnings
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.costs import estimate
from spikeport.costs.events import of_synapse
from spikeport.engine import simulate
from spikeport.graph import Conv, Linear
from spikeport.target import Request
from spikeport.tracing import capture

LAYERS = {
    "conv": lambda: nn.Conv2d(3, 5, 3),
    "padded": lambda: nn.Conv2d(3, 5, 3, padding=1),
    "strided": lambda: nn.Conv2d(3, 5, 3, stride=2, padding=1),
    "rectangular": lambda: nn.Conv2d(3, 5, (5, 2), stride=(1, 2), padding=(2, 0)),
    "dilated": lambda: nn.Conv2d(3, 5, 3, padding=2, dilation=2),
    "grouped": lambda: nn.Conv2d(6, 4, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, padding=1, stride=2, groups=4),
    "linear": lambda: nn.Linear(50, 20),
}


def peer(name):
    """A module of another tool, its warnings at import left to it; the test skips where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return import_module(name)
        except ImportError as error:
            pytest.skip(f"{name.split('.')[0]} is not installed: {error}")


def case(kind, pruned, batch=8):
    """A torch layer, ours, and spikes [B, ...]."""
    torch.manual_seed(len(kind))
    layer = LAYERS[kind]()
    if pruned:
        with torch.no_grad():
            layer.weight[torch.rand_like(layer.weight) < 0.3] = 0
    weight = layer.weight.detach().numpy()
    if isinstance(layer, nn.Linear):
        ours, shape = Linear(weight), (50,)
    else:
        ours = Conv(weight, stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups)
        shape = (layer.in_channels, 9, 11)
    return layer, ours, (torch.rand(batch, *shape) < 0.2).float()


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_neurobench_counts_the_same_operations(kind, pruned):
    macs = peer("neurobench.metrics.utils.layers.macs")
    layer, ours, spikes = case(kind, pruned)
    events = of_synapse(ours, spikes.numpy()[None].astype(np.float64), 1)
    effective, spiking = macs.single_layer_MACs(spikes, layer)
    dense, _ = macs.single_layer_MACs(spikes, layer, total=True)
    assert spiking
    assert events.synops.sum() == effective
    assert events.dense.sum() == dense


def test_neurobench_agrees_within_its_float32_sum_above_2_to_the_24():
    macs = peer("neurobench.metrics.utils.layers.macs")
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 64, 3, padding=1)
    spikes = (torch.rand(16, 16, 32, 32) < 0.2).float()
    ours = Conv(layer.weight.detach().numpy(), padding=(1, 1))
    events = of_synapse(ours, spikes.numpy()[None].astype(np.float64), 1)
    effective, _ = macs.single_layer_MACs(spikes, layer)
    assert events.synops.sum() > 2**24
    assert effective == pytest.approx(events.synops.sum(), rel=1e-6)


def test_neurobenchs_own_metric_over_a_network_equals_the_sum_of_layers():
    """What its hooks accumulate over two synapses, divided by samples."""
    metric = peer("neurobench.metrics.workload").SynapticOperations()
    model = peer("neurobench.models").TorchModel
    first, ours1, spikes = case("strided", True)
    torch.manual_seed(3)

    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.fire, self.last = first, nn.Threshold(0.3, 0.0), nn.Linear(5 * 5 * 6, 4)

        def forward(self, x):
            return self.last((self.fire(self.first(x)) > 0).float().flatten(1))

    net = Step()
    hidden = (net.fire(net.first(spikes)) > 0).float().flatten(1)
    wrapped = model(net)
    hook = peer("neurobench.hooks.layer").LayerHook
    wrapped.connection_hooks = [hook(net.first), hook(net.last)]
    result = metric(wrapped, wrapped(spikes), (spikes, None))
    ours2 = Linear(net.last.weight.detach().numpy())
    counted = [
        of_synapse(node, x.detach().numpy()[None].astype(np.float64), 1)
        for node, x in ((ours1, spikes), (ours2, hidden))
    ]
    assert result["Effective_ACs"] * len(spikes) == sum(each.synops.sum() for each in counted)
    assert result["Dense"] * len(spikes) == sum(each.dense.sum() for each in counted)


@pytest.mark.parametrize("kind", LAYERS)
def test_sinabs_counts_the_same_fanout(kind):
    hooks = peer("sinabs.hooks")
    layer, ours, spikes = case(kind, pruned=True)
    hook = hooks.linear_layer_synops_hook if kind == "linear" else hooks.conv_layer_synops_hook
    layer.register_forward_hook(hook)
    layer(spikes)
    mean = float(layer.hook_data["layer_synops_per_timestep"])
    events = of_synapse(ours, spikes.numpy()[None].astype(np.float64), 1)
    assert events.fanout.sum() == round(mean * len(spikes), 3)


@pytest.mark.parametrize("kind", LAYERS)
def test_spikingjelly_counts_the_same_fanout(kind):
    counter = peer("spikingjelly.activation_based.op_counter")
    layer, ours, spikes = case(kind, pruned=True)
    synops = counter.SynOpCounter()
    with counter.DispatchCounterMode([synops]), torch.no_grad():
        layer(spikes)
    events = of_synapse(ours, spikes.numpy()[None].astype(np.float64), 1)
    assert events.fanout.sum() == synops.get_total()


def test_spikingjellys_simple_energy_is_our_45_nm_model_of_the_synapses():
    """0.9 pJ for each spike and weight. Its other accumulates are the neurons' own, its memory a model of its own."""
    counter, neuron, layer = (
        peer(f"spikingjelly.activation_based.{name}") for name in ("op_counter", "neuron", "layer")
    )
    torch.manual_seed(0)
    many = {"step_mode": "m"}
    module = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False, **many),
        neuron.IFNode(**many),
        layer.Flatten(**many),
        layer.Linear(6 * 64, 30, bias=False, **many),
        neuron.IFNode(**many),
        layer.Linear(30, 10, bias=False, **many),
    )
    x = (torch.rand(4, 3, 2, 8, 8) < 0.3).float()
    report = counter.estimate_simple_energy(module, x)
    graph = capture(module, (2, 8, 8), timesteps=4, coding="events")
    record = simulate(graph, x.numpy(), Request(events=True, trains=True))
    ours = estimate(graph, record, ["45nm-fp32"], samples=x.numpy())["45nm-fp32"]
    assert ours.counts["accumulates"].nominal * 3 == report.counts["synop"]
    assert ours.breakdown["accumulates"].nominal * 3e12 == pytest.approx(0.9 * report.counts["synop"], rel=1e-12)
    assert report.counts["weight_read_bytes"] == 4 * report.counts["synop"]
