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
