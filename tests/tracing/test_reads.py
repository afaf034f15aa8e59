"""Values that leave torch for Python, and modules that do not do the same at every call."""

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.tracing import capture
from spikeport.tracing.observe import observe


class Loop(nn.Module):
    """[B, 6] at each of 3 steps: u = 0.5 u + x, fires above 1, resets to zero; ``looks`` sees the spikes of each."""

    def __init__(self, looks=lambda module, spikes: False):
        super().__init__()
        self.looks, self.fc, self.out, self.seen, self.threshold = looks, nn.Linear(6, 8), nn.Linear(8, 3), [], 1.0
        self.fc.weight.data.mul_(4)

    def forward(self, x):
        u, total = x.new_zeros(len(x), 8), 0.0
        for _ in range(3):
            u = 0.5 * u + self.fc(x)
            spikes = (u > self.threshold).to(x.dtype)
            u = u * (1 - spikes)
            total = total + self.out(spikes)
            if self.looks(self, spikes):
                break
        return total


BRANCHES = {
    "a number": lambda m, s: s.mean().item() / 2 > 100,
    "numbers of a list": lambda m, s: max(s.sum(1).tolist()) > 1e9,
    "their sum": lambda m, s: sum(row.item() for row in s.sum(1)) > 1e9,
    "a truth value": lambda m, s: (s > 7).any().item(),
    "how many places": lambda m, s: s.nonzero().shape[0] > 10**6,
    "how many are chosen": lambda m, s: s[s > 0].numel() > 10**6,
    "a length": lambda m, s: range(int(1e6))[s.sum().int()] > 10**5,
}


@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_a_branch_that_no_probe_takes_is_refused(branch):
    torch.manual_seed(0)
    with pytest.raises(SpikeportError, match="branches on") as caught:
        capture(Loop(branch), (6,), forward="sample")
    assert caught.value.code == "SP381"


def test_what_leaves_torch_is_noted_and_what_is_logged_is_not():
    torch.manual_seed(0)
    logged = capture(Loop(lambda m, s: m.seen.append(f"{s.mean().item():.2f}")), (6,))
    assert not any("leave torch" in note for note in logged.provenance["notes"])
    array = capture(Loop(lambda m, s: s.detach().numpy().sum() > 1e9), (6,))
    assert any("leave torch" in note and "test_reads.py" in note for note in array.provenance["notes"])


def test_a_module_that_counts_its_calls_is_refused():
    def counted(module, spikes):
        module.threshold += 0.5

    torch.manual_seed(0)
    with pytest.raises(SpikeportError, match="second call") as caught:
        capture(Loop(counted), (6,))
    assert caught.value.code == "SP331"


@pytest.mark.parametrize("resets", [True, False])
def test_a_state_that_nothing_empties_is_noted(resets):
    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.out, self.u = nn.Linear(6, 8), nn.Linear(8, 3), 0.0
            self.fc.weight.data.mul_(4)

        def forward(self, x):
            self.u = 0.5 * self.u + self.fc(x)
            spikes = (self.u > 1).to(x.dtype)
            self.u = self.u * (1 - spikes)
            return self.out(spikes)

    if resets:
        Keeping.reset = lambda self: setattr(self, "u", 0.0)
    torch.manual_seed(0)
    net = Keeping()
    graph = capture(net, (6,), timesteps=3, forward="step")
    assert any("keeps u from one call" in note for note in graph.provenance.get("notes", [])) != resets
    one = np.ones((1, 6), np.float32)  # a sample alone, whose result [1, 3] is no pair of a result and a state
    assert observe(net, graph, one).outputs.shape == (1, 3)


class Logged(nn.Module):
    """Frames [B, T, ...] whose spikes are logged as arrays, and a softmax of each step, which no graph holds."""

    def __init__(self):
        super().__init__()
        self.first, self.out, self.log = nn.Linear(6, 5), nn.Linear(5, 2), []

    def forward(self, x):
        v, total = torch.zeros(len(x), 5), torch.zeros(len(x), 2)
        for t in range(x.shape[1]):
            v = 0.9 * v + self.first(x[:, t, :])
            spikes = (v > 0.5).float()
            v = v * (1 - spikes)
            self.log.append(spikes.data.cpu().numpy())
            if t > 2:  # as Yin et al. leave out the first steps; with time as the first axis there are no more
                total = total + torch.softmax(self.out(spikes), 1)
        return total


def test_what_is_logged_is_not_taken_for_the_cause_of_another_refusal():
    with pytest.raises(SpikeportError, match="softmax") as caught:
        capture(Logged(), (6,), timesteps=5)
    assert "numpy" not in str(caught.value)
