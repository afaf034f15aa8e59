"""A command with little to run takes the plain functions, and is done before the loops would be loaded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from spikeport import process
from spikeport.engine import brief, simulate
from spikeport.formats import nir
from spikeport.passes.extend import extend
from spikeport.record import Record
from spikeport.target import Request
from spikeport.verbs.prepare import network

MANY = 10**9


def samples(graph, number):
    """So many, of which no byte is taken."""
    return np.broadcast_to(np.float32(1), (graph.timesteps, number, *graph.entry.shape))


@pytest.fixture
def single(monkeypatch):
    """A process that runs one command, of which nothing has run yet."""
    monkeypatch.setattr(process.command, "single", True)
    monkeypatch.setattr(brief, "_plain", brief._Plain())
    monkeypatch.delenv("SPIKEPORT_KERNELS", raising=False)


def test_few_samples_take_the_plain_functions_and_many_the_loops(single):
    graph = network("map", "integers")
    assert brief.kernels(graph, samples(graph, MANY), "cpu") == "fast"
    assert brief.kernels(graph, samples(graph, 1), "cpu") == "plain"


def test_runs_of_a_command_add_up(single):
    graph = network("matrix", "integers")
    runs = [brief.kernels(graph, samples(graph, 1), "cpu") for _ in range(1000)]
    few = runs.count("plain")
    assert runs == ["plain"] * few + ["fast"] * (1000 - few)
    # two steps of five nodes, 0.1 ms each, and next to no products, of half a second
    assert few in (499, 500)


def test_long_samples_of_a_small_network_take_the_loops(single):
    graph = network("matrix", "integers").with_(after_end="hold")
    assert brief.kernels(graph, samples(graph, 1), "cpu") == "plain"
    long = extend(graph, 2000)
    assert brief.kernels(long, samples(long, 1), "cpu") == "fast"


@pytest.mark.parametrize("word", ["plain", "fast"])
def test_the_environment_has_the_last_word(single, monkeypatch, word):
    monkeypatch.setenv("SPIKEPORT_KERNELS", word)
    graph = network("map", "integers")
    assert {brief.kernels(graph, samples(graph, number), "cpu") for number in (1, MANY)} == {word}


def test_who_may_run_more_takes_the_loops():
    assert not process.command.single
    graph = network("map", "integers")
    assert brief.kernels(graph, samples(graph, 1), "cpu") == "fast"


@pytest.mark.parametrize("kind", ["map", "matrix", "cycle"])
def test_a_command_computes_the_integers_of_the_loops(tmp_path, kind):
    graph = network(kind, "integers")
    x = (np.random.default_rng(5).random((2, 7, *graph.entry.shape)) < 0.4).astype(np.float32)
    nir.write(graph, tmp_path / "net.nir")
    np.save(tmp_path / "x.npy", x)
    words = ["simulate", "net.nir", "--data", "x.npy", "--frames", "--out", "out", "--membranes-of", "s"]
    subprocess.run([sys.executable, "-m", "spikeport", *words], cwd=tmp_path, check=True, capture_output=True)
    told = Record.load(tmp_path / "out" / "record.npz")
    loops = simulate(graph, x, Request(trains=True, events=True, membranes=True), kernels="fast")
    np.testing.assert_array_equal(told.outputs, loops.outputs)
    np.testing.assert_array_equal(told.trains["s"].unpack(), loops.trains["s"].unpack())
    np.testing.assert_array_equal(told.membranes["s"], loops.membranes["s"])
    for name, events in loops.events.items():
        for item in fields(events):
            np.testing.assert_array_equal(getattr(told.events[name], item.name), getattr(events, item.name), item.name)
