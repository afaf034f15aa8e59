"""What simulate and evaluate keep and how much memory they take, as their options say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from spikeport.comparison import parity
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.record import Record
from spikeport.terminal.app import build
from spikeport.verbs.compare import compare
from spikeport.verbs.parameters import read_size
from spikeport.verbs.simulate import simulate


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(1)
    nodes = {"input": Input((6,))}
    for index in range(3):
        nodes[f"fc{index}"] = Linear((rng.integers(-16, 24, (6, 6)) / 16).astype(np.float32))
        nodes[f"lif{index}"] = LIF((6,), np.float32(0.5), np.float32([0.5, 0.75]))
    nodes["out"] = Readout((6,), np.float32([0.5, 0.5]))
    graph = Graph.chain(nodes, timesteps=2)
    nir.write(graph, place / "model.nir")
    np.save(place / "x.npy", (rng.integers(0, 17, (40, 6)) / 16).astype(np.float32))
    return place, graph, simulate(graph, np.load(place / "x.npy"))


def run(files, out, *more):
    words = ["simulate", str(files[0] / "model.nir"), "--input", str(files[0] / "x.npy"), "--out", str(out), *more]
    done = CliRunner().invoke(build(), words)
    assert done.exit_code == 0, done.output
    return Record.load(out / "record.npz"), done


@pytest.mark.parametrize(
    ("options", "trains", "membranes", "events"),
    [
        ((), 3, 0, 6),
        (("--no-trains",), 0, 0, 6),
        (("--no-trains", "--no-events"), 0, 0, 0),
        (("--trains-of", "lif1"), 1, 0, 6),
        (("--trains-of", "lif1", "--trains-of", "lif2", "--membranes-of", "lif0", "--no-events"), 2, 1, 0),
        (("--membranes", "--memory", "1KB"), 3, 3, 6),
    ],
)
def test_what_is_kept_is_what_the_options_say_and_equals_the_full_record(
    files, tmp_path, options, trains, membranes, events
):
    record, done = run(files, tmp_path, *options)
    whole = files[2]
    assert (len(record.trains), len(record.membranes), len(record.events)) == (trains, membranes, events)
    np.testing.assert_array_equal(record.outputs, whole.outputs)
    for name, counts in whole.spike_counts.items():
        np.testing.assert_array_equal(record.spike_counts[name], counts)
    for name, train in record.trains.items():
        np.testing.assert_array_equal(train.bits, whole.trains[name].bits)
    left_out = [finding for finding in record.findings if finding.code == "SP516"]
    assert bool(left_out) == (trains < 3 or events == 0)
    for finding in left_out:
        assert ("event counts" in finding.what) == (events == 0)
        assert {name for name in whole.trains if name in finding.what} == set(whole.trains) - set(record.trains)
        assert "SP516" in done.output


def test_a_record_of_some_layers_says_that_the_others_were_not_compared(files, tmp_path):
    part, _ = run(files, tmp_path, "--trains-of", "lif1")
    agreement = parity(part, files[2])
    assert (agreement.spike_mismatches, agreement.spikes_compared) == (0, 40 * 2 * 6)
    assert agreement.uncompared == ("lif0", "lif2")
    assert not agreement.exact
    told = compare(tmp_path / "record.npz", files[1], samples=files[0] / "x.npy")
    assert told.causes is None
    assert "lif0, lif2" in told.why_not


def test_a_run_without_events_works_where_none_are_counted(files, tmp_path):
    record, _ = run(files, tmp_path, "--target", "onnxruntime", "--no-events")
    for name, train in files[2].trains.items():
        np.testing.assert_array_equal(record.trains[name].bits, train.bits)


@pytest.mark.parametrize(
    ("text", "count"),
    [("500MB", 500_000_000), ("2GB", 2_000_000_000), ("1.5GiB", 1_610_612_736), ("64 kib", 65_536), ("12345", 12_345)],
)
def test_sizes_of_memory(text, count):
    assert read_size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "0", "-1GB", "1TB", "many", "1e9"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(SpikeportError) as caught:
        read_size(text)
    assert caught.value.code == "SP908"


def test_evaluate_takes_a_budget_and_its_answer_stays():
    found = [
        json.loads(
            CliRunner()
            .invoke(
                build(),
                [
                    "evaluate",
                    "digits-conv",
                    "--data",
                    "digits",
                    "--limit",
                    "30",
                    "--target",
                    "reference",
                    "--json",
                    *more,
                ],
            )
            .stdout
        )
        for more in ((), ("--memory", "100KB"))
    ]
    assert found[0]["correct"] == found[1]["correct"]


def test_only_the_first_samples_run(files, tmp_path):
    _, graph, whole = files
    record, _ = run(files, tmp_path, "--limit", "7")
    np.testing.assert_array_equal(record.outputs, whole.outputs[:7])
    x = np.load(files[0] / "x.npy")
    assert record.origin["samples_sha256"] == simulate(graph, x[:7]).origin["samples_sha256"]
    with pytest.raises(SpikeportError, match="SP903"):
        simulate(graph, x, limit=0)
