"""Hand-written membranes that are held from below become a lower bound, and what is none is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from exported import export
from spikeport import capture, simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF
from spikeport.verbs.load import load_model

LOW, T = -0.3, 5


class Net(nn.Module):
    """Frames [T, B, 6] through two layers whose neurons are ``step``: (membrane, input) -> (membrane, spikes)."""

    def __init__(self, step):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.step = nn.Linear(6, 9), nn.Linear(9, 5), step

    def forward(self, x):
        v, w, total = torch.zeros(x.shape[1], 9), torch.zeros(x.shape[1], 5), 0.0
        for frame in x:
            v, s = self.step(v, self.a(frame))
            w, z = self.step(w, self.b(s))
            total = total + z
        return total


def charged(v, x, decay=0.9):
    u = decay * v + x
    return u, (u >= 0.5).float()


def behind(hold, decay=0.9):
    """``hold`` of the membrane after a reset by subtraction."""

    def step(v, x):
        u, s = charged(v, x, decay)
        return hold(u - 0.5 * s), s

    return step


def zeroed(v, x):
    u, s = charged(v, x)
    return (u * (1 - s)).clamp_min(LOW), s


def before(v, x):
    u = torch.clamp(0.9 * v + x, min=LOW)
    s = (u >= 0.5).float()
    return u - 0.5 * s, s


def before_by_relu(v, x):
    u = functional.relu(0.9 * v + x - LOW) + LOW
    s = (u >= 0.5).float()
    return u * (1 - s), s


def decayed(v, x):
    u = torch.maximum(0.9 * v, torch.tensor(LOW)) + x
    s = (u >= 0.5).float()
    return u - 0.5 * s, s


def reset_below(v, x):
    u, s = charged(v, x)
    return torch.clamp(torch.where(s.bool(), torch.full_like(u, -1.0), u), min=LOW), s


HELD = {
    "clamp": (behind(lambda v: torch.clamp(v, min=LOW)), LOW),
    "clip": (behind(lambda v: v.clip(min=LOW)), LOW),
    "clamp_": (behind(lambda v: v.clamp_(min=LOW)), LOW),
    "clamp by a tensor": (behind(lambda v: v.clamp(min=torch.tensor(LOW))), LOW),
    "maximum": (behind(lambda v: torch.maximum(torch.tensor(LOW), v)), LOW),
    "max": (behind(lambda v: torch.max(v, torch.full_like(v, LOW))), LOW),
    "relu": (behind(lambda v: functional.relu(v - LOW) + LOW), LOW),
    "relu at zero": (behind(functional.relu), 0.0),
    "scaled": (behind(lambda v: 2 * torch.clamp(0.5 * v, min=LOW)), 2 * LOW),
    "no leak": (behind(lambda v: torch.clamp(v, min=LOW), 1.0), LOW),
    "to zero": (zeroed, LOW),
    "before the comparison": (before, LOW),
    "before it, by relu": (before_by_relu, LOW),
    "once decayed": (decayed, LOW / 0.9),
    "a reset below it": (reset_below, LOW),
}


@pytest.mark.parametrize("name", HELD)
def test_a_membrane_that_is_held_from_below_has_a_lower_bound(name):
    step, low = HELD[name]
    graph = capture(Net(step), (6,), timesteps=T, forward="sequence")
    layers = graph.nodes_of(LIF).values()
    assert [float(node.lower_bound) for node in layers] == pytest.approx([low, low], rel=1e-6)
    x = 2 * torch.randn(T, 200, 6, generator=torch.Generator().manual_seed(1))
    wanted = Net(step)(x).numpy()
    np.testing.assert_array_equal(simulate(graph, x.numpy()).outputs, wanted)
    free = graph.replace({n: node.with_(lower_bound=None) for n, node in graph.nodes_of(LIF).items()})
    assert (simulate(free, x.numpy()).outputs != wanted).any()


def test_an_onnx_file_of_such_neurons(tmp_path):
    for name in ("clamp", "relu", "maximum"):
        path = tmp_path / f"{name}.onnx"
        export(Net(HELD[name][0]), torch.randn(T, 1, 6), path, newer=False, open_axis=None)
        layers = load_model(path).graph.nodes_of(LIF).values()
        assert [float(node.lower_bound) for node in layers] == pytest.approx([LOW, LOW], rel=1e-6)


def compared_alone(v, x):
    """Held where it is compared, and kept as it was."""
    u = 0.9 * v + x
    s = (torch.clamp(u, min=LOW) >= 0.5).float()
    return u - 0.5 * s, s


def test_a_membrane_that_is_held_where_it_is_compared_alone_has_no_bound():
    """It is as far below its threshold as before; the sum of all that entered is a current that decays."""
    graph = capture(Net(compared_alone), (6,), timesteps=T, forward="sequence")
    assert [node.lower_bound for node in graph.nodes_of(LIF).values()] == [None, None]
    x = 2 * torch.randn(T, 200, 6, generator=torch.Generator().manual_seed(1))
    np.testing.assert_array_equal(simulate(graph, x.numpy()).outputs, Net(compared_alone)(x).numpy())


def a_part(v, x):
    u, s = charged(v, x)
    return torch.clamp(u, min=LOW) - 0.5 * s, s


def the_input(v, x):
    u = 0.9 * v + x.clamp(min=LOW)
    s = (u >= 0.5).float()
    return u - 0.5 * s, s


def reset_to_below(v, x):
    u = torch.clamp(0.9 * v + x, min=LOW)
    s = (u >= 0.5).float()
    return torch.where(s.bool(), torch.full_like(u, -1.0), u), s


def twice(v, x):
    u = torch.clamp(0.9 * v + x, min=LOW)
    s = (u >= 0.5).float()
    return torch.clamp(u - 0.5 * s, min=LOW / 2), s


OTHERS = {
    "a part of it": a_part,
    "what enters": the_input,
    "a reset to below it": reset_to_below,
    "twice": twice,
    "above where it starts": behind(lambda v: torch.clamp(v, min=0.1)),
    "from above too": behind(lambda v: torch.clamp(v, min=LOW, max=2.0)),
    "by what depends on the input": lambda v, x: (torch.maximum(0.9 * v, x), (v + x > 0.5).float()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_lower_bound_is_refused(name):
    with pytest.raises(SpikeportError) as caught:
        capture(Net(OTHERS[name]), (6,), timesteps=T, forward="sequence")
    assert "SP380" in {finding.code for finding in caught.value.findings}


def test_held_membranes_that_are_read_are_refused():
    class Read(Net):
        def forward(self, x):
            v, w, read = torch.zeros(x.shape[1], 9), torch.zeros(x.shape[1], 5), []
            for frame in x:
                v, s = self.step(v, self.a(frame))
                w = torch.clamp(0.9 * w + self.b(s), min=LOW)
                read.append(w)
            return torch.stack(read).mean(0)

    with pytest.raises(SpikeportError, match="clamp: holds a value in a range"):
        capture(Read(before), (6,), timesteps=T, forward="sequence")


def test_relu_between_layers_is_still_an_analog_nonlinearity():
    module = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 5))
    with pytest.raises(SpikeportError, match="analog nonlinearity"):
        capture(module, (6,), timesteps=T)
