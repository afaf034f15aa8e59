"""Several spikes a step, written as a membrane that is clamped and rounded (SpikeYOLO, E-SpikeFormer)."""

import numpy as np
import pytest
import torch
from torch import nn

from published import Counting
from spikeport.findings import SpikeportError
from spikeport.graph import LIF
from spikeport.tracing import capture
from traced import fired

HALF = "at exactly half a threshold"


@pytest.mark.parametrize(
    ("spikes", "most", "unit", "rounds"),
    [
        (lambda u: torch.round(torch.clamp(u, min=0, max=4)), 4, 1.0, True),
        (lambda u: u.clamp(0, 3).round(), 3, 0.5, True),
        (lambda u: torch.clamp(torch.floor(u), 0, 4), 4, 1.0, False),
        (lambda u: u.floor().clip(0, 1), 1, 2.0, False),
    ],
)
def test_a_rounded_membrane_counts_its_thresholds(spikes, most, unit, rounds):
    torch.manual_seed(0)
    graph = fired(capture(Counting(spikes, unit), (6,)))
    node = graph["spikes"]
    assert (float(node.decay), node.reset, node.compare, node.most_spikes) == (0.25, "subtract", ">=", most)
    np.testing.assert_array_equal(node.threshold, np.full(4, unit, np.float32))
    assert any(HALF in note for note in graph.provenance["notes"]) == rounds


class Attends(nn.Module):
    """One step: two counts, the second of what entered the first as well, as residual networks of membranes have it."""

    def __init__(self):
        super().__init__()
        self.fc, self.a, self.b, self.mix, self.out = (
            nn.Linear(6, 8),
            Round(),
            Round(),
            nn.Linear(8, 8),
            nn.Linear(8, 3),
        )
        self.fc.weight.data.mul_(8)

    def forward(self, x):
        x = self.fc(x)
        return self.out(self.b(x + self.mix(self.a(x))))


class Round(nn.Module):
    def forward(self, x):
        return torch.round(torch.clamp(x, 0, 4)) / 4


@pytest.mark.parametrize("whole", [False, True])
def test_counts_of_one_step_and_of_whole_blocks_forget(whole):
    torch.manual_seed(0)
    net = Attends()
    graph = fired(capture(net, (6,), timesteps=3 if whole else 1, forward="sequence" if whole else "sample"))
    assert [node.most_spikes for node in graph.nodes_of(LIF).values()] == [4, 4]
    assert not any(node.decay.any() for node in graph.nodes_of(LIF).values())


def test_a_spike_that_takes_more_than_its_threshold_is_refused():
    torch.manual_seed(0)
    with pytest.raises(SpikeportError, match="takes another amount off"):
        capture(Counting(lambda u: torch.round(torch.clamp(u, 0, 4)), taken=2.0), (6,))
