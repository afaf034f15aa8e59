"""Values that leave what is followed and come back: a refusal names the line where they left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.tracing import capture
from spikeport.training import PLIF, method

T = 4


class Net(nn.Module):
    """[T, B, 6]: a layer, neurons (by hand or PLIF), a layer; ``before`` and ``after`` see frames and results."""

    def __init__(self, before=lambda x: x, after=lambda y: y, own=False):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.out = nn.Linear(6, 8), nn.Linear(8, 3)
        self.lif, self.before, self.after = PLIF(method("fixed", threshold=0.3), T) if own else None, before, after

    def neurons(self, x):
        if self.lif is not None:
            return self.lif(x)
        v, spikes = 0.0, []
        for step in x:
            v = 0.8 * v + step
            spikes.append((v > 0.3).float())
            v = v * (1 - spikes[-1])
        return torch.stack(spikes)

    def forward(self, x):
        return self.after(self.out(self.neurons(self.fc(self.before(x)))).sum(0))


def by_numpy(x):
    return torch.from_numpy(np.roll(x.detach().numpy(), 1, -1))  # BY NUMPY


def by_list(x):
    return torch.tensor(x.tolist())  # BY LIST


def by_vmap(x):
    return torch.vmap(lambda one: 2 * one)(x)  # BY VMAP


LINES = Path(__file__).read_text(encoding="utf-8").splitlines()
WAYS = {"BY NUMPY": by_numpy, "BY LIST": by_list, "BY VMAP": by_vmap}


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("way", WAYS)
def test_the_line_where_values_left_is_named(way, place, own):
    with pytest.raises(SpikeportError) as caught:
        capture(Net(own=own, **{place: WAYS[way]}), (6,), timesteps=T, forward="sequence")
    line = next(number for number, text in enumerate(LINES, 1) if text.endswith(f"# {way}"))
    (finding,) = caught.value.findings
    assert finding.code == ("SP383" if own and place == "before" else "SP385")
    assert f"test_strayed.py line {line}" in finding.why
    assert ("whole batch" if way == "BY VMAP" else "tensors") in finding.mend


def test_values_for_a_log_are_no_stray():
    graph = capture(Net(after=lambda y: (y.mean().item(), y)[1]), (6,), timesteps=T, forward="sequence")
    assert graph.provenance["verified"]
