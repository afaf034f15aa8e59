"""Counts do not run over, parts lie on their grid, and the record of several runs is the sum of theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeport import threads
from spikeport.costs import derive
from spikeport.engine import simulate
from spikeport.engine.kept import bits_there
from spikeport.engine.resume import run_in_parts
from spikeport.graph import LIF, LOIHI2, Conv, Graph, Input, Linear, Loihi, Pool, Readout
from spikeport.record import Record, join
from spikeport.spike_train import Train
from spikeport.target import Request

ALL = Request(trains=True, events=True)


@pytest.mark.parametrize("size", [*range(1, 10), 16, 17])
def test_spikes_that_a_device_packs_are_packed_alike(size):
    spikes = np.random.default_rng(size).random((3, 2, size)) < 0.5
    np.testing.assert_array_equal(bits_there(torch.from_numpy(spikes)).numpy(), Train.pack(spikes).bits)


def always(steps, integers, *, readout, coding="direct"):
    """Neurons that fire at every step, into a synapse of one weight each: all counts are known."""
    kind = np.int64 if integers else np.float32
    options = {"compare": ">", "gain": np.asarray(1, kind), "reset_value": np.asarray(0, kind)} if integers else {}
    decay = np.asarray(4096 if integers else 0, kind)
    threshold = np.ones(steps, kind)

    def neurons(size):
        return LIF((size,), decay, threshold, bias=np.asarray(0, kind), **options)

    weight = np.full((3, 2), 1 if integers else 2, np.int8 if integers else np.float32)
    nodes = {
        "in": Input((2,), coding, **({"low": 0, "high": 8} if integers else {})),
        "a": Linear(np.full((2, 2), 8, np.int8 if integers else np.float32)),
        "lif": neurons(2),
        "b": Linear(weight),
        "last": neurons(3),
    }
    if readout:
        nodes |= {
            "out": Readout(
                (3,),
                np.ones(steps, np.int32 if integers else np.float32),
                **({"bias": np.asarray(0), "unit": np.float64(1)} if integers else {}),
            )
        }
    return Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2)) if integers else Graph.chain(nodes, steps)


@pytest.mark.parametrize("steps", [255, 256, 257, 300])
@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("kernels", ["plain", "fast"])
@pytest.mark.parametrize("coding", ["direct", "events"])
def test_neurons_that_always_fire_are_counted_at_every_step(steps, integers, coding, kernels):
    """Outputs are spike counts: ``steps`` of them, also where a byte holds no more than 255."""
    graph = always(steps, integers, readout=False, coding=coding)
    samples = np.ones((2, 2) if coding == "direct" else (steps, 2, 2), np.float32)
    record = simulate(graph, samples, ALL, kernels=kernels)
    assert (record.outputs == steps).all()
    assert record.spike_counts["lif"].tolist() == [2 * 2] * steps
    assert record.trains["last"].unpack().all()
    assert record.events["b"].synops.tolist() == [2 * 2 * 3] * steps
    assert record.events["last"].spikes.sum() == 2 * 3 * steps


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("kernels", ["plain", "fast"])
@pytest.mark.parametrize("batch", [255, 256, 300])
def test_more_samples_than_a_byte_counts(integers, batch, kernels):
    graph = always(3, integers, readout=False)
    samples = np.ones((batch, 2), np.float32)
    record = simulate(graph, samples, ALL, kernels=kernels)
    assert record.spike_counts["lif"].tolist() == [2 * batch] * 3
    assert record.events["b"].inputs.tolist() == [2 * batch] * 3
    assert record.events["b"].fanout.tolist() == [2 * 3 * batch] * 3
    assert record.events["lif"].active.tolist() == [2 * batch] * 3
    assert record.first(batch - 1).spike_counts["lif"].tolist() == [2 * (batch - 1)] * 3
    events = derive(graph, samples, replace(record, events={})).events
    assert events["b"].fanout.tolist() == [6 * batch] * 3
    assert events["lif"].spikes.tolist() == events["lif"].active.tolist() == [2 * batch] * 3


def images(window, kernel):
    """Three maps of 18 x 18 spikes that always come, added up in windows, into a convolution: all is known."""
    ones = {"compare": ">", "gain": np.int64(1), "reset_value": np.int64(0)}
    steps, shape, side = 257, (3, 18, 18), 19 - window
    always = LIF(shape, np.int64(4096), np.zeros(steps, np.int64), bias=np.int64(64), **ones)
    never = LIF((2, side, side), np.int64(4096), np.full(steps, 100_000), bias=np.int64(0), **ones)
    nodes = {
        "in": Input(shape, "events", low=0, high=1),
        "first": always,
        "pool": Pool("sum", (window, window), (1, 1), (0, 0)),
        "conv": Conv(np.ones((2, 3, kernel, kernel), np.int8), padding=(kernel // 2,) * 2),
        "last": never,
    }
    graph = Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2))
    return graph, np.zeros((steps, 2, *shape), np.float32)


@pytest.mark.parametrize("kernels", ["plain", "fast"])
def test_many_places_of_one_kind(kernels):
    """A map meets 9 taps inside, 6 at its four edges, 4 in the corners; three maps, two outputs, two samples."""
    graph, samples = images(1, 3)
    record = simulate(graph, samples, ALL, kernels=kernels)
    taps = 16 * 16 * 9 + 4 * 16 * 6 + 4 * 4
    assert record.events["conv"].synops.tolist() == [taps * 3 * 2 * 2] * 257
    assert record.events["conv"].graded.sum() == 0


@pytest.mark.parametrize("kernels", ["plain", "fast"])
def test_many_graded_places_of_one_kind(kernels):
    """Each of 17 x 17 windows of four spikes meets one tap: three maps, two outputs, two samples."""
    graph, samples = images(2, 1)
    events = simulate(graph, samples, ALL, kernels=kernels).events["conv"]
    each = 17 * 17 * 3 * 2
    assert events.inputs.tolist() == [each] * 257
    assert events.payload.tolist() == [4 * each] * 257
    assert events.graded.tolist() == events.fanout.tolist() == [2 * each] * 257
    assert events.unary.tolist() == [8 * each] * 257


@pytest.mark.parametrize(("count", "step", "cores"), [(1000, 64, 3), (1000, 1, 3), (129, 64, 4), (64 * 7 + 5, 64, 5)])
def test_threads_work_on_parts_of_a_grid_that_cover_everything_once(monkeypatch, count, step, cores):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(threads, "SMALL", 0)
    parts = threads.over_parts(lambda a, b: (a, b), count, step=step)
    assert all(start % step == 0 for start, _ in parts)
    assert [start for start, _ in parts] == [0, *(stop for _, stop in parts[:-1])]
    assert parts[-1][1] == count
    assert 1 < len(parts) <= cores
    assert max(b - a for a, b in parts) < count / len(parts) + 2 * step


def test_parts_of_a_long_run_lie_on_a_grid_of_their_size(tmp_path):
    """Of 11 samples in parts of 4: 0-3, 4-7 and 8-10, each in the file of its number."""
    graph = always(2, integers=False, readout=False)
    samples = np.arange(22, dtype=np.float32).reshape(11, 2)
    seen = []

    def run(graph, part, request):
        seen.append(part[:, 0].tolist())
        return simulate(graph, part, request)

    record = run_in_parts(run, graph, samples, tmp_path, size=4)
    assert record.samples == 11
    assert seen == [[0.0, 2.0, 4.0, 6.0], [8.0, 10.0, 12.0, 14.0], [16.0, 18.0, 20.0]]
    for number, values in enumerate(seen):
        part = Record.load(tmp_path / f"part-{number:06d}.npz")
        whole = simulate(graph, samples[4 * number : 4 * number + len(values)])
        np.testing.assert_array_equal(part.outputs, whole.outputs)
    assert len(list(tmp_path.glob("part-*.npz"))) == 3


def test_joined_runs_took_as_long_as_all_of_them():
    first = simulate(always(2, integers=False, readout=True), np.ones((1, 2), np.float32))
    parts = [replace(first, seconds=seconds) for seconds in (1.5, 2.25, 4.0)]
    assert join(parts).seconds == 7.75
    assert join(parts[:1]).seconds == 1.5
