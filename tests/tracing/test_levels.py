"""Several spikes a step, written as a membrane that is clamped and rounded (SpikeYOLO, E-SpikeFormer)."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from published import Counting
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF
from spikeport.target import Request
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


OTHERWISE = {  # how it is written: what it counts at most, the distance of its thresholds, what is taken off for one
    "divided once it is clamped": (lambda u: torch.floor(torch.clamp(u, 0, 2) / 0.5), 4, 0.5, 0.5),
    "levels of a part of one": (lambda u: torch.round(torch.clamp(u, 0, 1) * 4) / 4, 4, 0.25, 1.0),
    "half up, by floor": (lambda u: torch.floor(torch.clamp(u, 0, 3) + 0.5), 3, 1.0, 1.0),
    "an end between two levels": (lambda u: torch.floor(torch.clamp(u, 0, 3.75) + 0.25), 4, 1.0, 1.0),
    "hardtanh": (lambda u: F.hardtanh(u, 0, 3).floor(), 3, 1.0, 1.0),
    "relu6": (lambda u: F.relu6(2 * u).round(), 6, 0.5, 0.5),
    "cut off": (lambda u: torch.clamp(u / 0.5, 0, 4).int().float(), 4, 0.5, 0.5),
    "trunc": (lambda u: torch.trunc(torch.clamp(u, 0, 2)), 2, 1.0, 1.0),
    "divided down": (lambda u: torch.div(u, 0.5, rounding_mode="floor").clamp(0, 3), 3, 0.5, 0.5),
    "divided down, by //": (lambda u: (u // 0.5).clamp(0, 3), 3, 0.5, 0.5),
}
ROUNDED = ("levels of a part of one", "relu6")  #: by torch.round, to the even number at a half


@pytest.mark.parametrize("name", OTHERWISE)
def test_other_ways_to_write_a_count(name):
    spikes, most, spacing, taken = OTHERWISE[name]
    torch.manual_seed(0)
    module = Counting(spikes, taken=taken).eval()
    graph = fired(capture(module, (6,)))
    node = graph["spikes"]
    assert (float(node.decay), node.reset, node.compare, node.most_spikes) == (0.25, "subtract", ">=", most)
    np.testing.assert_allclose(node.threshold, np.full(4, spacing), rtol=1e-6)
    assert any(HALF in note for note in graph.provenance.get("notes", ())) == (name in ROUNDED)
    x = np.random.default_rng(1).standard_normal((50, 6)).astype(np.float32)
    record = simulate(graph, x, Request(trains=True))
    assert record.trains["spikes"].unpack().max() == most
    with torch.no_grad():
        np.testing.assert_allclose(record.outputs, module(torch.from_numpy(x)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "spikes",
    [
        lambda u: torch.relu(torch.floor(u)),  # without an end
        lambda u: torch.round(torch.clamp(u, -2, 2)),  # of two signs
        lambda u: torch.floor(torch.clamp(u, 0, 3) + 1.5),  # fires of itself
        lambda u: torch.floor(-torch.clamp(u, 0, 3)),
        lambda u: torch.div(u, 0.5, rounding_mode="trunc"),
    ],
)
def test_what_counts_no_thresholds_is_refused_and_says_how_a_count_is_written(spikes):
    torch.manual_seed(0)
    with pytest.raises(SpikeportError, match=r"round\(clamp\(u, 0, n\)\)") as caught:
        capture(Counting(spikes), (6,))
    assert {finding.code for finding in caught.value.findings} <= {"SP380", "SP384", "SP385"}


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
