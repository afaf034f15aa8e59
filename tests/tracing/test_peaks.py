"""Membranes whose maximum over time is the result: leaky integrators of people's libraries and hand-written ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import Peak
from spikeport.tracing import capture

norse = pytest.importorskip("norse.torch")
snn = pytest.importorskip("snntorch")
T = 5
HIGHEST = {
    "max": lambda v: v.max(0)[0],
    "torch.max": lambda v: torch.max(v, dim=0).values,
    "amax": lambda v: v.amax(dim=(0,)),
}


class Read(nn.Module):
    """A layer that fires, a matrix, and a layer whose membranes are read."""

    def __init__(self, kind, end=HIGHEST["max"], bias=True):
        super().__init__()
        self.fc, self.lif, self.out = nn.Linear(6, 16), snn.Leaky(beta=0.9, threshold=0.3), nn.Linear(16, 3, bias)
        self.read, self.end = KINDS[kind](), end

    def forward(self, x):
        mem, state, membranes = self.lif.init_leaky(), None, []
        for _ in range(T):
            spikes, mem = self.lif(self.fc(x), mem)
            membrane, state = self.read(self.out(spikes), state)
            membranes.append(membrane)
        return self.end(torch.stack(membranes))


class Hand(nn.Module):
    def forward(self, x, v):
        v = x if v is None else 0.8 * v + x
        return v, v


class Library(nn.Module):
    """snnTorch's neurons, of which the last state is the membrane."""

    def __init__(self, neurons):
        super().__init__()
        self.neurons = neurons

    def forward(self, x, state):
        fresh = self.neurons.init_synaptic if isinstance(self.neurons, snn.Synaptic) else self.neurons.init_leaky
        state = fresh() if state is None else state
        _, *state = self.neurons(x, *(state if isinstance(state, list | tuple) else (state,)))
        return state[-1], state


KINDS = {
    "hand": Hand,
    "leaky": lambda: Library(snn.Leaky(beta=0.7, reset_mechanism="none")),
    "synaptic": lambda: Library(snn.Synaptic(alpha=0.5, beta=0.8, reset_mechanism="none")),
    "reset": lambda: Library(snn.Leaky(beta=0.7, threshold=0.2, reset_mechanism="subtract")),
    "norse": lambda: norse.LICell(),
}
KEPT = {"hand": (0.8, 0.0), "leaky": (0.7, 0.0), "synaptic": (0.8, 0.5), "reset": (0.7, 0.0), "norse": (0.9, 0.8)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_highest_membrane_is_read(kind):
    """Norse: 1 - dt tau_mem_inv = 0.9 and 1 - dt tau_syn_inv = 0.8, in either order: they commute."""
    torch.manual_seed(0)
    net = Read(kind)
    graph = capture(net, (6,))
    (read,) = graph.nodes_of(Peak).values()
    assert [float(read.decay), float(read.current_decay)] == pytest.approx(KEPT[kind], abs=1e-6)
    x = torch.randn(20, 6)
    np.testing.assert_allclose(simulate(graph, x.numpy()).outputs, net(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("way", HIGHEST)
def test_however_it_is_written(way):
    graph = capture(Read("hand", HIGHEST[way]), (6,))
    assert graph.output in graph.nodes_of(Peak)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (lambda v: v.amax(-1).mean(0), "over other axes than time"),
        (lambda v: torch.max(v, v.flip(0)).mean(0), "flip"),
        (lambda v: v.amax(0) * 2, "lead on|highest"),
    ],
)
def test_other_maxima_are_refused_with_their_reason(end, why):
    with pytest.raises(SpikeportError, match=why):
        capture(Read("hand", end), (6,))
