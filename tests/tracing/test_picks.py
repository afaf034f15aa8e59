"""Features taken with gaps, by lists, masks and tables: proved in float64, and in integers as the plain definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from exported import export
from spikeport.engine import simulate
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.graph import Concat, Linear, Operation, Pool, Repeat, Reshape, Slice
from spikeport.quantisation import quantize
from spikeport.tracing import capture
from spikeport.verbs.load import load_model
from traced import fired

T = 3
ROWS = torch.arange(7) * 6 // 7  #: of six places, as the nearest of seven
ORDER = torch.from_numpy(np.random.default_rng(0).permutation(4 * 36))
MASK = torch.tensor([True, False, True, True])


class Picking(nn.Module):
    """[B, T, 2, 6, 6]: of the spikes [B, 4, 6, 6] of one layer what ``pick`` takes goes to a linear one."""

    def __init__(self, pick):
        super().__init__()
        torch.manual_seed(2)
        self.pick = pick
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.head = nn.Linear(pick(torch.zeros(1, 4, 6, 6)).numel(), 3)

    def forward(self, x):
        v, total = torch.zeros(x.shape[0], 4, 6, 6, dtype=x.dtype), 0.0
        for frame in x.unbind(1):
            v = 0.75 * v + self.conv(frame)
            z = (v > 0.25).float()
            v = v - 0.25 * z
            total = total + self.head(self.pick(z).flatten(1))
        return total


#: what is taken, and what it becomes
PICKS = {
    "gaps": (lambda z: z[:, :, ::2, 1::2], {Pool, Slice}),
    "gaps that do not end": (lambda z: z[:, :, 1::4], {Pool, Slice}),
    "gaps between channels": (lambda z: z[:, ::3], {Slice, Concat}),
    "a list": (lambda z: z[:, [3, 0, 1]], {Slice, Concat}),
    "a tensor, from behind too": (lambda z: z[:, :, torch.tensor([5, 0, -2])], {Slice, Concat}),
    "a mask": (lambda z: z[:, MASK], {Slice, Concat}),
    "index_select": (lambda z: z.index_select(3, torch.tensor([1, 1, 4])), {Slice, Concat}),
    "each twice": (lambda z: z[:, :, torch.arange(12) // 2], {Repeat}),
    "a grid": (lambda z: z[:, :, ROWS[:, None], ROWS], {Slice, Concat}),
    "a grid, before the batch": (lambda z: z.permute(2, 3, 0, 1)[ROWS[:, None], ROWS].permute(2, 3, 0, 1), None),
    "pairs": (lambda z: z[:, :, torch.tensor([0, 2, 5]), torch.tensor([1, 1, 3])], {Reshape, Slice, Concat}),
    "triples": (lambda z: z[:, [0, 2, 3], [0, 2, 5], [1, 1, 3]], {Reshape, Slice, Concat}),
    "another order": (lambda z: z.flatten(1)[:, ORDER], {Reshape, Linear}),
    "nearest, exact": (lambda z: F.interpolate(z, size=(7, 5), mode="nearest-exact"), None),
}


def frames():
    return np.random.default_rng(1).standard_normal((T, 12, 2, 6, 6)).astype(np.float32)


def compared(graph, module):
    with torch.no_grad():
        theirs = module(torch.from_numpy(frames().swapaxes(0, 1).copy())).numpy()
    np.testing.assert_allclose(simulate(graph, frames()).outputs, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", PICKS)
def test_what_is_picked_is_moved(name):
    pick, kinds = PICKS[name]
    module = Picking(pick).eval()
    graph = fired(capture(module, (2, 6, 6), forward="sequence", timesteps=T))
    compared(graph, module)
    made = {type(node) for node in graph.nodes.values() if isinstance(node, Operation | Pool)}
    if kinds is not None:
        assert made == kinds - {Linear}
        assert len(graph.nodes_of(Linear)) == 1 + (Linear in kinds)


class Blocks(Picking):
    """The same over all steps at once: [T, B, ...], and features in front of time, too."""

    def forward(self, x):
        currents = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        z = (currents > 0.25).float().permute(2, 3, 4, 0, 1)
        z = z[[0, 2, 3], [5, 0, 1]].permute(2, 3, 0, 1)
        return self.head(z[..., ::2].flatten(2)).sum(0)


def test_features_of_all_steps_also_where_they_stand_before_time():
    module = Blocks(lambda z: z[:, [0, 2, 3], [5, 0, 1]][..., ::2]).eval()
    graph = fired(capture(module, (2, 6, 6), forward="sequence", timesteps=T))
    with torch.no_grad():
        theirs = module(torch.from_numpy(frames())).numpy()
    np.testing.assert_allclose(simulate(graph, frames()).outputs, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["gaps", "a list", "pairs", "another order"])
def test_the_same_in_integers(name):
    graph = capture(Picking(PICKS[name][0]).eval(), (2, 6, 6), forward="sequence", timesteps=T)
    whole = quantize(graph, frames(), run=simulate, steps=()).graph
    outputs = simulate(whole, frames()).outputs
    assert outputs.any()
    np.testing.assert_array_equal(Engine(whole, kernels="plain").simulate(frames()).outputs, outputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a grid", "pairs", "nearest, exact", "index_select"])
def test_what_torch_export_writes_of_them(name, tmp_path):
    """GatherND, and Gather."""
    pytest.importorskip("onnxscript")
    module = Picking(PICKS[name][0]).eval()
    path = export(module, torch.zeros(1, T, 2, 6, 6), tmp_path / "a.onnx", newer=True)
    compared(load_model(path).graph, module)


@pytest.mark.parametrize(
    "pick",
    [
        lambda z: z[:, [0, 1], :, [2, 3]],  # axes apart, so that torch puts them first
        lambda z: z[:, 0, [1, 2]],  # a number is a list then
        lambda z: z[:, torch.tensor([[0, 1], [1, 2]])],  # a table along one axis
    ],
)
def test_lists_of_another_kind_are_refused(pick):
    with pytest.raises(SpikeportError, match="selects features by lists that are no places along one axis") as caught:
        capture(Picking(pick).eval(), (2, 6, 6), forward="sequence", timesteps=T)
    assert {finding.code for finding in caught.value.findings} <= {"SP380", "SP386"}
