"""What torch.compile made of a module, of its parts or of a function is captured as what it was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.tracing import capture
from spikeport.training import PLIF, method

T = 4


def step(v, x):
    v = 0.8 * v + x
    spikes = (v > 0.3).float()
    return v * (1 - spikes), spikes


class Net(nn.Module):
    """[B, 6] at each of T steps, through neurons by hand and spikeport's own."""

    def __init__(self, step=step):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.mid, self.out, self.step = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3), step
        self.lif = PLIF(method("fixed", threshold=0.3), T)

    def forward(self, x):
        v, spikes = torch.zeros(len(x), 8), []
        for _ in range(T):
            v, fired = self.step(v, self.fc(x))
            spikes.append(fired)
        return self.out(self.lif(self.mid(torch.stack(spikes)))).sum(0)


def refuses(graph, inputs):
    raise AssertionError("another compiler got to see it")


def compiled(what):
    return torch.compile(what, backend=refuses)


def in_place(*names):
    net = Net()
    for part in (getattr(net, name) for name in names) if names else (net,):
        part.compile(backend=refuses)
    return net


def parts():
    net = Net()
    net.lif, net.mid = compiled(net.lif), compiled(net.mid)
    return net


WAYS = {
    "whole": lambda: compiled(Net()),
    "in place": in_place,
    "parts in place": lambda: in_place("lif", "mid"),
    "parts": parts,
    "a function": lambda: Net(compiled(step)),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_compiled_is_captured_as_what_it_was_given(way):
    graph = capture(WAYS[way](), (6,))
    assert list(graph.nodes) == list(capture(Net(), (6,)).nodes)
    x = torch.randn(30, 6)
    np.testing.assert_allclose(simulate(graph, x.numpy()).outputs, Net()(x).detach().numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_module_is_compiled_again_afterwards():
    net = in_place()
    capture(net, (6,))
    with pytest.raises(Exception, match="another compiler got to see it"):
        net(torch.zeros(2, 6))
