"""Stacks of synapse, tdBN and neurons against a plain step-by-step implementation of the papers' equations, float64."""

import importlib.util
import unittest.mock
from functools import partial
from pathlib import Path

import pytest
import torch

from interpreted import MISSING, interpreted
from spikeport.training import LIF, PLIF, DsAtgo, Fixed, Lsg, Masked, MpdAgl, Psg, TdBatchNorm, fused
from spikeport.training.surrogates import SHAPES

_SPEC = importlib.util.spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
plain = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(plain)

TOLERANCE = 1e-10


def close(a, b):
    torch.testing.assert_close(a, b, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.fixture(autouse=True, params=["compiled", "torch", "triton"])
def _loops(request, monkeypatch):
    """Every fact holds for the compiled loops, for torch's operations, and for a GPU's kernels in the interpreter."""
    if request.param == "torch":
        monkeypatch.setattr(fused, "applies", lambda *_: False)
    torch.manual_seed(7)
    if request.param != "triton":
        yield
        return
    if MISSING:
        pytest.skip(MISSING)
    monkeypatch.setenv("SPIKEPORT_KERNELS", "triton")
    with interpreted():
        yield


def layer(method, shape=(3, 5, 4, 6, 6), kind=PLIF, **options):
    """tdBN and neurons with numbers away from their start values, an input, and a weighting of the spikes."""
    norm = TdBatchNorm(shape[2], method).double()
    neuron = kind(method, shape[0], norm=norm, channels=shape[2], **options).double()
    with torch.no_grad():
        norm.weight.mul_(torch.rand(shape[2]).double() + 0.5)
        norm.bias.add_(0.3 * torch.randn(shape[2]).double())
        if kind is PLIF:
            neuron.w.fill_(-0.4)
        if neuron.log_width is not None:
            neuron.log_width.fill_(-0.3)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(shape, dtype=torch.float64)
    return norm, neuron, x, weights


def together(norm, neuron, x):
    """tdBN and neurons as one operation, channels-last; with torch's operations the norm, then the neurons."""
    rows = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).reshape(x.shape)
    return neuron.normalised(rows, norm)


def reference(norm, neuron, x, *, mask=None):
    """Spikes, thresholds, the leaves x, gamma and beta, and those of the neuron: w and log_width (None if without)."""
    method, v_th = neuron.method, torch.tensor(neuron.method.threshold).double()
    leaves = [p.detach().clone().requires_grad_() for p in (x, norm.weight, norm.bias)]
    own = [
        p if p is None else p.detach().clone().requires_grad_() for p in (getattr(neuron, "w", None), neuron.log_width)
    ]
    y = plain.tdbn(*leaves, norm.scale)
    w, log_width = own
    decay = torch.sigmoid(w) if w is not None else neuron.decay
    thresholds, widths = _rules(method, v_th, leaves[1].detach(), decay.detach(), log_width)
    options = {"reset": neuron.reset, "detach": neuron.detach_reset, "shape": method.shape, "mask": mask}
    spikes, used = plain.neurons(y, decay, thresholds, widths, **options)
    return spikes, used, leaves, own


def _rules(method, v_th, gamma, decay, log_width):
    """`thresholds(t, u)` and `widths(t, u, theta)` of a method."""
    if isinstance(method, DsAtgo):
        each = method.per_channel
        by_sigma = method.width_from == "sigma"
        return (
            lambda t, u: plain.atgo_threshold(u, method.f_c, each),
            lambda t, u, th: plain.atgo_width(u, per_channel=each) if by_sigma else 1 + torch.tanh(th - 1.0),
        )
    width = {
        MpdAgl: lambda t: plain.agl_width(t, gamma, decay, v_th),
        Lsg: lambda t: plain.lsg_width(decay, v_th),
        Psg: lambda t: log_width.exp(),
    }.get(type(method), lambda t: torch.tensor(method.width).double())
    return lambda t, u: v_th, lambda t, u, th: width(t)


METHODS = [
    MpdAgl(),
    DsAtgo(),
    DsAtgo(f_c=1.3),
    DsAtgo(width_from="threshold"),
    Fixed(),
    Fixed(threshold=0.75, width=0.625),
]


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("kind", [PLIF, LIF])
@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("run", [lambda norm, neuron, x: neuron(norm(x)), together], ids=["in turn", "together"])
def test_spikes_and_gradients_follow_the_equations(run, method, kind, reset, detach):
    norm, neuron, x, weights = layer(method, kind=kind, reset=reset, detach_reset=detach)
    spikes = run(norm, neuron, x)
    (spikes * weights).sum().backward()
    expected, _, (rx, rgamma, rbeta), (w, _) = reference(norm, neuron, x)
    (expected * weights).sum().backward()
    assert torch.equal(spikes, expected)
    assert 0.02 < spikes.mean() < 0.5
    close(x.grad, rx.grad)
    close(norm.weight.grad, rgamma.grad)
    close(norm.bias.grad, rbeta.grad)
    if w is not None:
        close(neuron.w.grad, w.grad)
        assert w.grad.abs() > 0


SHAPED = [MpdAgl, DsAtgo, partial(DsAtgo, width_from="threshold"), partial(DsAtgo, per_channel=True), Fixed, Lsg, Psg]


@pytest.mark.parametrize("method", SHAPED, ids=lambda kind: str(getattr(kind, "keywords", "")) or kind.__name__)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("reset", "detach"), [("zero", False), ("zero", True), ("subtract", False)])
def test_every_shape_with_every_method_has_the_gradients_of_its_antiderivative(method, shape, reset, detach):
    """Three steps; autograd through F((u - threshold) / width), which a spike counts as, also for a learned width."""
    norm, neuron, x, weights = layer(method(shape=shape), reset=reset, detach_reset=detach)
    spikes = neuron(norm(x))
    (spikes * weights).sum().backward()
    expected, used, (rx, rgamma, rbeta), (w, log_width) = reference(norm, neuron, x, mask="none")
    (expected * weights).sum().backward()
    assert torch.equal(spikes, expected)
    for ours, theirs in ((x, rx), (norm.weight, rgamma), (norm.bias, rbeta), (neuron.w, w)):
        close(ours.grad, theirs.grad)
    if neuron.method.adaptive:
        shared = 0.9 + 0.1 * torch.stack(used).reshape(3, -1)
        close(neuron.threshold, shared if neuron.threshold.ndim == 2 else shared[:, 0])
    if log_width is not None:
        close(neuron.log_width.grad, log_width.grad)
        assert log_width.grad.abs() > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_drops_slopes_of_all_steps_and_of_nothing_else(shape):
    """One draw in [0, 1) a membrane, from torch's own random state; what is below p is dropped."""
    norm, neuron, x, weights = layer(Masked(p=0.4, shape=shape))
    torch.manual_seed(11)
    spikes = neuron(norm(x))
    (spikes * weights).sum().backward()
    torch.manual_seed(11)
    mask = (torch.rand(x.shape, dtype=torch.float64) >= 0.4).double()
    expected, _, (rx, *_), (w, _) = reference(norm, neuron, x, mask=mask)
    (expected * weights).sum().backward()
    assert torch.equal(spikes, expected)
    close(x.grad, rx.grad)
    close(neuron.w.grad, w.grad)


@pytest.mark.parametrize("run", [lambda norm, neuron, x: neuron(norm(x)), together], ids=["in turn", "together"])
def test_moving_averages_follow_the_batch(run):
    norm, neuron, x, _ = layer(DsAtgo())
    _, used, *_ = reference(norm, neuron, x)
    run(norm, neuron, x)
    close(neuron.threshold, 0.9 * torch.ones(3).double() + 0.1 * torch.stack(used))
    by_channel = x.detach().transpose(0, 2).flatten(1)
    close(norm.running_mean, 0.1 * by_channel.mean(1))
    close(norm.running_var, 0.9 + 0.1 * by_channel.var(1))


@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 5, 4, 6, 6), (2, 40, 1500)], ids=["dense", "one step", "wide"])
def test_the_joined_operation_takes_any_number_of_channels_and_steps(shape):
    norm, neuron, x, weights = layer(DsAtgo(), shape)
    spikes = together(norm, neuron, x) if x.ndim == 5 else neuron.normalised(x, norm)
    (spikes * weights).sum().backward()
    expected, _, (rx, rgamma, rbeta), (w, _) = reference(norm, neuron, x)
    (expected * weights).sum().backward()
    assert torch.equal(spikes, expected)
    for ours, theirs in ((x, rx), (norm.weight, rgamma), (norm.bias, rbeta), (neuron.w, w)):
        close(ours.grad, theirs.grad)


def test_hooks_on_norm_and_neurons_see_every_call():
    """A hook gets what its module gets: the two are then no joined operation."""
    norm, neuron, x, _ = layer(DsAtgo())
    seen = []
    norm.register_forward_hook(lambda part, given, y: seen.append(y))
    neuron.register_forward_pre_hook(lambda part, given: seen.append(given[0]))
    together(norm, neuron, x)
    assert len(seen) == 2
    assert torch.equal(*seen)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_trained_schedule_gets_its_gradient(reset, shape):
    norm, neuron, x, weights = layer(Fixed(threshold=0.75, shape=shape), reset=reset, train_threshold=True)
    (neuron(norm(x)) * weights).sum().backward()
    theta = torch.full((3,), 0.75, dtype=torch.float64, requires_grad=True)
    y = norm(x).detach()
    width = torch.tensor(1.0).double()
    options = {"reset": reset, "shape": shape, "mask": "none"}
    spikes, _ = plain.neurons(y, neuron.decay.detach(), lambda t, u: theta[t], lambda t, u, th: width, **options)
    (spikes * weights).sum().backward()
    close(neuron.threshold.grad, theta.grad)
    assert theta.grad.abs().min() > 0


def test_a_membrane_exactly_at_its_threshold_fires():
    neuron = LIF(Fixed(threshold=0.5), 2, decay=0.5).eval()
    x = torch.tensor([[[0.5], [0.25]], [[0.25], [0.375]]])  # u: 0.5, 0.25 then 0.25, 0.5
    assert neuron(x).flatten().tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("method", [MpdAgl(), DsAtgo()], ids=str)
def test_a_repeated_input_is_normalised_as_if_it_were_written_out(method):
    x = torch.randn(5, 4, 6, 6, dtype=torch.float64)
    once, written = TdBatchNorm(4, method).double(), TdBatchNorm(4, method).double()
    leaves = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = once(leaves[0].expand(3, *x.shape)), written(leaves[1].repeat(3, 1, 1, 1, 1))
    close(a, b)
    weights = torch.randn_like(a)
    for y in (a, b):
        (y * weights).sum().backward()
    close(leaves[0].grad, leaves[1].grad)
    close(once.weight.grad, written.weight.grad)
    close(once.running_var, written.running_var)
    close(once.running_mean, written.running_mean)
    n = x.numel() // 4
    close(once.running_var, 0.9 + 0.1 * x.transpose(0, 1).flatten(1).var(1, correction=0) * 3 * n / (3 * n - 1))


@pytest.mark.parametrize("shape", [(5, 4, 6, 6), (5, 4), (2, 1500)], ids=["maps", "dense", "wide"])
@pytest.mark.parametrize("method", [MpdAgl(), DsAtgo()], ids=str)
def test_a_repeated_input_goes_through_the_joined_operation_too(method, shape, request):
    norm, neuron, x, weights = layer(method, (3, *shape))
    once = x.detach()[0].clone().requires_grad_()
    rows = once.contiguous(memory_format=torch.channels_last) if once.ndim == 4 else once
    with unittest.mock.patch.object(fused, "normalise_and_fire", wraps=fused.normalise_and_fire) as joined:
        spikes = neuron.normalised(rows.expand(3, *shape), norm)
    assert joined.called == (request.node.callspec.params["_loops"] == "compiled")
    (spikes * weights).sum().backward()
    written = once.detach().repeat(3, *(1,) * len(shape)).requires_grad_()
    expected, _, (rx, rgamma, rbeta), (w, _) = reference(norm, neuron, written)
    (expected * weights).sum().backward()
    assert torch.equal(spikes, expected)
    for ours, theirs in ((once.grad, rx.grad.sum(0)), (norm.weight.grad, rgamma.grad), (norm.bias.grad, rbeta.grad)):
        close(ours, theirs)
    close(neuron.w.grad, w.grad)
    by_channel = written.detach().movedim(2, 0).flatten(1)
    close(norm.running_mean, 0.1 * by_channel.mean(1))
    close(norm.running_var, 0.9 + 0.1 * by_channel.var(1))


def test_one_repeated_value_a_channel_has_no_variance():
    """torch says so; three equal ones have one of zero."""
    norm, neuron, *_ = layer(DsAtgo(), (3, 1, 4))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        neuron.normalised(torch.zeros(1, 4, dtype=torch.float64).expand(3, 1, 4), norm)
