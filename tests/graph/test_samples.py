"""Samples know which of their axes are time and which counts them."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Graph, Input, Samples

STEPS, NUMBER, SHAPE = 4, 5, (2, 3)
DIRECT = np.arange(NUMBER * 6, dtype=np.float32).reshape(NUMBER, *SHAPE)
EVENTS = np.stack([DIRECT + 100 * t for t in range(STEPS)])  #: frame t of a sample is its direct frame, and 100 t


def graph(coding):
    nodes = {"input": Input(SHAPE, coding), "lif": LIF(SHAPE, np.float32(0.5), np.ones(STEPS, np.float32))}
    return Graph.chain(nodes, timesteps=STEPS)


@pytest.mark.parametrize(("coding", "array", "frames"), [("direct", DIRECT, 1), ("events", EVENTS, STEPS)])
def test_a_sample_keeps_its_frames_however_it_is_chosen(coding, array, frames):
    samples = Samples.of(graph(coding), array)
    assert (samples.number, samples.shape, samples.frames.shape) == (NUMBER, SHAPE, (frames, NUMBER, *SHAPE))

    def numbers(chosen):
        """Which samples these are, told by their values; at each step the same ones."""
        each = {tuple((chosen.frames[t, :, 0, 0] - 100 * t) // 6) for t in range(frames)}
        assert len(each) == 1
        return list(each.pop())

    assert numbers(samples.cut(1, 3)) == [1, 2]
    assert numbers(samples.cut(3, 99)) == [3, 4]
    assert numbers(samples.first(2)) == [0, 1]
    assert numbers(samples.first(None)) == [0, 1, 2, 3, 4]
    assert numbers(samples.take([4, 0, 4])) == [4, 0, 4]


def test_a_cut_is_a_view_and_a_choice_a_copy():
    samples = Samples(EVENTS, "events")
    assert np.shares_memory(samples.cut(1, 3).array, EVENTS)
    assert not np.shares_memory(samples.take([1, 2]).array, EVENTS)


@pytest.mark.parametrize(
    ("coding", "array"),
    [
        ("direct", EVENTS),
        ("direct", DIRECT[0]),
        ("direct", DIRECT[:, :, :2]),
        ("direct", np.float32(1)),
        ("events", DIRECT),
        ("events", EVENTS[:3]),
        ("events", EVENTS.swapaxes(0, 1)),
        ("events", np.full_like(EVENTS, np.inf)),
        ("direct", np.full_like(DIRECT, np.nan)),
    ],
)
def test_what_a_graph_does_not_take_is_refused(coding, array):
    with pytest.raises(SpikeportError) as caught:
        Samples.of(graph(coding), array)
    assert caught.value.code == "SP502"


def test_samples_without_time_are_told_how_a_network_takes_them():
    """A file of another tool's NIR takes a frame each step unless it is told otherwise."""
    with pytest.raises(SpikeportError, match=r"shape \[5, 2, 3\], the model takes \[T=4, B, 2, 3\]") as caught:
        Samples.of(graph("events"), DIRECT)
    assert "--nir coding=direct" in caught.value.findings[0].mend
    for coding, array in (("events", EVENTS[:3]), ("direct", EVENTS)):
        with pytest.raises(SpikeportError) as caught:
            Samples.of(graph(coding), array)
        assert "coding=direct" not in caught.value.findings[0].mend
