"""inspect and check say of every node what it is and whether a target takes it; explain knows every code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import spikeport
from spikeport import training
from spikeport.engine import simulate
from spikeport.findings import Finding, SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Graph, Input, Linear, Loihi, Readout
from spikeport.graph.profile import LOIHI2
from spikeport.quantisation import quantize
from spikeport.terminal.app import build
from spikeport.verbs.check import check
from spikeport.verbs.explain import explain
from spikeport.verbs.inspect import inspect
from spikeport.verbs.load import from_module, load_data, load_model


@pytest.fixture
def graph():
    nodes = {
        "input": Input((3,)),
        "fc": Linear(np.ones((4, 3), np.float32), np.zeros(4, np.float32)),
        "lif": LIF((4,), np.float32(0.5), np.array([1.0, 0.75], np.float32)),
        "out": Readout((4,), np.full(2, 0.5, np.float32)),
    }
    return Graph.chain(nodes, timesteps=2)


@pytest.fixture
def model(graph, tmp_path):
    path = tmp_path / "model.nir"
    nir.write(graph, path)
    return path


def test_inspect_counts_and_names_everything(graph, model):
    inspection = inspect(model)
    rows = {row.name: row for row in inspection.rows}
    assert tuple(rows) == graph.order
    assert rows["fc"].parameters == 16  # 12 weights and 4 biases
    assert rows["lif"].thresholds == "1 0.75"
    assert inspection.neurons == 4
    assert inspection.provenance["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()


def test_thresholds_of_integers_are_whole_numbers():
    nodes = {
        "input": Input((3,), low=0, high=1, unit=np.ones(())),
        "fc": Linear(np.ones((2, 3), np.int8)),
        "lif": LIF((2,), np.asarray(2048), np.array([[12363, 5233], [70000, 70000]]), compare=">"),
    }
    (row,) = (row for row in inspect(Graph.chain(nodes, 2, arithmetic=Loihi(LOIHI2))).rows if row.name == "lif")
    assert row.thresholds == "5233...12363 70000"


def test_inspect_draws_svg_that_stands_alone(model, tmp_path):
    inspect(model, svg=tmp_path / "model.svg")
    root = ElementTree.parse(tmp_path / "model.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.find("{http://www.w3.org/2000/svg}style") is not None


def test_inspect_refuses_a_drawing_of_another_kind(model, tmp_path):
    with pytest.raises(SpikeportError) as caught:
        inspect(model, svg=tmp_path / "model.jpg")
    assert caught.value.code == "SP906"


def test_inspect_says_what_it_takes_to_make_the_model_again(tmp_path):
    """What a checkpoint states goes on through capture, quantising and a file."""
    path = tmp_path / "m.safetensors"
    neuron = training.LIF(training.Fixed(), 2)
    layers = training.Repeat(2), training.Linear(3, 4), neuron, training.Linear(4, 2), training.Readout(2)
    module = torch.nn.Sequential(*layers)
    torch.nn.init.constant_(module[1].weight, 1.0)  # so that the neurons surely fire
    recipe = {"epochs": 3, "optimizer": {"rate": 0.5}}
    facts = {"model": "tiny", "input_shape": [3], "seed": 7, "versions": {"torch": "9.9"}, "recipe": recipe}
    path.write_bytes(b"weights")
    captured = from_module(module.eval(), facts, "tiny", path).graph
    quantised = quantize(captured, np.random.default_rng(0).random((8, 3), np.float32), run=simulate).graph
    nir.write(quantised, tmp_path / "tiny.int.nir")
    provenance = inspect(tmp_path / "tiny.int.nir").provenance
    assert provenance["file"] == str(tmp_path / "tiny.int.nir")
    assert provenance["checkpoint_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert (provenance["seed"], provenance["versions.torch"], provenance["recipe.optimizer.rate"]) == (
        "7",
        "9.9",
        "0.5",
    )
    assert provenance["quantised.versions.spikeport"] == spikeport.__version__


@dataclass
class Picky:
    """A target that refuses linear layers and replaces neurons by a process of its own."""

    def processes(self, graph):
        return {"input": ("Source", True), "fc": ("Dense", True), "lif": ("OurLIF", False)}

    def check(self, graph):
        return [
            Finding("SP602", "runs as another", "node 'lif'", mend="accept it", severity="substituted"),
            Finding("SP610", "no linear layers", "node 'fc'", mend="use convolutions"),
            Finding("SP611", "too large"),
        ]


def test_check_gives_every_node_its_state_and_every_problem_at_once(graph, monkeypatch):
    monkeypatch.setattr("spikeport.verbs.check.target_of", lambda name: Picky())
    checked = check(graph, "picky")
    states = {verdict.node: verdict.state for verdict in checked.nodes}
    assert states == {"input": "supported", "fc": "unsupported", "lif": "substituted", "out": "supported"}
    assert {verdict.node: verdict.origin for verdict in checked.nodes} == {
        "input": "stock",
        "fc": "",
        "lif": "ours",
        "out": "",  # what does not run is neither
    }
    assert [other.code for other in checked.others] == ["SP611"]
    assert not checked.runs


def test_lavas_own_processes_are_told_from_ours(model):
    """The schedule of `lif` varies over time: Lava's own neurons cannot; its Dense runs as it is."""
    pytest.importorskip("lava")
    output = CliRunner().invoke(build(), ["check", str(model), "--target", "lava", "--json"]).output
    nodes = {node["node"]: (node["origin"], node["process"]) for node in json.loads(output)["nodes"]}
    assert nodes["lif"] == ("ours", "ScheduledLIF")
    assert nodes["input"][0] == "stock"


def test_the_exit_status_of_check_is_a_gate(model):
    runner = CliRunner()
    good = runner.invoke(build(), ["check", str(model), "--target", "reference"])
    assert (good.exit_code, "runs" in good.output) == (0, True)
    bad = runner.invoke(build(), ["check", str(model), "--target", "integer", "--json"])
    assert bad.exit_code == 1
    assert json.loads(bad.output)["runs"] is False


def test_explain_knows_every_code_in_any_case():
    for code in explain():
        assert explain(code.lower()).code == code
    with pytest.raises(SpikeportError) as caught:
        explain("SP999")
    assert caught.value.code == "SP901"


def test_explain_prints_title_reason_and_mend():
    page = explain("SP113")
    output = CliRunner().invoke(build(), ["explain", "SP113"]).output
    assert all(text in output for text in (page.title, page.why, page.mend))


def test_an_integer_file_tells_what_it_was_calibrated_on(tmp_path):
    """Data, split, how many samples and their hash, so that the same command makes the same file."""
    model = load_model("digits-conv")
    spikeport.quantize(model, data="digits", calibration=16, steps=("normalise", "ranges"), out=tmp_path / "m.int.nir")
    facts = inspect(tmp_path / "m.int.nir").provenance
    train = load_data("digits", "train", model.graph)
    few = train.x[np.arange(16) * train.samples // 16]
    assert facts["quantised.calibration.data"] == "digits"
    assert facts["quantised.calibration.split"] == "train"
    assert facts["quantised.calibration.samples"] == "16"
    assert facts["quantised.calibration.sha256"] == hashlib.sha256(np.ascontiguousarray(few).tobytes()).hexdigest()
    assert facts["quantised.steps"] == "['normalise', 'ranges']"
