"""A module that still holds the state of an earlier run: a plain message, or the reset that its library names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.graph import LIF
from spikeport.tracing import capture

T = 4


class Kept(nn.Module):
    """Keeps its membrane from call to call, and logs what it did."""

    def __init__(self):
        super().__init__()
        self.fc, self.mem, self.log = nn.Linear(6, 8), None, None

    def forward(self, x):
        if self.mem is None:
            self.mem = torch.zeros(len(x), 8)
        spikes = []
        for _ in range(T):
            self.mem = 0.9 * self.mem + self.fc(x)
            spikes.append((self.mem > 0.5).float())
            self.mem = self.mem - 0.5 * spikes[-1]
        self.log = torch.stack(spikes)
        return self.log.mean(0)


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Kept()

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_state_of_an_earlier_run_is_named_with_its_reset(batch):
    """A batch of 1 fits every other, so that the network would run, from another start."""
    torch.manual_seed(0)
    net = Around()
    net(torch.randn(batch, 6))
    with pytest.raises(SpikeportError) as caught:
        capture(net, (6,), timesteps=T)
    (finding,) = caught.value.findings
    assert finding.code == "SP335"
    assert f"inner.mem [{batch}, 8]" in finding.what
    assert "log" not in finding.what
    assert "module.inner.mem" in finding.mend
    net.inner.mem = None  # as the message says
    assert capture(net, (6,), timesteps=T).nodes_of(LIF)


def test_a_start_that_is_written_down_is_no_state_of_a_run():
    class Started(Kept):
        def __init__(self):
            super().__init__()
            del self.mem
            self.register_buffer("mem", torch.full((8,), 0.25))

    torch.manual_seed(0)
    assert capture(Started(), (6,), timesteps=T).provenance["verified"]["silent"] == []


def test_the_states_of_libraries_are_reset():
    """With their own resets, also where the state is a buffer of another batch (ExpLeak, RLeaky)."""
    torch.manual_seed(0)
    snntorch, sinabs = pytest.importorskip("snntorch"), pytest.importorskip("sinabs")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    x = torch.randn(3, 6) * 3
    nets = [
        (snntorch.RLeaky(beta=0.9, linear_features=8, init_hidden=True), x, {}),
        (neuron.CUBALIFNode(), x, {}),
        (sinabs.layers.ExpLeak(tau_mem=9.0), x[:, None].expand(3, T, 6), {"forward": "sequence"}),
    ]
    for neurons, samples, options in nets:
        net = nn.Sequential(nn.Linear(6, 8), neurons)
        net[0].weight.data *= 4
        fresh = capture(net, (6,), timesteps=T, **options)
        net(samples)
        assert capture(net, (6,), timesteps=T, **options).nodes == fresh.nodes
