"""A long run that dies goes on where it was: nothing computed twice, nothing lost."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Flatten, Graph, Input, Linear, Readout
from spikeport.record import Record
from spikeport.terminal.app import build
from spikeport.verbs.simulate import simulate


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(1)
    nodes = {
        "input": Input((1, 4, 4)),
        "flatten": Flatten(),
        "fc": Linear(rng.normal(size=(8, 16)).astype(np.float32)),
        "lif": LIF((8,), np.float32(0.5), np.float32([0.5, 0.6])),
        "out": Readout((8,), np.full(2, 0.5, np.float32)),
    }
    return Graph.chain(nodes, timesteps=2)


class DiedError(Exception):
    pass


def die_after(samples):
    def progress(done, total):
        if done >= samples:
            raise DiedError

    return progress


def test_a_run_that_died_goes_on_with_the_same_result(network, tmp_path):
    x = np.random.default_rng(2).normal(size=(3000, 1, 4, 4)).astype(np.float32)
    with pytest.raises(DiedError):
        simulate(network, x, out=tmp_path, progress=die_after(2049))
    assert not (tmp_path / "record.npz").exists()
    done = sorted(path.name for path in (tmp_path / "parts-reference").glob("part-*.npz"))
    assert done == ["part-000000.npz", "part-000001.npz"]

    with pytest.raises(SpikeportError) as refused:
        simulate(network, x, out=tmp_path)
    assert refused.value.code == "SP511"

    seen = []
    resumed = simulate(network, x, out=tmp_path, resume=True, progress=lambda done, total: seen.append(done))
    assert seen[-1] == 3000
    whole = simulate(network, x)
    assert np.array_equal(resumed.outputs, whole.outputs)
    assert np.array_equal(resumed.trains["lif"].bits, whole.trains["lif"].bits)
    assert np.array_equal(resumed.spike_counts["lif"], whole.spike_counts["lif"])
    assert np.array_equal(resumed.events["fc"].synops, whole.events["fc"].synops)
    assert np.array_equal(Record.load(tmp_path / "record.npz").outputs, whole.outputs)
    assert not (tmp_path / "parts-reference").exists()


def test_evaluate_keeps_its_parts_and_says_so(tmp_path):
    def evaluate(*more):
        return CliRunner().invoke(
            build(),
            [
                "evaluate",
                "digits-conv",
                "--data",
                "digits",
                "--limit",
                "20",
                "--target",
                "reference",
                "--out",
                str(tmp_path),
                "--json",
                *more,
            ],
        )

    first = evaluate()
    assert first.exit_code == 0, first.output
    assert list((tmp_path / "parts-reference").glob("part-*.npz"))
    again = evaluate()
    assert isinstance(again.exception, SpikeportError)
    assert again.exception.code == "SP511"
    resumed = evaluate("--resume")
    assert json.loads(resumed.stdout)["correct"] == json.loads(first.stdout)["correct"]
