"""A run in parts equals the run at once, goes on where it was ended, and mixes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from finished_parts import finished
from lava_networks import resnet19
from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.engine.resume import PART, PART_SECONDS, part_size, run_in_parts
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Readout
from spikeport.target import Request, expected_seconds, target

ALL = Request(trains=True, membranes=True, events=True)
SEED = 6  # events as input, so that the samples lie on the second axis


def counted(calls):
    def run(graph, samples, request):
        calls.append(samples.shape)
        return simulate(graph, samples, request)

    return run


def same(a, b, graph):
    np.testing.assert_array_equal(a.outputs, b.outputs)
    for name in graph.nodes_of(LIF):
        np.testing.assert_array_equal(a.trains[name].bits, b.trains[name].bits)
        np.testing.assert_array_equal(a.spike_counts[name], b.spike_counts[name])
        np.testing.assert_array_equal(a.events[name].active, b.events[name].active)


@pytest.mark.parametrize("seed", [SEED, 3])
def test_parts_join_to_the_run_at_once(tmp_path, seed):
    graph, samples = random_graph(seed, integers=True, batch=7)
    seen = []
    request = Request(trains=True, membranes=True, events=True, progress=lambda done, total: seen.append((done, total)))
    same(run_in_parts(simulate, graph, samples, tmp_path, request, size=3), simulate(graph, samples, ALL), graph)
    assert seen[-1] == (7, 7)
    assert all(total == 7 for _, total in seen)


def test_a_second_run_computes_only_what_is_missing_or_damaged(tmp_path):
    graph, samples = random_graph(SEED, integers=True, batch=7)
    calls = []
    whole = run_in_parts(counted(calls), graph, samples, tmp_path, ALL, size=2)
    assert len(calls) == 4
    (tmp_path / "part-000001.npz").unlink()
    (tmp_path / "part-000002.npz").write_bytes((tmp_path / "part-000000.npz").read_bytes()[:100])
    same(run_in_parts(counted(calls), graph, samples, tmp_path, ALL, size=2, resume=True), whole, graph)
    assert len(calls) == 6


def test_an_interrupt_leaves_what_is_done_readable(tmp_path):
    graph, samples = random_graph(SEED, integers=True, batch=7)
    calls = []

    def run(graph, samples, request):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counted(calls)(graph, samples, request)

    with pytest.raises(KeyboardInterrupt, match=r"^4 of 7 samples finished in .*; go on with --resume$"):
        run_in_parts(run, graph, samples, tmp_path, ALL, size=2)
    record, total = finished(tmp_path)
    assert (record.samples, total) == (4, 7)
    np.testing.assert_array_equal(record.outputs, simulate(graph, samples).outputs[:4])


def test_another_run_is_not_continued(tmp_path):
    graph, samples = random_graph(SEED, integers=True, batch=4)
    run_in_parts(simulate, graph, samples, tmp_path, size=2)
    with pytest.raises(SpikeportError, match="SP511"):
        run_in_parts(simulate, graph, samples, tmp_path, size=2)
    other = samples.copy()
    other.flat[0] = 1 - other.flat[0] if other.max() <= 1 else other.flat[1]
    layer, node = next(iter(graph.nodes_of(LIF).items()))
    moved = graph.replace({layer: node.with_(threshold=np.where(node.threshold > 0, 0, 1))})
    for what, arguments in {
        "asked": (graph, samples, tmp_path, ALL),
        "input": (graph, other, tmp_path),
        "graph": (moved, samples, tmp_path),
    }.items():
        with pytest.raises(SpikeportError, match=rf"SP510.*{what}"):
            run_in_parts(simulate, *arguments, size=2, resume=True)


def test_parts_keep_the_size_that_they_were_begun_with(tmp_path):
    """So that a later version, which may choose another size, goes on with what is there."""
    graph, samples = random_graph(SEED, integers=True, batch=7)
    whole, calls = run_in_parts(simulate, graph, samples, tmp_path, ALL, size=2), []
    (tmp_path / "part-000003.npz").unlink()
    same(run_in_parts(counted(calls), graph, samples, tmp_path, ALL, size=3, resume=True), whole, graph)
    assert len(calls) == 1


@pytest.mark.parametrize(("seconds", "size"), [(1e-9, PART), (0.01, PART), (0.5, 120), (29.0, 2), (31.0, 1), (1e5, 1)])
def test_a_part_takes_a_minute_at_most_or_is_one_sample(seconds, size):
    assert part_size(seconds) == size


def test_the_time_is_expected_from_products_and_steps():
    """Two convolutions of 3 x 3 on 4 x 4 places, 2 -> 3 and 3 -> 3 channels, and 48 -> 5: (54 + 81) * 16 + 240."""
    conv = Conv(np.ones((3, 2, 3, 3), np.float32), padding=(1, 1))
    nodes = {
        "input": Input((2, 4, 4)),
        "a": conv,
        "b": conv.with_(weight=np.ones((3, 3, 3, 3), np.float32)),
        "flat": Flatten(),
        "fc": Linear(np.ones((5, 48), np.float32)),
        "out": Readout((5,), np.ones(7, np.float32)),
    }
    assert expected_seconds(Graph.chain(nodes, 7), rate=1.0) == 7 * ((54 + 81) * 16 + 240)


def test_lava_keeps_smaller_parts_than_the_engine():
    """A sample of ResNet-19 at an eighth of its width takes Lava seconds and the engine some milliseconds."""
    graph, _ = resnet19()
    lava, engine = (part_size(target(name).seconds_a_sample(graph)) for name in ("lava", "integer"))
    assert lava * target("lava").seconds_a_sample(graph) <= PART_SECONDS
    assert 1 <= lava < 60 < engine


def test_a_killed_run_goes_on_without_losing_or_repeating_a_sample(tmp_path):
    code = f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from random_graphs import random_graph
        from spikeport.engine import simulate
        from spikeport.engine.resume import run_in_parts

        graph, samples = random_graph({SEED}, integers=True, batch=40)
        calls = iter(range(20))

        def waits(graph, samples, request):
            if next(calls) == 3:
                time.sleep(600)  # to be killed
            return simulate(graph, samples, request)

        run_in_parts(waits, graph, samples, {str(tmp_path)!r}, size=2)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        while not (tmp_path / "part-000002.npz").exists():  # the suite's time limit ends what never comes
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    done = len(list(tmp_path.glob("part-*.npz")))
    assert done == 3
    graph, samples = random_graph(SEED, integers=True, batch=40)
    calls = []
    record = run_in_parts(counted(calls), graph, samples, tmp_path, size=2, resume=True)
    assert len(calls) == 20 - done
    np.testing.assert_array_equal(record.outputs, simulate(graph, samples).outputs)
