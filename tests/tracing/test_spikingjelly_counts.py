"""SpikingJelly's neurons that count, and classes derived from its neurons, against its own code: every spike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.target import Request
from spikeport.tracing import capture

pytest.importorskip("spikingjelly.activation_based")
from spikingjelly.activation_based import functional, neuron, surrogate

T = 7
ILIF = getattr(neuron, "ILIFNode", None)


def network(neurons):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), neurons, nn.Linear(8, 3)).double().eval()
    net[0].weight.data.mul_(4)
    functional.set_step_mode(net, "m")
    return net


@pytest.mark.skipif(ILIF is None, reason="SpikingJelly before 2.0 has no I-LIF")
@pytest.mark.parametrize("most", [2, 4])
def test_rounded_levels_are_counted(most):
    module = network(ILIF(v_threshold=0.7, surrogate_function=surrogate.MultiLevelSpikeCount(most)))
    graph = capture(module, (6,), timesteps=T, forward="sequence")
    assert any("rounds to the even number" in note for note in graph.provenance["notes"])
    x = np.random.default_rng(1).standard_normal((T, 9, 6))
    with torch.no_grad():
        functional.reset_net(module)
        counts = module[:2](torch.tensor(x)).numpy()
    assert set(np.unique(counts)) == set(range(most + 1))
    np.testing.assert_array_equal(simulate(graph, x, Request(trains=True)).trains["1"].unpack(), counts)


class Slow(neuron.LIFNode):
    """Charges in its own way, which is followed line by line."""

    def neuronal_charge(self, x):
        self.v = 0.9 * self.v + 0.5 * x


def test_an_equation_that_a_derived_class_replaces_is_the_one_that_counts():
    module = network(Slow(v_reset=None))
    graph = capture(module, (6,), timesteps=T, forward="sequence")
    x = 2 * np.random.default_rng(1).standard_normal((T, 9, 6))
    with torch.no_grad():
        functional.reset_net(module)
        judged = module(torch.tensor(x)).mean(0).numpy()
    np.testing.assert_allclose(simulate(graph, x).outputs, judged, rtol=1e-9, atol=1e-9)
