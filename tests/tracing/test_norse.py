"""Norse's LSNNCell becomes nodes that fire as it does: held to the real package."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import ALIF
from spikeport.target import Request
from spikeport.tracing import capture
from traced import fired

norse = pytest.importorskip("norse.torch")

PARAMETERS = {
    "default": norse.LSNNParameters(),
    "quick": norse.LSNNParameters(
        tau_adapt_inv=torch.tensor(300.0),
        v_th=torch.tensor(0.4),
        beta=torch.tensor(0.5),
        tau_mem_inv=torch.tensor(250.0),
    ),
}
T = 9


class Loop(nn.Module):
    """[T, B, 6]; a state is handed on from step to step, or the first one always."""

    def __init__(self, parameters, handed=True):
        super().__init__()
        torch.manual_seed(1)
        self.fc, self.cell, self.handed = nn.Linear(6, 8), norse.LSNNCell(parameters), handed
        self.fc.weight.data.mul_(20)

    def forward(self, x):
        state, spikes = None, []
        for t, step in enumerate(x):
            z, after = self.cell(self.fc(step), state)
            state = after if self.handed or t == 0 else state
            spikes.append(z)
        return torch.stack(spikes)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_thresholds_follow_their_own_spikes_as_in_norse(kind):
    module = Loop(PARAMETERS[kind]).eval()
    graph = fired(capture(module, (6,), timesteps=T))
    assert list(graph.nodes_of(ALIF)) == ["cell"]
    x = np.random.default_rng(2).normal(0, 1, (T, 7, 6)).astype(np.float32)
    with torch.no_grad():
        spikes = module(torch.tensor(x)).numpy()
    assert 20 < spikes.sum() < spikes.size / 2
    np.testing.assert_array_equal(simulate(graph, x, Request(trains=True)).trains["cell"].unpack(), spikes)


def test_a_state_that_is_not_the_last_steps_is_refused():
    with pytest.raises(SpikeportError, match="state of another layer or step") as caught:
        capture(Loop(PARAMETERS["quick"], handed=False), (6,), timesteps=T)
    assert caught.value.code == "SP383"


def test_a_membrane_that_leaks_to_elsewhere_is_followed_line_by_line():
    graph = capture(Loop(norse.LSNNParameters(v_leak=torch.tensor(0.1))), (6,), timesteps=T)
    assert graph.provenance["inside"]


class InALoop(nn.Module):
    """[T, B, 6]: a recurrent cell and what follows it, called once a step; ``end`` makes the result."""

    def __init__(self, end, skips=lambda t: False):
        super().__init__()
        torch.manual_seed(1)
        parameters = norse.LSNNParameters(v_th=torch.tensor(0.1))
        self.cell, self.out = norse.LSNNRecurrentCell(6, 8, p=parameters), nn.Linear(8, 3)
        self.end, self.skips = end, skips

    def frames(self, x):
        return [x[t] for t in range(x.shape[0])]

    def forward(self, x):
        state, spikes, values = None, [], []
        for t, frame in enumerate(self.frames(x)):
            if self.skips(t):
                continue
            z, state = self.cell(frame, state)
            spikes.append(z)
            values.append(self.out(z))
        return self.end(spikes, values)


ENDS = {
    "sum of a block": lambda spikes, values: torch.stack(values).sum(0),
    "mean of a block": lambda spikes, values: torch.stack(values).mean(0),
    "running sum": lambda spikes, values: sum(values),
    "last": lambda spikes, values: values[-1],
    "count": lambda spikes, values: torch.stack(spikes).sum(0),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_cell_whose_first_step_gets_only_constants_is_followed_in_a_loop(end):
    """Norse's current of one step moves the membrane of the next: at the first step nothing of the input is there."""
    net = InALoop(ENDS[end])
    graph = capture(net, (6,), timesteps=T)
    assert len(graph.nodes_of(ALIF)) == 1
    x = np.random.default_rng(2).normal(0, 3, (T, 20, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = net(torch.tensor(x)).numpy()
        spikes = InALoop(lambda spikes, values: torch.stack(spikes))(torch.tensor(x))
    assert 0.02 < spikes.mean() < 0.5
    np.testing.assert_allclose(simulate(graph, x).outputs, theirs, atol=1e-5)


def test_spikes_whose_first_step_gets_only_constants_are_counted():
    net = InALoop(lambda spikes, values: torch.stack(spikes))
    x = np.random.default_rng(2).normal(0, 3, (T, 20, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = net(torch.tensor(x)).sum(0).numpy()
    np.testing.assert_array_equal(simulate(capture(net, (6,), timesteps=T), x).outputs, theirs)


@pytest.mark.parametrize("skips", [lambda t: t % 2 == 1, lambda t: t == 4, lambda t: t == 0])
def test_a_cell_that_skips_steps_is_refused(skips):
    with pytest.raises(SpikeportError) as caught:
        capture(InALoop(ENDS["running sum"], skips), (6,), timesteps=T, verify=False)
    assert caught.value.code == "SP380"


def test_a_cell_that_leaves_out_the_last_step_is_the_same_network_up_to_there():
    net = InALoop(ENDS["running sum"], lambda t: t == T - 1)
    x = np.random.default_rng(2).normal(0, 3, (T, 20, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = net(torch.tensor(x)).numpy()
    np.testing.assert_allclose(simulate(capture(net, (6,), timesteps=T), x).outputs, theirs, atol=1e-5)


class OneSample(InALoop):
    """[B, 6], the same at each of T steps."""

    def frames(self, x):
        return [x] * T


@pytest.mark.parametrize("told", [{}, {"timesteps": T}, {"timesteps": T, "forward": "sample"}])
@pytest.mark.parametrize(
    "end",
    [lambda spikes, values: torch.stack(spikes), lambda spikes, values: torch.stack(spikes).sum(0)],
    ids=["train", "count"],
)
def test_such_a_cell_is_followed_where_one_sample_is_shown_to_it(end, told):
    net, x = OneSample(end), 3 * torch.randn(20, 6, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        theirs = net(x)
    theirs = theirs if theirs.ndim == 2 else theirs.sum(0)
    assert 0 < theirs.sum() < T * theirs.numel() / 2
    np.testing.assert_array_equal(simulate(capture(net, (6,), **told), x.numpy()).outputs, theirs.numpy())


def test_a_result_without_the_first_steps_is_refused_with_a_finding():
    with pytest.raises(SpikeportError) as caught:
        capture(OneSample(lambda spikes, values: torch.stack(values[2:])), (6,), timesteps=T)
    assert caught.value.code == "SP380"
