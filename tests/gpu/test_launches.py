"""What is launched on a card, without one: tensors on PyTorch's "meta" device have no values and cannot be read.

So a launch that waits for the card, for a loss or a count, fails here; so does one that is given what lies elsewhere.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest
import torch

from interpreted import MISSING, interpreted
from random_graphs import random_graph
from spikeport.engine.build import build
from spikeport.engine.readout import Results
from spikeport.engine.run import Run
from spikeport.graph import Range, Samples
from spikeport.target import Request
from spikeport.training import LIF, PLIF, DsAtgo, Fixed, TdBatchNorm

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "there")
EVERYTHING = Request(trains=True, membranes=True, events=True)


class Launch:
    """Stands for a kernel: takes its arguments, and computes nothing."""

    def __init__(self, name):
        self.name, self.times = name, 0

    def __getitem__(self, grid):
        def launch(*args, **named):
            self.times += 1
            for value in (*args, *named.values()):
                if isinstance(value, torch.Tensor):
                    assert value.device.type == "meta", f"{self.name} is given what lies on the CPU"

        return launch


@contextmanager
def launching(monkeypatch, *modules: ModuleType):
    """Within, the kernels that modules launch are counted, not run."""
    kernels = []
    with interpreted():
        for module in modules:
            for name, value in vars(module).items():
                if hasattr(value, "run") and hasattr(value, "arg_names"):
                    kernels.append(Launch(name))
                    monkeypatch.setattr(module, name, kernels[-1])
        yield kernels


@pytest.mark.parametrize("seed", range(12))
def test_a_batch_of_integers_is_launched_without_a_look_at_the_card(seed, monkeypatch):
    with interpreted():
        from spikeport.engine.cuda import layer, pools, sums, tally
    graph, samples = random_graph(seed, integers=True)
    with launching(monkeypatch, layer, pools, sums, tally) as kernels, torch.inference_mode():
        program = build(graph, "meta", "triton", Range(int(graph.entry.low), int(graph.entry.high)))
        run = Run(program, EVERYTHING, Results(program.outs, {graph.output: np.zeros(0)}))
        run.launch(Samples.of(graph, samples), 2)
    assert run.results.on_card[graph.output].device.type == "meta"
    assert sum(kernel.times for kernel in kernels) >= len(graph.nodes_of(LIF))


@pytest.mark.parametrize("method", [DsAtgo(), DsAtgo(per_channel=True), Fixed()])
@pytest.mark.parametrize("steps", [2, 40])
def test_a_layer_is_trained_without_a_look_at_the_card(method, steps, monkeypatch):
    monkeypatch.setenv("SPIKEPORT_KERNELS", "triton")
    with interpreted():
        from spikeport.training.cuda import layer
    with launching(monkeypatch, layer) as kernels:
        norm = TdBatchNorm(4, method).to("meta")
        neuron = PLIF(method, steps, norm=norm, channels=4).to("meta")
        x = torch.empty(steps, 3, 4, 5, 6, device="meta", dtype=torch.bfloat16)
        rows = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).reshape(x.shape).requires_grad_()
        spikes = neuron.normalised(rows, norm)
        spikes.backward(torch.empty_like(spikes))
    assert spikes.device.type == rows.grad.device.type == norm.weight.grad.device.type == "meta"
    assert all(
        kernel.times for kernel in kernels if kernel.name != ("forward_kernel" if neuron.adapts else "step_kernel")
    )
