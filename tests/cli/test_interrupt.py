"""Ctrl-C and kill -9 of the command line midway: what is finished can be read, and --resume goes on after it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from finished_parts import finished
from spikeport.formats import nir
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Readout
from spikeport.record import Record
from spikeport.verbs.simulate import simulate

SAMPLES, PART = 4000, 1024
# a shell ignores SIGINT for what it starts with &, and so would the child
MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from spikeport.terminal.app import main; main()"
)
# two parts are saved; before the third it says so, and waits to be ended
HELD = f"""
import pathlib, time
from spikeport.record import Record
save, parts = Record.save, []
def held(record, path):
    parts.append(path)
    if len(parts) == 3:
        pathlib.Path(path).parents[1].joinpath("held").touch()
        time.sleep(600)
    return save(record, path)
Record.save = held
{MAIN}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model file, an input file, and the record of the whole run."""
    place, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(3)
    nodes = {
        "input": Input((16,), low=0, high=15),
        "fc": Linear(rng.integers(-20, 30, (8, 16)).astype(np.int8)),
        "lif": LIF((8,), np.asarray(3000), np.asarray([300, 500, 400]), compare=">"),
        "out": Readout((8,), np.ones(3, np.int32)),
    }
    graph = Graph.chain(nodes, 3, arithmetic=Loihi(LOIHI2))
    nir.write(graph, place / "model.nir")
    np.save(place / "x.npy", rng.integers(0, 16, (SAMPLES, 16)).astype(np.float32))
    return place, simulate(place / "model.nir", place / "x.npy")


def started(place, out, *more, main=MAIN):
    words = ["simulate", str(place / "model.nir"), "--input", str(place / "x.npy"), "--out", str(out), *more]
    return subprocess.Popen(
        [sys.executable, "-c", main, *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def ended(place, out, kind):
    """Start a run, end it after its second part; its exit status and what it said."""
    child = started(place, out, main=HELD)
    try:
        while not (out / "held").exists():  # the suite's time limit ends what never comes
            assert child.poll() is None, child.communicate()
            time.sleep(0.02)
    finally:
        child.send_signal(kind)
        _, said = child.communicate()
    return child.returncode, said


def same(record, whole):
    np.testing.assert_array_equal(record.outputs, whole.outputs)
    np.testing.assert_array_equal(record.trains["lif"].bits, whole.trains["lif"].bits)
    np.testing.assert_array_equal(record.spike_counts["lif"], whole.spike_counts["lif"])
    np.testing.assert_array_equal(record.events["fc"].synops, whole.events["fc"].synops)


def test_ctrl_c_leaves_what_is_finished_and_says_how_to_go_on(run, tmp_path):
    place, whole = run
    status, said = ended(place, tmp_path, signal.SIGINT)
    parts = tmp_path / "parts-integer"
    record, total = finished(parts)
    assert status == 130
    assert total == SAMPLES
    assert record.samples == 2 * PART
    assert f"{record.samples} of {SAMPLES} samples finished in {parts}; go on with --resume" in said
    assert "Traceback" not in said
    np.testing.assert_array_equal(record.outputs, whole.outputs[: record.samples])
    np.testing.assert_array_equal(record.trains["lif"].bits, whole.trains["lif"].bits[:, : record.samples])


def test_a_killed_run_goes_on_with_the_same_record_and_computes_nothing_twice(run, tmp_path):
    place, whole = run
    first, marked = tmp_path / "first", tmp_path / "marked"
    status, _ = ended(place, first, signal.SIGKILL)
    assert status == -signal.SIGKILL
    done, _ = finished(first / "parts-integer")
    assert done.samples == 2 * PART
    shutil.copytree(first, marked)

    refused = started(place, first)
    assert "SP511" in refused.communicate()[1]
    child = started(place, first, "--resume")
    assert (child.communicate(), child.returncode)[1] == 0
    same(Record.load(first / "record.npz"), whole)

    for number in range(done.samples // PART):  # a mark that only a part that was there before can have
        path = marked / "parts-integer" / f"part-{number:06d}.npz"
        record = Record.load(path)
        replace(record, outputs=record.outputs + 10**9).save(path)
    child = started(place, marked, "--resume")
    assert (child.communicate(), child.returncode)[1] == 0
    outputs = Record.load(marked / "record.npz").outputs
    np.testing.assert_array_equal(outputs[: done.samples], whole.outputs[: done.samples] + 10**9)
    np.testing.assert_array_equal(outputs[done.samples :], whole.outputs[done.samples :])
