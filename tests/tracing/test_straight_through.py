"""Spikes of straight-through estimators: what a smooth function adds is taken away again."""

import pytest
import torch

from published import StraightThrough
from spikeport.findings import SpikeportError
from spikeport.tracing import capture
from traced import fired


@pytest.mark.parametrize(
    "joined",
    [
        lambda hard, smooth: (hard - smooth).detach() + smooth,
        lambda hard, smooth: smooth + (hard - smooth).detach(),
        lambda hard, smooth: hard.detach() + 0.5 * smooth - 0.5 * smooth.detach(),
    ],
)
def test_what_a_smooth_function_adds_and_takes_away_leaves_the_spikes(joined):
    torch.manual_seed(0)
    graph = fired(capture(StraightThrough(joined), (6,)))
    node = graph["spikes"]
    assert (float(node.decay), node.reset, node.compare) == (0.5, "zero", ">")
    assert (node.threshold == 1).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 2.0])
def test_what_is_not_taken_away_is_refused_with_its_reason(share):
    torch.manual_seed(0)
    with pytest.raises(SpikeportError, match="tanh: is an analog nonlinearity"):
        capture(StraightThrough(lambda hard, smooth: (hard - share * smooth).detach() + smooth), (6,))
