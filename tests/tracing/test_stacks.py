"""States that a module hands on as one tensor and takes apart at the next step, against the modules that do so."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.tracing import capture

T = 6


class Cell(nn.Module):
    """Convolutional neurons whose membrane and spikes are one tensor [2, B, C, H, W] between steps."""

    def __init__(self, channels, apart):
        super().__init__()
        self.ff, self.apart = nn.Conv2d(channels, 4, 3, padding=1), apart
        self.leak = nn.Parameter(torch.rand(4, 1, 1) * 0.5 + 0.4)

    def forward(self, x, state):
        ff = self.ff(x)
        state = torch.zeros(2, *ff.shape) if state is None else state
        v, z = self.apart(state)
        v = v * self.leak * (1 - z) + ff
        z = (v > 0.3).float()
        return z, torch.stack([v, z])


def iterated(state):
    v, z = state
    return v, z


APART = {
    "iterated": iterated,
    "unbound": lambda state: state.detach().unbind(0),
    "indexed": lambda state: (state[0], state[-1]),
    "selected": lambda state: (state.select(0, 0), state.clone().select(0, 1)),
}


class Loop(nn.Module):
    """Two such layers; ``joint`` stacks the states of both as well."""

    def __init__(self, apart, joint=False, reads=sum):
        super().__init__()
        torch.manual_seed(5)
        self.a, self.b, self.out = Cell(2, apart), Cell(4, apart), nn.Conv2d(4, 2, 1)
        self.joint, self.reads = joint, reads

    def forward(self, x):
        both = p = q = None
        every = []
        for step in x.unbind(1):
            if both is not None:
                p, q = both
            z, p = self.a(step, p)
            z, q = self.b(z, q)
            both = torch.stack([p, q]) if self.joint else None
            every.append(self.out(z))
        return self.reads(every)


def drawn(module):
    return capture(module.eval(), (2, 8, 8), timesteps=T, forward="sequence", coding="events")


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("apart", APART)
def test_a_state_of_several_parts_is_followed_through_its_stack(apart, joint):
    module = Loop(APART[apart], joint)
    x = torch.randn(5, T, 2, 8, 8, generator=torch.Generator().manual_seed(1)) * 2
    graph = drawn(module)
    with torch.no_grad():
        expected = module(x)
    assert expected.any()
    torch.testing.assert_close(
        torch.as_tensor(Engine(graph).simulate(x.movedim(1, 0).numpy()).outputs), expected, atol=1e-5, rtol=0
    )


class Summed(Loop):
    """A stack of which the module takes a sum: no part of it."""

    def forward(self, x):
        p = self.a(x[:, 0], None)[1]
        for step in x.unbind(1)[1:]:
            p = self.a(step, p)[1]
        return self.out(p.sum(0))


def test_a_stack_that_is_not_taken_apart_is_refused_where_it_was_stacked():
    with pytest.raises(SpikeportError, match=r"SP380.*test_stacks.py line \d+: stack"):
        drawn(Summed(iterated))


class Around(nn.Module):
    """The mean of what enters takes from the membrane of each channel, by a parameter [1, C, 1, 1]."""

    def __init__(self, form):
        super().__init__()
        torch.manual_seed(7)
        self.ff, self.out = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
        self.takes = nn.Parameter(torch.rand(form) * 0.2)

    def forward(self, x):
        v = z = torch.zeros(len(x), 4, 8, 8)
        total = 0
        for step in x.unbind(1):
            v = 0.8 * v * (1 - z) + self.ff(step) - self.takes * step.mean(1, keepdim=True)
            z = (v > 0.3).float()
            total = total + self.out(z)
        return total


@pytest.mark.parametrize("form", [(1, 4, 1, 1), (4, 1, 1)])
def test_one_channel_times_a_constant_of_several_is_repeated(form):
    module = Around(form)
    x = torch.randn(5, T, 2, 8, 8, generator=torch.Generator().manual_seed(1)) * 2
    with torch.no_grad():
        expected = module(x)
    outputs = Engine(drawn(module)).simulate(x.movedim(1, 0).numpy()).outputs
    torch.testing.assert_close(torch.as_tensor(outputs), expected, atol=1e-5, rtol=0)


class Attribute(nn.Module):
    """Decays in a plain tensor, which is no parameter and no buffer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(7)
        self.first, self.out = nn.Linear(6, 5), nn.Linear(5, 2)
        self.decay = torch.linspace(0.2, 0.9, 5)

    def forward(self, x):
        v = z = torch.zeros(len(x), 5)
        total = 0
        for _ in range(T):
            v = self.decay * v * (1 - z) + self.first(x)
            z = (v > 0.5).float()
            total = total + self.out(z)
        return total


def test_a_plain_tensor_of_the_module_is_a_constant():
    module = Attribute()
    graph = capture(module.eval(), (6,), timesteps=T)
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(torch.as_tensor(Engine(graph).simulate(x.numpy()).outputs), module(x))
