"""Every verb that takes a model takes what another tool's file does not say, and says once how it was read."""

from __future__ import annotations

import json
from inspect import signature

import nir as peer
import numpy as np
import pytest
from typer.testing import CliRunner

import spikeport
from nir_by_hand import graph, lif, normal
from spikeport.findings import SpikeportError
from spikeport.record import Record
from spikeport.terminal.app import build
from spikeport.verbs import VERBS

TELL = ["--dt", "1e-3", "--timesteps", "4", "--nir", "coding=direct"]
DIGITS = ["--data", "digits", "--limit", "8"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    place = tmp_path_factory.mktemp("foreign")
    nodes = {
        "input": peer.Input(np.array([1, 8, 8])),
        "flat": peer.Flatten({"input": np.array([1, 8, 8])}, 0, -1),
        "fc": peer.Affine(normal(10, 64).astype("f4"), np.zeros(10, "f4")),
        "node": lif(10, v_reset=np.zeros(10), v_leak=np.zeros(10)),
        "output": peer.Output(np.array([10])),
    }
    peer.write(place / "a.nir", graph(**nodes))
    np.save(place / "x.npy", np.random.default_rng(0).uniform(size=(3, 1, 8, 8)).astype("f4"))
    np.save(place / "frames.npy", np.random.default_rng(0).uniform(size=(6, 3, 1, 8, 8)).astype("f4"))
    return place / "a.nir"


def run(*words):
    done = CliRunner().invoke(build(), [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


def test_every_verb_that_takes_a_model_takes_all_four():
    taking = [name for name in VERBS if {"model", "a"} & set(signature(getattr(spikeport, name)).parameters)]
    assert len(taking) >= 10
    for name in taking:
        assert {"dt", "nir", "timesteps", "frames"} <= set(signature(getattr(spikeport, name)).parameters), name


WORDS = {
    "inspect": [],
    "check": ["--target", "reference"],
    "fit": [],
    "export": ["--out", "{place}/b.nir"],
    "simulate": ["--input", "{x}", "--out", "{place}"],
    "evaluate": DIGITS,
    "quantize": ["--data", "digits", "--out", "{place}/b.int.nir", "--calibration", "8"],
    "events": DIGITS,
    "energy": DIGITS,
    "compare": ["{model}", *DIGITS],
}


@pytest.mark.parametrize("verb", WORDS)
def test_every_verb_says_each_choice_once(verb, path, tmp_path):
    """The step, the comparison, the reset, and how samples enter: of one file on two sides of a comparison too."""
    words = [word.format(place=tmp_path, x=path.parent / "x.npy", model=path) for word in WORDS[verb]]
    done = run(verb, path, *words, *TELL)
    said = " ".join((done.stdout + done.stderr).split())
    for choice in (
        "dt = 0.001 s",
        "neurons fire where v >",
        "neurons reset to v_reset",
        "the same frame at every step",
    ):
        assert said.count(choice) == 1, (choice, said)


def test_a_record_and_a_report_hold_the_choices(path, tmp_path):
    run("simulate", path, "--input", path.parent / "x.npy", "--out", tmp_path, *TELL)
    findings = Record.load(tmp_path / "record.npz").findings
    assert sum("dt = 0.001 s" in finding.what for finding in findings) == 1
    drawn = run("plot", tmp_path / "record.npz", "--model", path, *TELL)
    assert (drawn.stdout + drawn.stderr).count("dt = 0.001 s") == 1
    run("compare", path, path, "--input", path.parent / "x.npy", "--out", tmp_path, *TELL)
    facts = json.loads((tmp_path / "comparison.json").read_text())
    assert sum("dt = 0.001 s" in finding["what"] for finding in facts["findings"]) == 1
    assert "dt = 0.001 s" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("verb", ["simulate", "events", "energy", "compare"])
def test_frames_set_the_number_of_steps_where_the_file_leaves_it_open(verb, path, tmp_path):
    frames = np.load(path.parent / "frames.npy")
    if verb == "compare":
        compared = spikeport.compare(path, path, samples=frames, frames=True, dt=1e-3)
        assert compared.parity.samples == 3
        assert len(next(iter(compared.parity.by_layer.values()))) == 6
        return
    result = getattr(spikeport, verb)(path, samples=frames, frames=True, dt=1e-3)
    counts = result if verb == "simulate" else result.record if verb == "events" else result.counted.record
    assert len(counts.spike_counts["node"]) == 6


def test_timesteps_of_a_model_that_has_its_own_are_refused():
    assert spikeport.load_model("digits-conv", timesteps=4).graph.timesteps == 4
    with pytest.raises(SpikeportError) as caught:
        spikeport.load_model("digits-conv", timesteps=5)
    assert caught.value.code == "SP113"


def test_a_word_that_is_no_option_is_answered_with_all_of_them(path):
    with pytest.raises(SpikeportError) as caught:
        spikeport.inspect(path, nir={"colour": "red"})
    assert caught.value.code == "SP206"
    fields = "dt timesteps written_by rule clock integrator drive decays compare reset spikes coding output"
    words = "snntorch euler seconds unit 4096ths >= subtract-late none many direct mean"
    assert all(word in str(caught.value) for word in f"{fields} {words}".split())
