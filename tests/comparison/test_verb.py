"""compare as a verb: models, targets and records on either side, gates, and JSON."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.target import Request
from spikeport.terminal.app import build
from spikeport.verbs import compare as verb
from spikeport.verbs.load import Data, load_data
from spikeport.verbs.simulate import simulate as simulate_verb

T = 4


def graph(bias=0.0, seed=0):
    rng = np.random.default_rng(seed)
    nodes = {
        "input": Input((6,)),
        "fc": Linear(rng.normal(0.2, 0.5, (20, 6)).astype(np.float32)),
        "lif": LIF((20,), np.float32(0.5), np.linspace(1, 0.7, T, dtype=np.float32), np.float32(bias)),
        "head": Linear(rng.normal(0, 1, (3, 20)).astype(np.float32)),
        "out": Readout((3,), np.full(T, 0.25, np.float32)),
    }
    return Graph.chain(nodes, timesteps=T)


X = np.random.default_rng(1).random((30, 6)).astype(np.float32)
Y = simulate(graph(), X).outputs.argmax(1)


@pytest.fixture(autouse=True)
def data(monkeypatch):
    def load(name, split, graph, limit=None, labels=None):
        own = not isinstance(name, str)
        return load_data(name, split, graph, limit, labels) if own else Data(name, split, X[:limit], Y[:limit])

    monkeypatch.setattr(verb, "load_data", load)


@pytest.fixture
def files(tmp_path):
    nir.write(graph(), tmp_path / "a.nir")
    nir.write(graph(bias=0.1), tmp_path / "b.nir")
    simulate(graph(), X, Request(trains=True, membranes=True)).save(tmp_path / "a.npz")
    simulate(graph(bias=0.1), X, Request(trains=True, membranes=True)).save(tmp_path / "b.npz")
    return tmp_path


def test_the_same_model_agrees_with_itself(files):
    comparison = verb.compare(files / "a.nir", f"{files / 'a.nir'}@reference", "made up")
    assert comparison.parity.exact
    assert comparison.accuracy["a"].value == 1
    assert comparison.p_value == 1
    assert comparison.causes == ()
    assert comparison.first is None


def test_two_models_are_told_apart_with_the_cause(files):
    comparison = verb.compare(files / "a.nir", files / "b.nir", "made up", membranes=True)
    assert [cause.name for cause in comparison.causes] == ["bias"]
    assert comparison.first.layer == "lif"
    assert comparison.first.a.margin < comparison.first.b.margin
    assert f"A: {comparison.first.a}; B: {comparison.first.b}" in "\n".join(comparison.lines())
    assert comparison.membrane_error["lif"][0] > 0
    assert set(comparison.samples_apart) == set(np.flatnonzero(simulate(graph(bias=0.1), X).outputs.argmax(1) != Y))


def test_records_from_elsewhere_compare_without_data(files):
    comparison = verb.compare(files / "a.npz", files / "b.npz")
    models = verb.compare(files / "a.nir", files / "b.nir", "made up")
    assert comparison.parity.by_layer == models.parity.by_layer
    assert comparison.causes is None
    assert comparison.why_not
    assert comparison.membrane_error["lif"][0] >= 0.1 - 1e-6  # the bias itself, where neither fires


def test_a_record_compares_with_a_model(files):
    """The model's numbers are at hand, so margins are too; causes need both networks, and the sentence says which."""
    assert verb.compare(files / "a.npz", files / "a.nir", "made up").parity.exact
    comparison = verb.compare(files / "a.npz", files / "b.nir", "made up")
    assert comparison.parity.mismatches_above_rounding > 0
    assert comparison.first.a is None
    assert comparison.first.b.threshold == pytest.approx(comparison.first.threshold)
    assert comparison.causes is None
    assert "--model-a" in comparison.why_not
    named = verb.compare(files / "a.npz", files / "b.nir", "made up", model_a=files / "a.nir")
    assert [cause.name for cause in named.causes] == ["bias"]
    assert named.first.a.margin < named.first.b.margin


@pytest.fixture
def remembered(files):
    """Records as `simulate` writes them: they know their model's file and their input's."""
    np.save(files / "x.npy", X)
    for name in ("a", "b"):
        simulate_verb(files / f"{name}.nir", files / "x.npy", out=files / name)
    return files


def test_records_remember_their_models_and_input(remembered):
    comparison = verb.compare(remembered / "a" / "record.npz", remembered / "b" / "record.npz")
    assert [cause.name for cause in comparison.causes] == ["bias"]
    assert comparison.first.a.margin < comparison.first.b.margin
    assert comparison.parity.mismatches_above_rounding > 0
    labelled = verb.compare(remembered / "a" / "record.npz", remembered / "b" / "record.npz", "made up")
    assert labelled.accuracy["a"].value == 1


def test_a_model_that_changed_since_is_not_taken_for_the_records_own(remembered):
    nir.write(graph(seed=3), remembered / "a.nir")
    sides = (remembered / "a" / "record.npz", remembered / "b" / "record.npz")
    comparison = verb.compare(*sides)
    assert comparison.causes is None
    assert "another file by now" in comparison.why_not
    (remembered / "b.nir").unlink()
    assert "is not here" in verb.compare(*sides).why_not
    (remembered / "x.npy").unlink()
    nir.write(graph(), remembered / "a.nir")
    named = verb.compare(*sides, model_b=remembered / "a.nir")
    assert "--data" in named.why_not


def test_a_record_of_other_samples_is_refused(remembered):
    with pytest.raises(SpikeportError) as caught:
        verb.compare(remembered / "a" / "record.npz", remembered / "b.nir", samples=X[::-1])
    assert caught.value.code == "SP815"
    again = verb.compare(remembered / "a" / "record.npz", remembered / "b.nir", samples=X.astype(np.float64))
    assert again.parity.spike_mismatches > 0


@pytest.mark.parametrize(
    ("a", "b", "data", "code"),
    [("a.nir", "b.nir", None, "SP814"), ("a.nir@nowhere", "b.nir", "x", "SP501"), ("c.npz", "a.nir", "x", "SP120")],
)
def test_what_cannot_be_compared_is_refused(files, a, b, data, code):
    with pytest.raises(SpikeportError) as caught:
        verb.compare(f"{files}/{a}", f"{files}/{b}", data)
    assert caught.value.code == code


def run(files, *options):
    return CliRunner().invoke(build(), ["compare", str(files / "a.nir"), str(files / "b.nir"), "--data", "x", *options])


def test_gates_set_the_exit_status(files):
    count = verb.compare(files / "a.nir", files / "b.nir", "x").parity.spike_mismatches
    assert run(files, "--max-spike-mismatch", str(count)).exit_code == 0
    assert run(files, "--max-spike-mismatch", str(count - 1)).exit_code == 1
    assert run(files, "--max-accuracy-drop", "1").exit_code == 0
    assert run(files, "--max-accuracy-drop", "0").exit_code == 1
    assert run(files, "--min-agreement", "1").exit_code == 1


@pytest.mark.parametrize("flag", ["--max-accuracy-drop", "--min-agreement"])
@pytest.mark.parametrize("share", ["2", "-0.1"])
def test_a_gate_that_is_no_share_is_refused_before_anything_runs(files, flag, share):
    assert run(files, f"{flag}={share}").exception.code == "SP816"


def test_json_carries_the_gates_and_those_not_met(files):
    printed = json.loads(run(files, "--max-accuracy-drop", "0.001", "--min-agreement", "0", "--json").stdout)
    assert printed["gates"] == {"max_accuracy_drop": 0.001, "min_agreement": 0}
    assert [gate["code"] for gate in printed["failed"]] == ["SP811"]


def test_a_gate_that_cannot_be_judged_is_not_passed(files):
    comparison = verb.compare(files / "a.npz", files / "b.npz")
    assert [failure.code for failure in comparison.failures(max_accuracy_drop=1.0)] == ["SP813"]


def test_json_and_the_page_say_the_same(files):
    printed = json.loads(run(files, "--json", "--out", str(files / "out")).stdout)
    assert printed == json.loads((files / "out" / "comparison.json").read_text())
    assert printed["causes"][0]["name"] == "bias"
    page = (files / "out" / "report.html").read_text()
    assert "bias rounded or lost" in page
    assert all(f'<th scope="row">{fact}</th>' in page for fact in ("date", "processor"))
    assert 'class="cores"' in page
    assert all(hashlib.sha256((files / name).read_bytes()).hexdigest() in page for name in ("a.nir", "b.nir"))
    assert 'data-layer="lif"' in page  # cells open rasters
    assert printed["spike_mismatches"] == sum(map(sum, printed["by_layer"].values()))


def test_notebooks_get_html(files):
    text = verb.compare(files / "a.nir", files / "b.nir", "x")._repr_html_()
    assert "bias" in text
    assert text.count("<li>") == text.count("</li>") > 3
