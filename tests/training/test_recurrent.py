"""Neurons that are connected among themselves, against the plain equations in float64, and as a graph."""

import importlib.util
from pathlib import Path

import pytest
import torch

from spikeport.graph import Delay
from spikeport.tracing import capture
from spikeport.training import DsAtgo, Fixed, Method, MpdAgl
from spikeport.training.networks import Task
from spikeport.training.probe import activity
from spikeport.training.recurrent import Recurrent
from spikeport_models.networks.recurrent import recurrent

_SPEC = importlib.util.spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
plain = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(plain)

STEPS, BATCH, CELLS = 5, 7, 6


def close(a, b):
    assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", [Fixed(threshold=0.4), DsAtgo()], ids=["fixed", "ds-atgo"])
@pytest.mark.parametrize(("reset", "detach"), [("zero", False), ("subtract", False), ("zero", True)])
def test_spikes_and_all_gradients_are_those_of_the_equations(method: Method, reset, detach):
    torch.manual_seed(3)
    layer = Recurrent(method, STEPS, channels=CELLS, decay=0.6, strength=1.0, reset=reset, detach_reset=detach).double()
    x = torch.randn(STEPS, BATCH, CELLS, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(STEPS, BATCH, CELLS, dtype=torch.float64)
    spikes = layer(x)
    (spikes * weights).sum().backward()

    w, rx, feedback = (each.detach().clone().requires_grad_() for each in (layer.w, x, layer.feedback.weight))
    adaptive = method.adaptive
    expected, used = plain.neurons(
        rx,
        torch.sigmoid(w),
        lambda t, u: plain.atgo_threshold(u) if adaptive else torch.tensor(0.4).double(),
        lambda t, u, theta: plain.atgo_width(u) if adaptive else torch.tensor(1.0).double(),
        reset=reset,
        detach=detach,
        feedback=feedback,
    )
    (expected * weights).sum().backward()
    assert torch.equal(spikes, expected)
    for ours, theirs in ((x, rx), (layer.w, w), (layer.feedback.weight, feedback)):
        close(ours.grad, theirs.grad)
    assert feedback.grad.abs().max() > 0
    if adaptive:
        close(layer.threshold, 0.9 + 0.1 * torch.stack(used))


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_inference_is_the_same_network_as_its_graph_and_its_probe(reset):
    torch.manual_seed(4)
    module = recurrent(Task((3,), 4, STEPS, MpdAgl()), hidden=(5, 6), memory=0.5, reset=reset).eval()
    graph = capture(module, (3,), forward="sequence")
    assert len(graph.nodes_of(Delay)) == 2
    assert module.readout.weight.tolist() == pytest.approx([2**t / 31 for t in range(STEPS)])
    x = torch.randn(STEPS, 9, 3)
    with torch.no_grad():
        entering = module.recurrent1.norm(module.recurrent1.synapse(x))
        spikes = module.recurrent1.neuron(entering)
    assert spikes.any()
    assert torch.equal(spikes, module.recurrent1.neuron(entering))  # one way for training, one for capture
    assert activity(module, x, "events", batch=4)["recurrent1.neuron"].rate == pytest.approx(
        spikes.mean((1, 2)).tolist()
    )


def test_the_connections_start_orthogonal():
    weight = Recurrent(Fixed(), 2, channels=4, strength=0.5).feedback.weight
    assert torch.allclose(weight @ weight.T, torch.eye(4) / 4, atol=1e-6)
