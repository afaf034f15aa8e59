"""``simulate --stream``: frames from a pipe, what goes out block by block."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest

from spikeport import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.verbs.streaming import arrays, as_npy


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "model.nir"
    weight = np.random.default_rng(0).integers(-16, 24, (4, 6)).astype(np.float32) / 16
    nodes = {
        "in": Input((6,), "events"),
        "fc": Linear(weight),
        "lif": LIF((4,), np.float32(0.5), np.ones(2, np.float32)),
    }
    nir.write(Graph.chain(nodes, 2).with_(after_end="hold"), path)
    return path


def frames(steps):
    return np.random.default_rng(steps).integers(0, 2, (steps, 6)).astype(np.float32)


def test_spikes_come_out_of_a_pipe_before_the_next_frames_go_in(model):
    """A program that answers: each block is read back before the next one is written."""
    words = [sys.executable, "-m", "spikeport", "simulate", str(model), "--stream", "--input", "-", "--out", "-"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        replies, blocks = arrays(child.stdout, "replies"), [frames(3), frames(1), frames(5)]
        out = []
        for block in blocks:
            child.stdin.write(as_npy(block))
            child.stdin.flush()
            out.append(next(replies))
        child.stdin.close()
        said = child.stderr.read().decode()
        assert child.wait() == 0
    assert [len(each) for each in out] == [3, 1, 5]
    whole = simulate(str(model), np.concatenate(blocks)[:, None], frames=True, timesteps=9)
    np.testing.assert_array_equal(np.concatenate(out), whole.trains["lif"].unpack())
    assert "9 steps of 1" in said


def test_an_iterator_of_frames_gives_sums_over_time(model, tmp_path):
    blocks = [frames(70), frames(2)]
    record = simulate(str(model), iter(blocks), out=tmp_path / "out.npys", stream=True)
    whole = simulate(str(model), np.concatenate(blocks)[:, None], frames=True, timesteps=72)
    np.testing.assert_array_equal(record.outputs, whole.outputs)
    assert record.spike_counts["lif"].tolist() == [whole.spike_counts["lif"].sum()]
    np.testing.assert_allclose(record.rates()["lif"], whole.rates()["lif"].mean())
    with (tmp_path / "out.npys").open("rb") as file:
        assert sum(len(part) for part in arrays(file, "")) == 72


@pytest.mark.parametrize(
    ("code", "samples", "options"),
    [
        ("SP544", [], {"target": "lava"}),
        ("SP544", [], {"membranes": True}),
        ("SP544", [], {"limit": 3}),
        ("SP907", [], {}),
        ("SP907", "no/such/pipe", {}),
        ("SP906", [], {"out": "no/such/folder/out"}),
    ],
)
def test_what_a_stream_of_the_command_line_refuses(model, code, samples, options):
    with pytest.raises(SpikeportError, match=code):
        simulate(str(model), samples, stream=True, **options)


def test_what_is_no_array_is_refused_where_it_comes():
    file = io.BytesIO()
    np.save(file, frames(1))
    file.write(b"no array")
    file.seek(0)
    parts = arrays(file, "the pipe")
    assert next(parts).shape == (1, 6)
    with pytest.raises(SpikeportError, match="SP907"):
        next(parts)


@pytest.mark.parametrize("weight", [[1, 1], [0, 1], [[1, 1, 1, 1], [1, 1, 1, 2]]])
def test_where_the_steps_of_a_readout_count_differently_a_stream_says_that_it_does_not_weigh(weight):
    weight = np.array(weight, np.float32)
    graph = Graph.chain({"in": Input((4,), "events"), "out": Readout((4,), weight)}, 2)
    x = np.arange(8, dtype=np.float32).reshape(2, 1, 4)
    record = simulate(graph, iter([x[:1], x[1:]]), stream=True)
    np.testing.assert_array_equal(record.outputs, x.sum(0))
    told = [finding.code for finding in record.findings]
    assert told == (["SP546"] if (weight != 1).any() else [])
    expected = (x * weight.reshape(2, 1, -1)).sum(0)
    np.testing.assert_array_equal(simulate(graph, x, frames=True).outputs, expected)
