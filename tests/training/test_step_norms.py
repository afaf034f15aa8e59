"""TEBN and TAB in float64 against torch's own batch normalisations, one a step where that is the method; as graphs."""

import copy

import numpy as np
import pytest
import torch

from data_files import code
from spikeport import simulate
from spikeport.formats import nir
from spikeport.graph import StepAffine
from spikeport.tracing import capture
from spikeport.training import PLIF, DsAtgo, Fixed, MpdAgl, fused_steps, losses
from spikeport.training.networks import build
from spikeport.training.norm import TdBatchNorm
from spikeport.training.recipe import parse
from spikeport.training.step_norms import Tab, Tebn
from tiny_training import TINY, network

STEPS, CHANNELS = 3, 4
SHAPES = [(STEPS, 5, CHANNELS), (STEPS, 5, CHANNELS, 2, 3)]


def drawn(norm, shape):
    """The normalisation with numbers as a training leaves them, and samples far from zero."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape))
    x = 3 + torch.randn(shape, dtype=torch.float64) * torch.arange(1, 1 + STEPS).reshape(-1, *(1,) * (len(shape) - 1))
    return norm.double(), x.requires_grad_()


def plain(weight, bias, shape):
    """torch's batch normalisation with such numbers."""
    kind = torch.nn.BatchNorm2d if len(shape) == 5 else torch.nn.BatchNorm1d
    norm = kind(CHANNELS).double()
    norm.weight, norm.bias = torch.nn.Parameter(weight.detach().clone()), torch.nn.Parameter(bias.detach().clone())
    return norm


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


def equal(norm, x, expected, theirs):
    """Outputs, the gradients of samples and of parameters."""
    weights = torch.randn(x.shape, dtype=torch.float64)
    ours = norm(x)
    close(ours, expected)
    (ours * weights).sum().backward()
    grads = [x.grad.clone()] + [parameter.grad for parameter in norm.parameters()]
    others = torch.autograd.grad((expected * weights).sum(), [x, *theirs])
    return dict(zip(["x", *dict(norm.named_parameters())], grads, strict=True)), others


@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "conv"])
def test_tebn_is_one_normalisation_and_a_factor_a_step(shape):
    norm, x = drawn(Tebn(CHANNELS, MpdAgl(threshold=0.5), STEPS), shape)
    theirs, factor = plain(0.5 * norm.weight, norm.bias, shape), norm.factor.detach().clone().requires_grad_()
    expected = theirs(x.flatten(0, 1)).reshape(shape) * factor.reshape(-1, *(1,) * (len(shape) - 1))
    ours, others = equal(norm, x, expected, [theirs.weight, theirs.bias, factor])
    for name, scale, other in zip(("x", "weight", "bias", "factor"), (1, 0.5, 1, 1), others, strict=True):
        close(ours[name], scale * other)
    close(norm.running_mean, theirs.running_mean)
    close(norm.running_var, theirs.running_var)
    close(norm.eval()(x), theirs.eval()(x.flatten(0, 1)).reshape(shape) * factor.reshape(-1, *(1,) * (len(shape) - 1)))


@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "conv"])
def test_tab_normalises_each_step_by_all_up_to_it(shape):
    norm, x = drawn(Tab(CHANNELS, Fixed(threshold=1.0), STEPS), shape)
    theirs = [plain(norm.weight[t], norm.bias[t], shape) for t in range(STEPS)]
    p = norm.p.detach().clone().requires_grad_()

    def by_hand():
        return torch.stack([p[t] ** 2 * theirs[t](x[: t + 1].flatten(0, 1))[-shape[1] :] for t in range(STEPS)])

    ours, others = equal(norm, x, by_hand(), [*(part for each in theirs for part in (each.weight, each.bias)), p])
    close(ours["x"], others[0])
    close(ours["weight"], torch.stack(others[1:-1:2]))
    close(ours["bias"], torch.stack(others[2:-1:2]))
    close(ours["p"], others[-1])
    for name in ("running_mean", "running_var"):
        close(getattr(norm, name), torch.stack([getattr(each, name) for each in theirs]))
    norm.eval()
    for each in theirs:
        each.eval()
    close(norm(x), by_hand())


@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "conv"])
@pytest.mark.parametrize("kind", [Tebn, Tab])
@pytest.mark.parametrize("method", [MpdAgl(threshold=0.5), DsAtgo()], ids=lambda each: each.name)
def test_compiled_loops_train_as_the_norm_and_the_neurons_one_after_the_other(kind, shape, method, monkeypatch):
    """Spikes, thresholds, running estimates, and the gradients of samples and of every parameter."""
    norm, x = drawn(kind(CHANNELS, method, STEPS), shape)
    x = x.detach() if len(shape) == 3 else x.detach().movedim(2, -1).contiguous().movedim(-1, 2)  # channels-last
    cells = PLIF(method, STEPS, norm=norm, reset="subtract").double()
    other = copy.deepcopy(cells)
    weights, runs = torch.randn(shape, dtype=torch.float64), []
    run = fused_steps.normalise_and_fire
    monkeypatch.setattr(fused_steps, "normalise_and_fire", lambda *a: runs.append(1) or run(*a))
    results = []
    for each, together in ((cells, True), (other, False)):
        own, entering = each.norm_before[0], x.clone().requires_grad_()
        spikes = each.normalised(entering, own) if together else each(own(entering))
        (spikes * weights).sum().backward()
        grads = {name: part.grad for part in (each, own) for name, part in part.named_parameters()}
        results.append((spikes, each.threshold, own.running_mean, own.running_var, entering.grad, *grads.values()))
    assert runs == [1]
    assert results[0][0].any()
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", [TdBatchNorm, Tebn, Tab])
def test_gains_that_overflow_are_infinite_without_a_warning(kind):
    """As torch's operations have them: the loop says itself where a loss is no number."""
    method = MpdAgl(threshold=0.5)
    norm = kind(CHANNELS, method) if kind is TdBatchNorm else kind(CHANNELS, method, STEPS)
    torch.nn.init.constant_(norm.weight, 3e38)
    x = (torch.randn(SHAPES[0]) * 1e-3).requires_grad_()
    PLIF(method, STEPS, norm=norm).normalised(x, norm).sum().backward()
    assert not x.grad.isfinite().all()


@pytest.mark.parametrize("norm", ["tebn", "tab"])
@pytest.mark.parametrize("kind", ["conv", "recurrent"])
def test_a_network_with_them_is_its_graph_and_its_file(norm, kind, tmp_path):
    torch.manual_seed(0)
    shape, options = ((1, 8, 8), TINY["architecture"]) if kind == "conv" else ((3,), {"hidden": (6,)})
    module = build(kind, input_shape=shape, classes=3, timesteps=2, options={**options, "norm": norm})
    x = torch.rand(20, *shape) if kind == "conv" else torch.rand(2, 20, *shape)
    for _ in range(20):
        module(x)  # the running estimates follow
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("factor", "p")):
                parameter.copy_(torch.tensor([0.8, 1.3]))
    graph = capture(module.eval(), shape, **({} if kind == "conv" else {"forward": "sequence"}))  # proves itself
    affine = graph.nodes_of(StepAffine)
    first = next(part for part in module.modules() if isinstance(part, Tab | Tebn))
    factor = first.factor if norm == "tebn" else first.p**2
    gain = factor[:, None] * first.weight * first.scale / torch.sqrt(first.running_var + first.eps)
    seen = [node.gain.reshape(2, -1) for node in affine.values()]
    assert len(seen) == (3 if kind == "conv" else 2)  # what fed back passes one too
    assert any(np.allclose(each, gain.detach().numpy(), rtol=1e-5) for each in seen)
    with torch.no_grad():
        outputs = module(x).numpy()
    np.testing.assert_allclose(simulate(graph, x.numpy()).outputs, outputs, rtol=1e-4, atol=1e-5)
    nir.write(graph, tmp_path / "a.nir")
    assert nir.read(tmp_path / "a.nir")[0].nodes_of(StepAffine).keys() == affine.keys()


def test_what_cannot_be_is_refused():
    assert code(parse, {**TINY, "architecture": {**TINY["architecture"], "norm": "bntt"}}) == "SP314"
    module = network(parse({**TINY, "architecture": {**TINY["architecture"], "norm": "tab"}}))
    assert code(losses.near_threshold, module) == "SP316"
    assert code(Tebn(2, Fixed(), 3), torch.zeros(4, 5, 2)) == "SP310"
    assert code(Tab(2, Fixed(), 3), torch.zeros(4, 5, 2)) == "SP310"
