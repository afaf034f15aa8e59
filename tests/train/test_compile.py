"""torch.compile: the same spikes and gradients, without leaving the compiled graph."""

import pytest
import torch

from spikeport.train import PLIF, DsAtgo, MpdAgl, TdBatchNorm


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch 2.13's own tracer
@pytest.mark.parametrize("method", [MpdAgl(), DsAtgo()], ids=["mpd-agl", "ds-atgo"])
def test_a_compiled_stack_equals_the_plain_one(method):
    """The tracer only (backend aot_eager): inductor needs a C++ compiler that a user may not have."""
    torch.manual_seed(0)
    results = []
    x = torch.randn(3, 6, 4, 5, 5)
    weights = torch.randn(3, 6, 4, 5, 5)
    for compiled in (False, True):
        norm = TdBatchNorm(4, method)
        stack = torch.nn.Sequential(norm, PLIF(method, 3, norm=norm))
        run = torch.compile(stack, backend="aot_eager", fullgraph=True) if compiled else stack
        given = x.clone().requires_grad_()
        spikes = run(given)
        (spikes * weights).sum().backward()
        results.append((spikes.detach(), given.grad, stack[1].w.grad, stack[1].threshold.clone()))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
