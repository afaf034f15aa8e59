"""A run shared out gives the record of one run: to the bit in integers, whatever the number of shards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import spikeport
from equal_records import ALL, same
from random_graphs import random_graph
from spikeport.files import plain
from spikeport.findings import SpikeportError
from spikeport.jobs.here import Here
from spikeport.target import target
from spikeport.verbs.load import Model
from spikeport.verbs.shards import cuts, execute_on, runs_on


@pytest.fixture
def workers(monkeypatch):
    """Says how many workers there seem to be; their jobs run here."""

    def say(count):
        class Several(Here):
            workers = count

        monkeypatch.setattr("spikeport.jobs.executor", lambda on, store: Several(store))

    return say


@pytest.mark.parametrize("seed", [2, 3])
def test_a_record_of_shards_is_the_record(seed, workers):
    graph, x = random_graph(seed, integers=True, batch=7)
    model = Model("graph", "graph", graph)
    one = target("integer").run(graph, x, ALL)
    for count in (2, 3, 7):
        workers(count)
        record = execute_on("processes", model, None, x, ALL)
        same(record, one)
        assert (record.findings, record.target, record.neurons) == (one.findings, one.target, one.neurons)
        assert plain(record.spike_counts) == plain(one.spike_counts)


def test_verbs_say_the_same_of_a_run_that_is_shared_out(workers, tmp_path):
    model = spikeport.load_model("digits-conv")
    real = {"data": "digits", "limit": 130}
    alone, gates = spikeport.evaluate(model, **real), {"max_spike_mismatch": 0}
    events, apart = spikeport.events(model, **real), spikeport.compare(model, model, **real, why=False, **gates)
    workers(3)
    assert replace(spikeport.evaluate(model, **real, on="ray", out=tmp_path), seconds=0.0) == replace(
        alone, seconds=0.0
    )
    assert len(list(tmp_path.glob("shards/results/*/*/record.npz"))) == 3  # 64, 64 and 2 samples
    assert plain(spikeport.events(model, **real, on="ray")) == plain(events)
    shared = spikeport.compare(model, model, **real, why=False, on="ray", **gates)
    assert plain(replace(shared, records=None)) == plain(replace(apart, records=None))


def test_workers_give_the_record_and_take_their_limits_along(tmp_path):
    samples = spikeport.load_data("digits", "test", spikeport.load_model("digits-conv").graph).x[:96]
    one = spikeport.simulate("digits-conv", samples, "reference", membranes=True)
    two = spikeport.simulate("digits-conv", samples, "reference", membranes=True, on="processes:2", out=tmp_path)
    same(two, one)
    same(spikeport.record.Record.load(tmp_path / "record.npz"), one)
    assert [path.name for path in tmp_path.iterdir()] == ["record.npz"]


def test_a_shard_that_fails_says_what_one_run_says(workers):
    workers(2)
    model = spikeport.load_model("digits-conv")
    for on in ("here", "processes"):
        with pytest.raises(SpikeportError, match="SP505"):
            list(runs_on(on, model, "integer", np.zeros((4, 1, 8, 8), np.float32), ALL))


def test_real_numbers_are_cut_in_blocks_and_integers_evenly():
    real = spikeport.load_model("digits-conv")
    whole = replace(real, graph=random_graph(0, integers=True)[0])
    assert cuts(real, 360, 2, 1024) == [(0, 192), (192, 360)]
    assert cuts(whole, 360, 2, 1024) == [(0, 180), (180, 360)]
    assert cuts(whole, 360, 2, 160) == [(0, 180), (180, 360)]  # a third shard would run alone
    assert cuts(whole, 360, 2, 100) == [(0, 90), (90, 180), (180, 270), (270, 360)]
    assert cuts(whole, 360, 2, 1024, 100) == [(0, 100), (100, 200), (200, 300), (300, 360)]
    assert cuts(real, 10, 4, 1024) == [(0, 10)]
