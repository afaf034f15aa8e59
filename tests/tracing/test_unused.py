"""What the result does not depend on is not refused; what is read out is the step that the module returns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import Readout
from spikeport.tracing import capture
from spikeport.training import Linear, Repeat
from traced import fired, plif

snn = pytest.importorskip("snntorch")
T = 4


class Loop(nn.Module):
    """snnTorch's tutorials: a loop, spikes and membranes recorded."""

    def __init__(self, end, keep=lambda mem: mem):
        super().__init__()
        self.end, self.keep = end, keep
        self.fc, self.lif, self.out = nn.Linear(6, 8), snn.Leaky(beta=0.9, threshold=0.3), nn.Linear(8, 2)

    def forward(self, x):
        mem, spikes, mems, rate = self.lif.init_leaky(), [], [], 0.0
        for _ in range(T):
            spike, mem = self.lif(self.fc(x), self.keep(mem))
            spikes.append(spike)
            mems.append(mem)
            rate = rate + (spike**2).mean()
        self.rate = rate
        return self.end(self, spikes, mems)


@pytest.mark.parametrize(
    "end",
    [
        lambda m, s, v: (torch.stack(s), torch.stack(v)),
        lambda m, s, v: (torch.stack(s), v[-1].clone()),
        lambda m, s, v: (torch.stack(s), {"log": torch.stack(v).max()}),
        lambda m, s, v: (torch.stack(s), torch.softmax(torch.stack(v), -1)),
    ],
)
def test_recorded_membranes_and_logs_are_not_asked_for(end):
    torch.manual_seed(0)
    graph = fired(capture(Loop(end), (6,), output=0))
    assert graph.timesteps == T


@pytest.mark.parametrize("keep", [torch.detach, torch.clone, lambda v: v.contiguous(), lambda v: v.to(v.dtype)])
def test_identities_on_a_state_are_identities(keep):
    torch.manual_seed(0)
    fired(capture(Loop(lambda m, s, v: torch.stack(s), keep), (6,)))


def test_a_result_is_named_by_its_key():
    torch.manual_seed(0)
    fired(capture(Loop(lambda m, s, v: {"spikes": torch.stack(s), "mem": v[-1]}), (6,), output="spikes"))
    both = capture(Loop(lambda m, s, v: {"spikes": torch.stack(s), "mem": v[-1]}), (6,))
    assert both.outputs == ("spikes", "mem")


@pytest.mark.parametrize(
    ("end", "options"),
    [
        (lambda m, s, v: torch.stack(s)[-1], {}),
        (lambda m, s, v: s[-1], {}),
        (lambda m, s, v: m.out(torch.stack(s)[-1]), {}),
        (lambda m, s, v: s, {"output": T - 1}),
    ],
)
@pytest.mark.parametrize("verify", [True, False])
def test_one_step_of_the_result_is_read_out_alone(end, options, verify):
    torch.manual_seed(0)
    graph = capture(Loop(end), (6,), verify=verify, **options)
    np.testing.assert_array_equal(graph["readout"].weight, [0, 0, 0, 1])


def test_what_the_result_depends_on_is_refused_with_the_users_line():
    torch.manual_seed(0)
    with pytest.raises(SpikeportError) as caught:
        capture(Loop(lambda m, s, v: torch.stack(s) * torch.tanh(torch.stack(v))), (6,))
    assert "test_unused.py line" in str(caught.value)


class Leaks(nn.Module):
    """An output layer that only leaks: its last membrane, or a mean of them, is the result."""

    def __init__(self, end):
        super().__init__()
        self.end, self.repeat, self.fc, self.lif, self.out = end, Repeat(3), Linear(5, 6), plif(), nn.Linear(6, 2)

    def forward(self, x):
        y = self.out(self.lif(self.fc(self.repeat(x))))
        v, mems = 0.0, []
        for step in y:
            v = 0.5 * v + step
            mems.append(v)
        return self.end(mems)


@pytest.mark.parametrize(
    ("end", "weights"),
    [
        (lambda v: v[-1], [0.25, 0.5, 1.0]),
        (lambda v: sum(v), [1.75, 1.5, 1.0]),
        (lambda v: torch.stack(v).mean(0), [1.75 / 3, 0.5, 1 / 3]),
    ],
)
def test_a_membrane_that_only_leaks_is_a_readout_with_weights(end, weights):
    torch.manual_seed(0)
    graph = fired(capture(Leaks(end), (5,)))
    assert isinstance(graph["readout"], Readout)
    np.testing.assert_allclose(graph["readout"].weight, weights, rtol=1e-6)


class Membranes(Loop):
    """The membranes are the result: a regression in snnTorch's manner."""

    def forward(self, x):
        mem, mems = self.lif.init_leaky(), []
        for _ in range(T):
            _, mem = self.lif(self.fc(x), mem)
            mems.append(mem)
        return self.end(mems)


@pytest.mark.parametrize("end", [torch.stack, lambda v: v[-1], lambda v: torch.stack(v).sum(0)])
def test_membranes_that_are_the_result_are_read_out_where_their_reset_subtracts(end):
    """u[t] = beta u[t-1] + x[t] - threshold s[t-1] is a sum over time of inputs, and of spikes a step later."""
    torch.manual_seed(0)
    module = Membranes(end)
    graph = fired(capture(module, (6,)))
    x = np.random.default_rng(0).standard_normal((7, 6)).astype(np.float32) * 3
    with torch.no_grad():
        theirs = module(torch.as_tensor(x))
    theirs = theirs.mean(0) if theirs.ndim == 3 else theirs
    np.testing.assert_allclose(simulate(graph, x).outputs, theirs, atol=1e-5)
