"""A matrix with a bias in a layer's feedback: its bias enters at every step, the first included, and in integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.graph import LIF, Norm, StepAffine, Synapse, definition
from spikeport.passes.move_bias import move_bias
from spikeport.quantisation.post_training import quantize
from spikeport.target import Request
from spikeport.tracing.module import capture

T = 6


class Back(nn.Module):
    """The second layer's spikes come back to the first through a matrix with a bias."""

    def __init__(self, first=0, behind=1, factor=1.0, own=False):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.back = nn.Linear(25, 24), nn.Linear(24, 16), nn.Linear(16, 24)
        self.own = nn.Linear(24, 24) if own else None
        self.out = nn.Linear(16, 4)
        self.first, self.behind, self.factor = first, behind, factor

    def forward(self, x):
        u = v = total = 0.0
        own = torch.zeros(len(x), 24)
        fired = [torch.zeros(len(x), 16)] * self.behind
        for t in range(T):
            current = self.a(x)
            if t >= self.first:  # or else what comes back is missing, bias and all
                current = current + self.factor * self.back(fired[-self.behind])
            if self.own is not None:
                current = current + self.own(own)
            u = 0.8 * u + current
            own = (u > 0.3).float()
            u = u - 0.3 * own
            v = 0.8 * v + self.b(own)
            fired.append((v > 0.2).float())
            v = v - 0.2 * fired[-1]
            total = total + self.out(fired[-1])
        return total / T


class Library(nn.Module):
    """snnTorch's recurrent layers as they are by default: a matrix, or a convolution, with a bias."""

    def __init__(self, kind, conv=False, **options):
        super().__init__()
        snn = pytest.importorskip("snntorch")
        torch.manual_seed(0)
        self.kind, self.conv = kind, conv
        self.a = nn.Conv2d(1, 4, 3, padding=1) if conv else nn.Linear(25, 24)
        options |= {"conv2d_channels": 4, "kernel_size": 3} if conv else {"linear_features": 24}
        options |= {"alpha": 0.5} if kind == "RSynaptic" else {}
        self.n = getattr(snn, kind)(beta=0.8, threshold=0.4, **options)
        self.out = nn.Linear(100 if conv else 24, 5)

    def forward(self, x):
        x = x.reshape(-1, 1, 5, 5) if self.conv else x
        state, total = getattr(self.n, f"init_{self.kind.lower()}")(), 0.0
        for _ in range(T):
            state = self.n(self.a(x), *state)
            total = total + self.out(state[0].flatten(1))
        return total / T


NETWORKS = {
    "matrix": Back,
    "two steps": lambda: Back(behind=2),
    "scaled": lambda: Back(factor=0.5),
    "two matrices": lambda: Back(own=True),
    "not at first": lambda: Back(first=1),
    "not at first, scaled": lambda: Back(first=1, factor=0.5),
    "RLeaky": lambda: Library("RLeaky"),
    "RLeaky none": lambda: Library("RLeaky", reset_mechanism="none"),
    "RLeaky conv": lambda: Library("RLeaky", conv=True),
    "RSynaptic": lambda: Library("RSynaptic"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_feedback_with_a_bias_is_captured_and_quantised_and_every_spike_is_the_definitions(name):
    module, x = loud(NETWORKS[name]()), frames()
    graph = capture(module, (25,))
    with torch.no_grad():
        theirs = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(simulate(graph, x).outputs, theirs, rtol=1e-5, atol=1e-5)
    assert not graph.nodes_of(Norm)
    integers = quantize(graph, x, run=simulate).graph
    truth, record = definition.run(integers, x), simulate(integers, x, Request(trains=True))
    assert np.array_equal(record.outputs, truth.outputs)
    for each in integers.nodes_of(LIF):
        assert truth.spikes(each).any()
        assert np.array_equal(record.trains[each].unpack(), truth.spikes(each))
    classes = (record.outputs * integers[integers.output].unit).argmax(1)
    assert (classes == theirs.argmax(1)).mean() >= 0.8


@pytest.mark.parametrize("name", ["matrix", "two steps", "scaled", "two matrices", "RLeaky", "RLeaky conv"])
def test_a_bias_that_enters_at_every_step_is_the_neurons_own(name):
    """Thresholds stay the module's, and nothing is added step by step."""
    module = loud(NETWORKS[name]())
    moved = move_bias(capture(module, (25,)))
    assert not moved.nodes_of(StepAffine)
    assert all(node.threshold.shape == (T,) for node in moved.nodes_of(LIF).values())
    assert all(node.bias is None for node in moved.nodes_of(Synapse).values())
    if isinstance(module, Library):
        entering = [module.a.bias, module.n.recurrent.bias]
    else:
        entering = [module.a.bias, module.factor * module.back.bias]
        entering += [] if module.own is None else [module.own.bias]
    first = next(iter(moved.nodes_of(LIF).values()))
    np.testing.assert_allclose(first.bias, sum(entering).detach().numpy(), rtol=1e-5, atol=1e-6)


def loud(module):
    """The module with weights that make its layers fire, and biases that count."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        if parameter.ndim:
            nn.init.uniform_(parameter, -0.3, 0.3)
    return module.eval()


def frames():
    return np.random.default_rng(0).random((32, 25), dtype=np.float32)
