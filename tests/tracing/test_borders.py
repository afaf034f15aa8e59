"""Maps that are padded behind their normalisation, with what it makes of zeros, as re-parametrised convolutions are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import spikeport
from spikeport import capture
from spikeport.findings import SpikeportError
from spikeport.graph import Conv

T, C = 3, 4


class BNAndPad(nn.Module):
    """As in RepVGG's line and the spike-driven transformers of its authors, in our own words."""

    def __init__(self, sides, fill=None):
        super().__init__()
        self.bn, self.sides, self.fill = nn.BatchNorm2d(C), sides, fill
        with torch.no_grad():
            for values in (self.bn.running_mean, self.bn.bias):
                values.uniform_(-0.4, 0.4)
            for values in (self.bn.running_var, self.bn.weight):
                values.uniform_(0.5, 1.5)

    def forward(self, x):
        left, right, top, bottom = self.sides
        y = F.pad(self.bn(x), self.sides)
        gain = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        value = (self.bn.bias - self.bn.running_mean * gain).view(1, -1, 1, 1)
        value = value if self.fill is None else self.fill(value)
        if top:
            y[:, :, :top] = value
        if bottom:
            y[:, :, -bottom:] = value
        if left:
            y[:, :, :, :left] = value
        if right and self.fill is not partly:
            y[:, :, :, -right:] = value
        return y


def partly(value):
    """The right side stays as it was."""
    return value


class Net(nn.Module):
    def __init__(self, sides=(1, 1, 1, 1), fill=None):
        super().__init__()
        torch.manual_seed(2)
        self.a, self.pad = nn.Conv2d(1, C, 3, padding=1), BNAndPad(sides, fill)
        self.b, self.o = nn.Conv2d(C, C, 3, groups=C, bias=False), nn.LazyLinear(3)

    def forward(self, x):
        v, w, total = 0.0, 0.0, 0.0
        for _ in range(T):
            v = 0.5 * v + self.a(x)
            z = (v > 0.3).float()
            v = v * (1 - z)
            w = 0.5 * w + self.b(self.pad(z))
            y = (w > 0.1).float()
            w = w * (1 - y)
            total = total + self.o(y.flatten(1))
        return total


def made(*args):
    net, x = Net(*args).eval(), torch.randn(9, 1, 6, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return net, x, net(x).numpy()


@pytest.mark.parametrize("sides", [(1, 1, 1, 1), (2, 2, 1, 1), (0, 2, 1, 0), (1, 0, 0, 3)])
def test_a_border_of_the_normalisation_is_that_of_the_padded_map(sides):
    net, x, theirs = made(sides)
    graph = capture(net, (1, 6, 5))
    assert graph.provenance["verified"]["spikes"] > 0
    np.testing.assert_allclose(spikeport.simulate(graph, x.numpy()).outputs, theirs, rtol=1e-5, atol=1e-5)
    padded = [node for node in graph.nodes.values() if isinstance(node, Conv) and node.groups == C]
    assert len(padded) == 2  # what pads, with the normalisation, and the convolution of each channel


@pytest.mark.parametrize("fill", [partly, lambda value: value + 0.01, lambda value: 0 * value])
def test_another_border_is_refused(fill):
    net, *_ = made((1, 1, 1, 1), fill)
    with pytest.raises(SpikeportError, match="border of a map") as caught:
        capture(net, (1, 6, 5))
    assert {finding.code for finding in caught.value.findings} == {"SP380"}


def test_it_goes_on_to_integers():
    net, x, _ = made()
    result = spikeport.quantize((net, (1, 6, 5)), data=(x.numpy(), np.zeros(9, int)))
    record = spikeport.simulate(result.graph, x.numpy())
    assert record.outputs.shape == (9, 3)
    assert sum(int(count.sum()) for count in record.spike_counts.values()) > 0
