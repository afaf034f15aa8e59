"""A neuron of one's own, registered with a converter that `capture` proves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Readout
from spikeport.tracing import capture, register_neuron
from spikeport.training import Repeat
from traced import T, fired


class Mine(nn.Module):
    """u = 0.5 u + x; fires above 1; resets to -0.1."""

    def __init__(self, threshold=1.0):
        super().__init__()
        self.threshold = threshold

    def forward(self, x):
        v, spikes = torch.zeros_like(x[0]), []
        for step in x:
            u = 0.5 * v + step
            spikes.append((u > self.threshold).to(x.dtype))
            v = torch.where(u > self.threshold, torch.full_like(u, -0.1), u)
        return torch.stack(spikes)


def network(neuron):
    torch.manual_seed(0)
    return nn.Sequential(Repeat(T), nn.Linear(4, 16), neuron, nn.Linear(16, 3))


def test_a_neuron_of_ones_own_is_registered_with_a_converter_and_proved():
    register_neuron(
        Mine,
        lambda module, shape, steps: LIF(
            shape,
            decay=np.asarray(0.5),
            threshold=np.full(steps, module.threshold),
            reset="value",
            reset_value=np.asarray(-0.1),
            compare=">",
        ),
    )
    graph = fired(capture(network(Mine()), (4,)))
    assert isinstance(graph["2"], LIF)
    assert isinstance(graph["readout"], Readout)
    np.testing.assert_array_equal(graph["readout"].weight, np.full(T, 1 / T, np.float32))


def test_a_wrong_converter_is_found_out():
    class Liar(Mine):
        def forward(self, x):
            return super().forward(x)

    register_neuron(Liar, lambda module, shape, steps: LIF(shape, np.asarray(0.4), np.full(steps, 1.0), compare=">"))
    with pytest.raises(SpikeportError) as caught:
        capture(network(Liar()), (4,))
    assert caught.value.code == "SP382"
    assert "'2'" in str(caught.value)
    assert "verified" not in capture(network(Liar()), (4,), verify=False).provenance  # told not to look


def test_a_subclass_with_its_own_forward_is_another_neuron():
    register_neuron(Mine, lambda m, shape, steps: LIF(shape, np.asarray(0.5), np.full(steps, m.threshold), compare=">"))

    class Noisy(Mine):
        def forward(self, x):
            return super().forward(x + torch.rand_like(x))

    with pytest.raises(SpikeportError) as caught:
        capture(network(Noisy()), (4,))
    assert "'2' (Noisy)" in str(caught.value)
