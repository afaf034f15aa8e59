"""Gradients that cut time, and thresholds that are one learned number, by hand in float64."""

import pytest
import torch

from data_files import code
from spikeport.training import LIF, PLIF, Fixed
from spikeport.training.networks import build
from spikeport.training.traces import by_traces

STEPS, BATCH, INPUTS, CELLS = 4, 3, 5, 6


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def by_hand(x, decay, theta, weights, reset):
    """u, and g_u[t] = dL/ds[t] h(u[t] - theta) for L = sum(weights * s): nothing comes back from later steps."""
    v, us, gs = torch.zeros_like(x[0]), [], []
    for t in range(len(x)):
        u = decay * v + x[t]
        s = (u >= theta).double()
        v = u * (1 - s) if reset == "zero" else u - theta * s
        us.append(u)
        gs.append(weights[t] * ((u - theta).abs() < 0.5).double())
    return torch.stack(us), torch.stack(gs)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_sltt_takes_the_past_of_a_membrane_for_a_constant(reset):
    x, weights = numbers(STEPS, BATCH, CELLS).requires_grad_(), numbers(STEPS, BATCH, CELLS)
    layer = PLIF(Fixed(), STEPS, decay=0.4, reset=reset, gradient="sltt").double()
    (layer(x) * weights).sum().backward()
    u, g = by_hand(x.detach(), torch.sigmoid(layer.w.detach()), 0.5, weights, reset)
    assert torch.equal(x.grad, g)
    past = (u[1:] - x.detach()[1:]) / torch.sigmoid(layer.w.detach())
    slope = torch.sigmoid(layer.w.detach()) * (1 - torch.sigmoid(layer.w.detach()))
    torch.testing.assert_close(layer.w.grad, slope * (g[1:] * past).sum(), rtol=1e-12, atol=0)


def test_ottt_learns_from_traces_and_passes_on_what_sltt_does():
    x, weights = numbers(STEPS, BATCH, INPUTS).requires_grad_(), numbers(STEPS, BATCH, CELLS)
    synapse, layer = torch.nn.Linear(INPUTS, CELLS).double(), LIF(Fixed(), STEPS, decay=0.4, gradient="ottt").double()
    current = by_traces(synapse, x, layer.decay)
    assert torch.equal(current, synapse(x))
    (layer(current) * weights).sum().backward()
    _, g = by_hand(current.detach(), 0.4, 0.5, weights, "zero")
    trace, wanted = 0, 0
    for t in range(STEPS):
        trace = float(layer.decay) * trace + x.detach()[t]
        wanted = wanted + g[t].T @ trace
    torch.testing.assert_close(synapse.weight.grad, wanted, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(x.grad, g @ synapse.weight.detach(), rtol=1e-12, atol=1e-14)


def test_a_network_takes_the_gradient_as_an_option():
    """One block: what `by_traces` gives its weights, and another gradient than with all of time."""
    grads = {}
    for gradient in ("bptt", "sltt", "ottt"):
        torch.manual_seed(0)
        task = {"input_shape": (1, 4, 4), "classes": 3, "timesteps": 3}
        net = build("mlp", **task, options={"hidden": [8], "gradient": gradient})
        net(torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))).square().sum().backward()
        grads[gradient] = net.dense1.synapse.weight.grad
    assert not torch.allclose(grads["bptt"], grads["sltt"])
    assert not torch.allclose(grads["sltt"], grads["ottt"])
    assert code(PLIF, Fixed(), 2, gradient="otttt") == "SP316"


@pytest.mark.parametrize(("kind", "of"), [("layer", lambda k: k), ("tanh", torch.tanh)])
def test_one_learned_number_is_the_threshold_of_all_steps(kind, of):
    """Its gradient is the sum of the table's, times the slope; the table is in the checkpoint as inference fires."""
    x, weights = numbers(STEPS, BATCH, CELLS), numbers(STEPS, BATCH, CELLS)
    each = PLIF(Fixed(), STEPS, train_threshold=True, reset="subtract").double()
    one = PLIF(Fixed(), STEPS, train_threshold=kind, reset="subtract").double()
    for layer in (each, one):
        (layer(x) * weights).sum().backward()
    level = one.level.detach().clone().requires_grad_()
    assert float(of(level).detach()) == pytest.approx(0.5)
    (of(level) * each.threshold.grad.sum()).backward()
    torch.testing.assert_close(one.level.grad, level.grad, rtol=1e-6, atol=0)
    with torch.no_grad():
        one.level += 0.25
    table = one.state_dict()["threshold"]
    assert torch.equal(table, of(one.level.detach()).expand(STEPS))
    assert torch.equal(one.eval().threshold, table)
    assert code(PLIF, Fixed(threshold=1.0), STEPS, train_threshold="tanh") == "SP316"
