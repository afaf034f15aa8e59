"""The main job on real handwritten digits: what `make demo` does, held to what it must reach."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest

from spikeport import load_data, load_model
from spikeport.engine import simulate
from spikeport.target import Request, target
from spikeport.verbs.run import run

LAYERS = ("conv1.neuron", "conv2.neuron", "dense.neuron")
STAGES = {"pytorch", "nir", "onnx", "integer", "lava"}


def lava_or_skip():
    availability = target("lava").availability()
    if not availability.ready:
        pytest.skip(f"Lava: {availability.why}")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """One run with DS-ATGO: its folder and its result."""
    lava_or_skip()
    out = tmp_path_factory.mktemp("demo")
    run("digits", out, "ds-atgo")
    return out, json.loads((out / "result.json").read_text())


def test_the_trained_network_is_good_and_its_integers_are_too(job):
    _, result = job
    assert result["accuracy"]["pytorch"] >= 0.97
    assert abs(result["accuracy"]["integer"] - result["accuracy"]["pytorch"]) <= 0.005
    assert result["samples"] == {"pytorch": 360, "nir": 360, "onnx": 360, "integer": 360, "lava": 32}


@pytest.mark.parametrize("stage", ["graph_float64", "nir", "lava"])
def test_what_must_agree_on_every_spike_does(job, stage):
    found = job[1]["parity"][stage]
    assert found["spike_mismatches"] == 0
    neurons = sum(found["neurons"].values())
    assert found["spikes_compared"] == neurons * 4 * found["samples"]
    assert set(found["by_layer"]) == set(LAYERS)


@pytest.mark.parametrize("stage", ["graph", "nir", "onnx"])
def test_float32_differs_by_rounding_only(job, stage):
    found = job[1]["parity"][stage]
    assert found["mismatches_above_rounding"] == 0
    assert found["samples"] == 360
    if stage == "onnx":
        assert found["argmax_agreement"] == 1.0


def test_logits_of_equal_spikes_differ_by_rounding_only(job):
    """A spike that rounding moves takes its weights with it, so the bound holds for samples of which none moved.

    Which samples those are depends on the processor, on which the network is trained; most of them must be.
    """
    out, result = job
    graph = load_model(out / "model.safetensors").graph
    x = load_data("digits", "test", graph).x
    ours = simulate(graph, x, Request(trains=True))
    theirs = target("onnxruntime").run(load_model(out / "model.onnx").graph, x, Request(trains=True))
    apart = [ours.trains[name].unpack() != train.unpack() for name, train in theirs.trains.items()]
    moved = np.any([layer.any(axis=(0, *range(2, layer.ndim))) for layer in apart], axis=0)
    assert moved.sum() <= result["parity"]["onnx"]["spike_mismatches"]
    assert moved.mean() < 0.05
    assert np.abs(ours.outputs - theirs.outputs)[~moved].max() < 1e-4
    assert result["parity"]["onnx"]["spike_mismatches"] == sum(int(layer.sum()) for layer in apart)


def test_the_result_keeps_its_promised_shape(job):
    _, result = job
    assert set(result["accuracy"]) == STAGES
    assert set(result["samples_per_second"]) == STAGES - {"nir"}
    for key in ("model", "dataset", "method", "device", "seed", "versions", "seconds"):
        assert key in result
    for layer in LAYERS:
        assert len(result["thresholds"][layer]) == len(result["firing_rate"][layer]) == result["timesteps"] == 4
    for energy in result["energy_joule_per_sample"].values():
        assert 0 < energy["low"] <= energy["nominal"] <= energy["high"]
        assert energy["source"]
    assert {"45nm-fp32", "45nm-fp32-ann", "loihi1-davies2018"} <= set(result["energy_joule_per_sample"])


def test_adaptive_thresholds_were_learned_and_vary_over_time(job):
    thresholds = np.array(list(job[1]["thresholds"].values()))
    assert (np.ptp(thresholds, axis=1) > 0).all()
    assert (np.abs(thresholds - 1.0) > 1e-3).all()  # 1.0 is where they started


def test_the_report_is_one_file_that_needs_no_network(job):
    out, result = job
    page = (out / "report.html").read_text()
    assert result["model"] in page
    for address in ('src="http', "src='http", 'href="http://', "@import", "fetch("):
        assert address not in page


def test_the_first_difference_of_the_integers_names_both_membranes_and_margins(job):
    first = job[1]["first_divergence"]["integer"]
    margins = [float(text) for text in re.findall(r"margin ([-+][\d.e+-]+)", first)]
    integer_fires = "the integer network fires" in first
    assert [margin > 0 for margin in margins] == [integer_fires, not integer_fires]


def test_the_core_map_is_in_the_report(job):
    out, result = job
    bounds = result["fit"]["bounds"]
    assert set(LAYERS) <= set(bounds["shared"]["layers"])
    assert bounds["shared"]["cores"] <= bounds["unrolled"]["cores"]
    page = (out / "report.html").read_text()
    assert 'class="cores"' in page
    assert all(entry["sentence"] in page for entry in bounds.values())


def test_the_provenance_names_the_command_and_the_files(job):
    out, result = job
    found = dict(result["provenance"])
    assert found.pop("command") == "spikeport run digits --method ds-atgo"
    assert datetime.strptime(found.pop("date"), "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC) <= datetime.now(UTC)
    assert found.pop("processor")
    found.pop("card", None)  # where there is one
    files = {f"sha256 of {path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("model.*")}
    assert found == files
    assert len(files) == 4


def test_nothing_half_written_is_left(job):
    assert not list(job[0].rglob("*.part"))
    assert {p.name for p in job[0].iterdir() if p.is_file()} == {
        "model.safetensors",
        "model.nir",
        "model.onnx",
        "model.int.nir",
        "result.json",
        "figures.json",
        "report.html",
    }


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mpd-agl", "fixed"])
def test_the_other_methods_go_the_same_way(method, tmp_path):
    lava_or_skip()
    result = run("digits", tmp_path, method)
    assert result["method"] == method
    assert result["accuracy"]["pytorch"] >= 0.95
    assert result["parity"]["graph_float64"]["spike_mismatches"] == 0
    assert result["parity"]["lava"]["spike_mismatches"] == 0
    for schedule in result["thresholds"].values():
        assert np.ptp(schedule) == 0  # these methods leave the threshold alone
