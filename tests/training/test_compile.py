"""torch.compile: the same spikes and gradients, without leaving the compiled graph."""

import contextlib
import itertools
import shutil
import unittest.mock

import pytest
import torch
from torch import nn

from spikeport.training import PLIF, DsAtgo, Linear, Masked, MpdAgl, TdBatchNorm
from spikeport.training.catalogue import method as method_of
from spikeport.training.networks import build

COMPILER = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="inductor needs a C++ compiler"
)


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning"),  # inductor's own
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),  # torch 2.13's own tracer
]


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=COMPILER)])
@pytest.mark.parametrize("method", [MpdAgl(), DsAtgo()], ids=["mpd-agl", "ds-atgo"])
def test_a_compiled_stack_equals_the_plain_one(method, backend):
    """The tracer alone (aot_eager), and machine code (inductor)."""
    torch.manual_seed(0)
    results = []
    x = torch.randn(3, 6, 4, 5, 5)
    weights = torch.randn(3, 6, 4, 5, 5)
    for compiled in (False, True):
        norm = TdBatchNorm(4, method)
        stack = torch.nn.Sequential(norm, PLIF(method, 3, norm=norm))
        run = torch.compile(stack, backend=backend, fullgraph=True) if compiled else stack
        leaf = x.clone().requires_grad_()
        spikes = run(leaf)
        (spikes * weights).sum().backward()
        results.append((spikes.detach(), leaf.grad, stack[1].w.grad, stack[1].threshold.clone()))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def traced(module):
    """The whole of a module in one graph; a break would be an error."""
    torch._dynamo.reset()
    return torch.compile(module, backend="aot_eager", fullgraph=True)


CONV = ("conv", (1, 8, 8), {})
RESNET = ("resnet19", (2, 16, 16), {"width": 0.05})
SLOW = [pytest.param(name, *RESNET, marks=pytest.mark.slow) for name in ("ds-atgo", "mpd-agl", "psg", "masked")]


@pytest.mark.parametrize(
    ("name", "network", "shape", "options"),
    [*((name, *CONV) for name in ("ds-atgo", "mpd-agl", "psg", "masked")), *SLOW],
)
def test_a_whole_network_compiles_to_one_graph_with_the_same_training_step(name, network, shape, options):
    """Outputs, gradients, thresholds and running statistics; in float64, where rounding makes no spike differ."""
    method = method_of(name, **({"p": 0.0} if name == "masked" else {}))  # drawn masks: see below
    results = []
    for wrap in (lambda module: module, traced):
        torch.manual_seed(0)
        module = build(network, input_shape=shape, classes=4, timesteps=2, train_with=method, options=options).double()
        y = wrap(module)(torch.rand(6, *shape, dtype=torch.float64))
        y.square().sum().backward()
        grads = {key: value.grad for key, value in module.named_parameters()}
        results.append({"y": y.detach(), **grads, **dict(module.named_buffers())})
    for key, value in results[0].items():
        torch.testing.assert_close(value, results[1][key], rtol=1e-9, atol=1e-11)


def masked_gradients(layers, wrap, order=None):
    """Gradients at seed 5 of so many masked layers; with ``order``, the n-th layer gets the order[n]-th draw."""
    torch.manual_seed(1)
    parts = [part for _ in range(layers) for part in (PLIF(Masked(p=0.5), 2), Linear(12, 12))]
    module = nn.Sequential(*parts).double()
    x = (2 * torch.rand(2, 4, 12, dtype=torch.float64)).requires_grad_()
    torch.manual_seed(5)
    drawn = [torch.rand(2, 4, 12, dtype=torch.float64) for _ in range(layers)]
    torch.manual_seed(5)
    masks = iter(drawn[n] for n in order or ())
    with unittest.mock.patch.object(torch, "rand_like", side_effect=masks) if order else contextlib.nullcontext():
        wrap(module)(x).square().sum().backward()
    return [x.grad, *(parameter.grad for parameter in module.parameters())]


def test_one_masked_layer_draws_the_same_mask_when_compiled():
    for a, b in zip(masked_gradients(1, lambda module: module), masked_gradients(1, traced), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_masked_layers_draw_the_same_masks_in_another_order_when_compiled():
    """torch draws a mask where it is used, in the backward pass: equal masks at equal seeds, for other layers."""
    compiled = masked_gradients(3, traced)
    orders = list(itertools.permutations(range(3)))
    plain = [masked_gradients(3, lambda module: module, order) for order in orders]
    same = [
        order
        for order, gradients in zip(orders, plain, strict=True)
        if all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(gradients, compiled, strict=True))
    ]
    assert len(same) == 1
    for a, b in zip(masked_gradients(3, lambda module: module), plain[0], strict=True):
        assert torch.equal(a, b)  # in eager mode the first layer draws first
