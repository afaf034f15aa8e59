"""torch.compile: the same spikes and gradients, without leaving the compiled graph."""

import shutil

import pytest
import torch

from spikeport.train import PLIF, DsAtgo, MpdAgl, TdBatchNorm

COMPILER = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="inductor needs a C++ compiler"
)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=COMPILER)])
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")  # inductor's own
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch 2.13's own tracer
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
        given = x.clone().requires_grad_()
        spikes = run(given)
        (spikes * weights).sum().backward()
        results.append((spikes.detach(), given.grad, stack[1].w.grad, stack[1].threshold.clone()))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
