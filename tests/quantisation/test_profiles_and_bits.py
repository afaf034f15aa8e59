"""Formats as data, and bits that a budget of accuracy chooses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quantize_examples import STEPS, convolutional, images
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LOIHI1, LOIHI2, SPECK, XYLO, Conv, Linear
from spikeport.quantisation import load_profile, mixed_bits, profile_names, quantize, sensitivity
from spikeport.quantisation.sensitivity import Probe, _path
from spikeport.verbs.load import Data
from spikeport.verbs.quantize import quantize as api_quantize


def test_the_shipped_profiles_are_the_graphs_constants():
    assert profile_names() == ("int", "loihi1", "loihi2", "speck", "xylo")
    assert load_profile("loihi1") == LOIHI1
    assert load_profile("loihi2") == LOIHI2
    assert load_profile("speck") == SPECK
    assert load_profile("xylo") == XYLO


def test_a_users_profile_limits_what_is_made(tmp_path):
    file = tmp_path / "tiny.toml"
    file.write_text("weight_bits = 5\ndecay_bits = 4\nthreshold_bits = 10\nweight_exponent = [0, 2]\n")
    profile = load_profile(file)
    assert (profile.name, profile.weight_bits, profile.bias_bits) == ("tiny", 5, 13)
    integers = quantize(convolutional(), images(), profile, 5, run=simulate).graph
    for neurons, synapse in (("lif1", "conv"), ("lif2", "fc")):
        assert integers[neurons].threshold.max() < 2**10
        assert (integers[neurons].decay % 256 == 0).all()
        assert 0 <= integers[synapse].exponent <= 2
        assert np.abs(integers[synapse].weight.astype(int)).max() <= 16


@pytest.mark.parametrize(
    "text", ["weigth_bits = 8", "weight_bits = 9", "weight_bits = true", "schedule = 1", "bias_exponent = 3", "= 8"]
)
def test_a_wrong_profile_is_refused(tmp_path, text):
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(SpikeportError) as caught:
        load_profile(file)
    assert caught.value.code == "SP423"
    assert "wrong.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("weight_bits", 1, 8),
        ("decay_bits", 1, 12),
        ("threshold_bits", 1, 17),
        ("bias_bits", 1, 24),
        ("state_bits", 8, 24),
        ("message_bits", 1, 16),
    ],
)
def test_a_profile_is_within_what_the_arithmetic_holds(tmp_path, field, low, high):
    """Loihi's words: weights of 8 bits, decays of 12, thresholds of 17, states of 24."""
    file = tmp_path / "mine.toml"
    for bits in (low, high):
        file.write_text(f"{field} = {bits}")
        assert getattr(load_profile(file), field) == bits
    for bits in (low - 1, high + 1):
        file.write_text(f"{field} = {bits}")
        with pytest.raises(SpikeportError, match=f"SP423.*{field}"):
            load_profile(file)


def test_the_path_takes_the_bit_that_costs_least_a_weight(judged):
    """Squared errors: the first layer's grow by 1 a bit, the last's by 0.001, then by 4; of all others by 100."""
    plan = judged[2].plan
    squares = {"lif1": lambda bits: 8.0 - bits, "out": lambda bits: 0.001 if bits == 7 else 4.0}
    probes = tuple(
        Probe(layer, bits, squares.get(layer, lambda bits: 100.0 * (8 - bits))(bits) ** 0.5, 0, 1, None)
        for layer in ("lif1", "lif2", "out")
        for bits in range(1, 8)
    )
    path = _path(plan, probes, 0.0)
    assert path[0] == {"lif1": 8, "lif2": 8, "out": 8}
    assert path[1] == {"lif1": 8, "lif2": 8, "out": 7}


def test_an_unknown_profile_names_those_there_are(tmp_path):
    for name in ("loihi3", str(tmp_path / "absent.toml")):
        with pytest.raises(SpikeportError) as caught:
            load_profile(name)
        assert caught.value.code == "SP423"
    with pytest.raises(SpikeportError, match="loihi1, loihi2"):
        load_profile("loihi3")


@pytest.fixture(scope="module")
def judged():
    samples = images(24)
    labels = simulate(convolutional(), samples).outputs.argmax(1)
    return samples, labels, quantize(convolutional(), samples, run=simulate, steps=["normalise"])


def test_sensitivity_tries_every_layer_at_every_number_of_bits(judged):
    probes = sensitivity(judged[2])
    assert {(probe.layer, probe.bits) for probe in probes} == {
        (layer, bits) for layer in ("lif1", "lif2", "out") for bits in range(1, 8)
    }
    for layer in ("lif1", "lif2", "out"):
        errors = {probe.bits: probe.output_error for probe in probes if probe.layer == layer}
        assert errors[7] < errors[2]


def test_mixed_bits_keep_the_budget_and_are_the_cheapest_measured(judged):
    samples, labels, quantised = judged

    def accuracy(graph):
        return simulate(graph, samples).accuracy(labels)

    trade_off = mixed_bits(quantised, accuracy=accuracy, real_accuracy=accuracy(quantised.graph), max_drop=10)
    budget = accuracy(quantised.graph) - 0.10
    assert trade_off.chosen.accuracy >= budget
    assert trade_off.chosen.weight_bits == min(p.weight_bits for p in trade_off.curve if p.accuracy >= budget)
    assert trade_off.chosen.mean_bits < 8
    costs = [point.weight_bits for point in trade_off.curve]
    assert costs == sorted(costs, reverse=True)
    with pytest.raises(SpikeportError) as caught:
        mixed_bits(quantised, accuracy=accuracy, real_accuracy=1.5, max_drop=0.1)
    assert caught.value.code == "SP425"


def test_the_verb_writes_graph_report_and_curve(tmp_path, judged):
    samples, labels, _ = judged
    data = Data("drawn", "train", samples, labels)
    out, report = tmp_path / "model.int.nir", tmp_path / "report.json"
    quantised = api_quantize(
        convolutional(), data=data, weight_bits="auto", max_drop=40, out=out, report=report, steps=[]
    )
    assert out.stat().st_size > 1000
    facts = json.loads(report.read_text())
    assert facts["accuracy"]["real"] == 1.0
    assert facts["accuracy"]["integer"] == simulate(quantised.graph, samples).accuracy(labels)
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.part"))


def test_fine_tuning_through_the_verb(judged):
    samples, labels, _ = judged
    data = Data("drawn", "train", samples, labels)
    facts = api_quantize(convolutional(), data=data, weight_bits=3, fine_tune=2).report
    assert set(facts["accuracy"]) == {"real", "integer", "fine_tuned"}
    assert len(facts["fine_tune"]["losses"]) == 2


@pytest.mark.parametrize("suffix", ["nir", "onnx"])
def test_a_quantised_graph_survives_a_file_bit_for_bit_with_its_units(tmp_path, suffix):
    integers = quantize(convolutional(), images(), run=simulate, weight_bits=6).graph
    path = tmp_path / f"model.{suffix}"
    if suffix == "nir":
        from spikeport.formats import nir as file
    else:
        from spikeport.formats import onnx as file
    file.write(integers, path)
    again, _ = file.read(path)
    assert again == integers
    for name in ("lif1", "lif2", "out", "input"):
        assert np.array_equal(again[name].unit, integers[name].unit)
    assert {name: node.exponent for name, node in again.nodes_of(Conv, Linear).items()} == {
        name: node.exponent for name, node in integers.nodes_of(Conv, Linear).items()
    }
    assert again.timesteps == STEPS
