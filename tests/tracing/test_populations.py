"""Several neurons for a class: populations that are cut out of the last layer's spikes, as people write them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.tracing import capture
from traced import fired

T, EACH = 5, 4
READ = {
    "view": lambda s, c: s.view(*s.shape[:-1], c, EACH).sum(-1),
    "mean": lambda s, c: s.unflatten(-1, (c, EACH)).mean(-1),
    "stack": lambda s, c: torch.stack([s[..., i * EACH : (i + 1) * EACH].sum(-1) for i in range(c)], -1),
    "dim 1": lambda s, c: torch.stack([s[:, i * EACH : (i + 1) * EACH].sum(1) for i in range(c)], dim=1),
    "turned": lambda s, c: torch.stack([s[:, i * EACH : (i + 1) * EACH].sum(1) for i in range(c)]).t(),
    "cat": lambda s, c: torch.cat([s[..., i * EACH : (i + 1) * EACH].sum(-1, keepdim=True) for i in range(c)], -1),
    "chunk": lambda s, c: torch.stack([part.mean(-1) for part in s.chunk(c, -1)], -1),
    "weighted": lambda s, c: torch.stack([(1 + i) * part.sum(-1) for i, part in enumerate(s.chunk(c, -1))], -1),
    "in turn": lambda s, c: torch.stack([s[..., i::c].sum(-1) for i in range(c)], -1),
}
OF_A_STEP = ("dim 1", "turned")  # these read [B, C] alone
WHEN = {
    "each step": lambda steps, read: torch.stack([read(s) for s in steps]),
    "each step, then the sum": lambda steps, read: torch.stack([read(s) for s in steps]).sum(0),
    "after the sum": lambda steps, read: read(torch.stack(steps).sum(0)),
    "after adding up": lambda steps, read: read(sum(steps)),
    "all steps": lambda steps, read: read(torch.stack(steps)),
    "all steps, then the mean": lambda steps, read: read(torch.stack(steps)).mean(0),
}


class Net(nn.Module):
    """[T, B, 6]: a layer of neurons that reset to zero, and what is made of the spikes of all steps."""

    def __init__(self, read, features=12):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.read = nn.Linear(6, features), read

    def forward(self, x):
        v, steps = 0.0, []
        for step in x:
            v = 0.8 * v + self.fc(step)
            spikes = (v > 0.3).float()
            v = v * (1 - spikes)
            steps.append(spikes)
        return self.read(steps)


def same(module, whole=False):
    """The graph says what the module says; of all steps it says the mean."""
    graph = fired(capture(module, (6,), timesteps=T, forward="sequence"))
    x = np.random.default_rng(1).normal(0, 1, (T, 19, 6)).astype(np.float32)
    with torch.no_grad():
        theirs = module(torch.as_tensor(x))
    theirs = theirs.mean(0) if whole else theirs
    assert theirs.std() > 0
    np.testing.assert_allclose(simulate(graph, x).outputs.reshape(theirs.shape), theirs, rtol=1e-5, atol=1e-6)
    return graph


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("how", "when"), [(h, w) for h in READ for w in WHEN if h not in OF_A_STEP or not w.startswith("all")]
)
def test_populations_are_followed_however_they_are_cut(how, when, classes):
    read = lambda steps: WHEN[when](steps, lambda s: READ[how](s, classes))  # noqa: E731
    same(Net(read, classes * EACH), whole=when in ("each step", "all steps"))


def test_populations_that_are_cut_and_that_are_grouped_are_the_same_integers():
    x = np.random.default_rng(2).normal(0, 1, (T, 40, 6)).astype(np.float32)
    outputs = []
    for how in ("view", "stack", "cat"):
        graph = capture(Net(lambda s, how=how: READ[how](sum(s), 3)), (6,), timesteps=T, forward="sequence")
        outputs.append(simulate(spikeport.quantize(graph, data=x.swapaxes(0, 1)).graph, x).outputs)
    assert outputs[0].std() > 0
    assert np.array_equal(outputs[0], outputs[1])
    assert np.array_equal(outputs[0], outputs[2])


def test_one_number_is_the_sum_of_all_features():
    same(Net(lambda s: sum(s).sum(-1)))
    same(Net(lambda s: torch.stack(s).sum((0, 2))))


@pytest.mark.parametrize("part", [slice(0, None, 3), slice(2, 11, 4), slice(1, None, 5), slice(7, None, 6)])
def test_features_with_gaps_are_selected(part):
    same(Net(lambda s: torch.stack([step[:, part] for step in s]).sum(0)))


class Headed(Net):
    """What ``finish`` makes of the spikes of all steps and of three layers."""

    def __init__(self, finish):
        super().__init__(lambda steps: steps)
        self.heads, self.finish = nn.ModuleList([nn.Linear(12, 3) for _ in range(3)]), finish

    def forward(self, x):
        return self.finish(super().forward(x), self.heads)


def test_the_mean_of_heads_that_were_stacked_before_the_batch():
    same(Headed(lambda s, heads: torch.stack([head(sum(s)) for head in heads]).mean(0)))


def test_a_constant_that_is_added_to_a_count_before_a_layer():
    """It counts once, not once a step."""
    same(Headed(lambda s, heads: heads[0](sum(s) + 0.5)))


def test_the_highest_of_counts_is_no_sum_of_highest():
    """max(1 + 0, 0 + 1) is 1, and max(1, 0) + max(0, 1) is 2."""
    pool = lambda s: nn.functional.max_pool1d(sum(s)[:, None], 2)[:, 0]  # noqa: E731
    with pytest.raises(SpikeportError, match="takes the highest of sums over time") as caught:
        capture(Net(pool), (6,), timesteps=T, forward="sequence")
    assert caught.value.code == "SP380"
