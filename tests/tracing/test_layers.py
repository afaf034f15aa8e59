"""Layers in all their forms: shared ones, norms wherever they stand, convolutions, sums over time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.graph import Conv, Linear, Norm
from spikeport.tracing import capture
from spikeport.training import Repeat
from traced import T, fired, plif


class Shared(nn.Module):
    """One convolution and one neuron layer, used twice."""

    def __init__(self):
        super().__init__()
        self.repeat, self.lif, self.fc = Repeat(T), plif(), nn.Linear(36 * 2, 3)
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def once(self, x):
        return self.lif(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))

    def forward(self, x):
        return self.fc(self.once(self.once(self.repeat(x))).flatten(2)).mean(0)


def test_a_submodule_used_twice_is_two_nodes_with_the_same_weights():
    torch.manual_seed(0)
    graph = fired(capture(Shared().eval(), (2, 6, 6)))
    assert graph.order == ("input", "conv", "lif", "conv#2", "lif#2", "flatten", "fc", "readout")
    np.testing.assert_array_equal(graph["conv"].weight, graph["conv#2"].weight)


class Norms(nn.Module):
    """A batch norm before the layer, at a padded border; one behind it; one over features."""

    def __init__(self, first):
        super().__init__()
        self.first = first
        self.repeat, self.lif1, self.lif2 = Repeat(T), plif(), plif()
        self.before, self.after, self.flat = nn.BatchNorm2d(3), nn.BatchNorm2d(4), nn.BatchNorm1d(8)
        self.conv0, self.conv = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.fc, self.lif3, self.out = nn.Linear(4 * 36, 8), plif(), nn.Linear(8, 3)
        for norm in (self.before, self.after, self.flat):
            norm.running_mean.uniform_(-0.5, 0.5)
            norm.running_var.uniform_(0.3, 1.5)
            norm.weight.data.uniform_(-1.5, 1.5)
            norm.bias.data.uniform_(-0.7, 0.7)

    def forward(self, x):
        steps = (T, x.shape[0])
        x = self.repeat(x).flatten(0, 1)
        x = self.conv0(x)
        if not self.first:
            x = self.lif1(x.unflatten(0, steps)).flatten(0, 1)
        x = self.after(self.conv(self.before(x)))
        x = self.lif2(x.unflatten(0, steps)).flatten(0, 1)
        x = self.lif3(self.flat(self.fc(x.flatten(1))).unflatten(0, steps))
        return self.out(x).sum(0) / T


@pytest.mark.parametrize("first", [True, False])
def test_batch_norm_before_and_after_the_layer(first):
    torch.manual_seed(1)
    graph = fired(capture(Norms(first).eval(), (2, 6, 6)))
    assert not graph.nodes_of(Norm)


def test_a_norm_that_a_user_forgot_to_freeze_is_refused():
    module = nn.Sequential(
        Repeat(T), nn.Flatten(0, 1), nn.BatchNorm2d(2, track_running_stats=False), nn.Unflatten(0, (T, 2)), plif()
    )
    with pytest.raises(SpikeportError) as caught:
        capture(module, (2, 4, 4))
    assert "statistics of the batch" in str(caught.value)


def test_a_sum_over_time_may_come_before_the_last_layer():
    torch.manual_seed(0)

    class Early(nn.Module):
        def __init__(self):
            super().__init__()
            self.repeat, self.fc, self.lif, self.out = Repeat(T), nn.Linear(4, 8), plif(), nn.Linear(8, 2)

        def forward(self, x):
            return self.out(self.lif(self.fc(self.repeat(x))).sum(0)) * 0.5

    graph = fired(capture(Early(), (4,)))
    assert isinstance(graph["out"], Linear)
    np.testing.assert_array_equal(graph["readout"].weight, np.full(T, 0.5, np.float32))


def test_convolutions_of_every_form():
    torch.manual_seed(0)
    net = nn.Sequential(
        Repeat(T),
        nn.Flatten(0, 1),
        nn.Conv2d(4, 8, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1), groups=2),
        nn.Conv2d(8, 8, 3, padding="same", groups=8),
        nn.Unflatten(0, (T, -1)),
        plif(),
        nn.Flatten(2),
        nn.Linear(8 * 5 * 4, 3),
    )
    graph = fired(capture(net, (4, 7, 8)))
    assert graph["2"].groups == 2
    assert len(graph.nodes_of(Conv)) == 2


def test_three_dimensions():
    torch.manual_seed(0)
    net = nn.Sequential(
        Repeat(T),
        nn.Flatten(0, 1),
        nn.Conv3d(2, 4, (2, 3, 1), stride=(1, 2, 1), padding=(1, 0, 2), groups=2),
        nn.BatchNorm3d(4),
        nn.Unflatten(0, (T, -1)),
        plif(),
        nn.Flatten(0, 1),
        nn.MaxPool3d((1, 1, 2)),
        nn.AvgPool3d(2),
        nn.Unflatten(0, (T, -1)),
        nn.Flatten(2),
        nn.Linear(4 * 2 * 1 * 2, 3),
    )
    graph = fired(capture(net, (2, 3, 5, 6)))
    assert graph.shapes["2"] == (4, 4, 2, 10)


def test_one_dimension():
    torch.manual_seed(0)
    net = nn.Sequential(
        Repeat(T),
        nn.Flatten(0, 1),
        nn.Conv1d(2, 4, 3, padding=1),
        nn.BatchNorm1d(4),
        nn.AvgPool1d(2),
        nn.Unflatten(0, (T, -1)),
        plif(),
        nn.Flatten(2),
        nn.Linear(16, 3),
    )
    fired(capture(net, (2, 8)))
