"""What somebody is told who calls capture with a slip, or whose module rounds or drops values on its own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.tracing import capture

T = 4


class Net(nn.Module):
    """[B, 6], the same at each of T steps; ``before`` is done to what enters the neurons."""

    def __init__(self, before=lambda a: a):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.out, self.before = nn.Linear(6, 8), nn.Linear(8, 3), before

    def forward(self, x):
        u, total = 0.0, 0.0
        for _ in range(T):
            u = 0.9 * u + self.before(self.fc(x))
            z = (u > 0.3).to(x.dtype)
            u = u * (1 - z)
            total = total + self.out(z)
        return total


class Auto(Net):
    def __init__(self, dtype=torch.bfloat16, enabled=True):
        super().__init__()
        self.cast = {"device_type": "cpu", "dtype": dtype, "enabled": enabled}

    def forward(self, x):
        with torch.autocast(**self.cast):
            return super().forward(x).to(x.dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_module_under_autocast_is_captured_without_it_and_that_is_said(dtype):
    graph = capture(Auto(dtype), (6,))
    (note,) = [note for note in graph.provenance["notes"] if "autocast" in note]
    assert str(dtype).removeprefix("torch.") in note
    x = torch.randn(500, 6)
    assert not torch.equal(Auto(dtype)(x), Net()(x))  # the rounding that the note speaks of
    assert graph == capture(Net(), (6,)).with_(provenance=graph.provenance)


def test_an_autocast_that_is_switched_off_rounds_nothing():
    assert not any("autocast" in note for note in capture(Auto(enabled=False), (6,)).provenance["notes"])


def test_an_autocast_around_capture_is_said():
    with torch.autocast("cpu", torch.bfloat16):
        graph = capture(Net(), (6,))
    assert any("autocast, in bfloat16" in note for note in graph.provenance["notes"])


def test_following_leaves_autocast_as_it_was():
    before = torch.autocast.__enter__
    capture(Auto(), (6,))
    assert torch.autocast.__enter__ is before


def test_dropout_that_also_drops_in_evaluation_says_how_to_end_that():
    with pytest.raises(SpikeportError, match=r"in evaluation too(.|\n)*training=self\.training") as caught:
        capture(Net(lambda a: F.dropout(a, 0.5)).eval(), (6,))
    assert caught.value.code == "SP380"
    capture(Net(lambda a: F.dropout(a, 0.5, training=False)).eval(), (6,))


@pytest.mark.parametrize("shape", [6, 6.0, None, "6"])
def test_an_input_shape_that_is_no_shape_is_a_finding(shape):
    with pytest.raises(SpikeportError, match="not the shape of one sample") as caught:
        capture(Net(), shape)
    assert caught.value.code == "SP386"
