"""Kernels over time, as learned delays are written (DCLS), become synapses behind delays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.findings import SpikeportError
from spikeport.graph import Delay, Linear
from spikeport.tracing import capture
from spikeport.training import PLIF, method
from traced import fired

T, K = 6, 4


class Delayed(nn.Module):
    """Each weight of a layer has one delay: a kernel over time with one entry a weight, zeros before the first step."""

    def __init__(self, *, sides=(K - 1, 0), dilation=1, groups=1):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.out = nn.Linear(6, 8), nn.Linear(8, 3)
        self.lif1, self.lif2 = (PLIF(method("fixed", threshold=0.3), T) for _ in range(2))
        self.sides, self.dilation, self.groups = sides, dilation, groups
        delays = torch.randint(0, K, (8, 8 // groups))
        self.kernel = nn.Parameter(torch.randn(8, 8 // groups, 1) * F.one_hot(K - 1 - delays, K))
        self.bias = nn.Parameter(torch.randn(8) / 4)

    def forward(self, x):  # [T, B, 6]
        x = self.lif1(self.first(x)).permute(1, 2, 0)
        x = F.conv1d(F.pad(x, self.sides), self.kernel, self.bias, dilation=self.dilation, groups=self.groups)
        return self.out(self.lif2(x.permute(2, 0, 1))).mean(0)


@pytest.mark.parametrize(("dilation", "groups"), [(1, 1), (2, 4)])
def test_a_kernel_over_time_is_a_synapse_for_each_delay(dilation, groups):
    net = Delayed(sides=(dilation * (K - 1), 0), dilation=dilation, groups=groups).eval()
    graph = fired(capture(net, (6,), timesteps=T, coding="events"))
    assert sorted(node.steps for node in graph.nodes_of(Delay).values()) == [dilation * n for n in range(1, K)]
    taps = [node for node in graph.nodes_of(Linear).values() if node.weight.shape == (8, 8)]
    total = np.zeros((8, 8), np.float32)
    for group in range(groups):
        rows = slice(group * 8 // groups, (group + 1) * 8 // groups)
        total[rows, rows] = net.kernel.detach().sum(2)[rows]
    np.testing.assert_array_equal(sum(node.weight for node in taps), total)
    assert sum(node.bias is not None for node in taps) == 1


class Padded(Delayed):
    """The same of zeros on both sides, of which those that come out behind the last step are cut off, or not."""

    def __init__(self, padding, cut):
        super().__init__()
        self.padding, self.cut = padding, cut

    def forward(self, x):
        x = self.lif1(self.first(x)).permute(1, 2, 0)
        x = F.conv1d(x, self.kernel, self.bias, padding=self.padding)[..., : x.shape[-1] if self.cut else None]
        return self.out(self.lif2(x.permute(2, 0, 1))).mean(0)


def test_steps_that_padding_adds_behind_the_last_one_are_cut_off():
    ours, plain = (capture(net.eval(), (6,), timesteps=T, coding="events") for net in (Padded(K - 1, True), Delayed()))
    assert list(ours.nodes) == list(plain.nodes)
    for name, node in plain.nodes_of(Linear).items():
        np.testing.assert_array_equal(ours[name].weight, node.weight)


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize(("padding", "what"), [(2, "steps see later ones"), ("same", "pads time on both sides")])
def test_padding_of_time_that_lets_later_steps_in_is_refused(padding, what):
    with pytest.raises(SpikeportError, match=what) as caught:
        capture(Padded(padding, True).eval(), (6,), timesteps=T, forward="sequence")
    assert caught.value.code == "SP380"
    assert "before the first step alone" in str(caught.value)


def test_steps_behind_the_last_one_that_are_kept_are_refused():
    class Kept(Padded):
        def forward(self, x):
            x = self.lif1(self.first(x)).permute(1, 2, 0)
            x = F.conv1d(x, self.kernel, self.bias, padding=self.padding)
            return (x > 0.3).float().sum(-1)

    with pytest.raises(SpikeportError, match="behind the last one") as caught:
        capture(Kept(K - 1, False).eval(), (6,), timesteps=T, forward="sequence", verify=False)
    assert "cut off" in str(caught.value)


def test_a_kernel_over_time_and_places_at_once_says_what_is_followed():
    class Both(Delayed):
        def forward(self, x):  # [T, B, 6] as an image of time and features
            y = F.conv2d(x.permute(1, 0, 2)[:, None], torch.ones(1, 1, 3, 3), padding=1)
            return self.lif1(self.first(y[:, 0].permute(1, 0, 2)))

    with pytest.raises(SpikeportError, match="convolve each step by itself"):
        capture(Both().eval(), (6,), timesteps=T, forward="sequence")


def test_a_kernel_that_sees_later_steps_is_refused():
    with pytest.raises(SpikeportError) as caught:
        capture(Delayed(sides=(1, 2)).eval(), (6,), timesteps=T, coding="events")
    assert any("zeros before the first step" in finding.what for finding in caught.value.findings)
