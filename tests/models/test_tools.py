"""The probe, the claims, the cards and the cross-validation."""

import json
import math
import statistics

import numpy as np
import pytest
import torch

from spikeport.training import LIF, DsAtgo, Fixed, shipped
from spikeport.training.probe import activity
from spikeport.training.recipe import read
from spikeport_models import card, claims, crossval

SMALL = {"epochs": 2, "architecture.channels": [4, 8], "architecture.hidden": 16, "batch": 100}


def test_the_probe_counts_who_fires_and_who_is_near():
    """u = 0.1, 0.4, 0.6 and 2.0 around the threshold 0.5 with width 1 (open interval); then nothing comes in."""
    x = torch.tensor([[[0.1, 0.4, 0.6, 2.0]], [[0.0] * 4]])
    module = torch.nn.Sequential(LIF(Fixed(), 2, decay=0.5))
    layer = activity(module, x)["0"]
    assert layer.rate == [0.5, 0.0]
    assert layer.inside == [0.75, 0.5]  # second step: 0.05, 0.2, and 0 twice, which is half a width away


@pytest.mark.parametrize("threshold", [0.5, 2.0])
@pytest.mark.parametrize("per_channel", [False, True])
def test_the_probe_fires_with_the_learned_table_and_not_with_thresholds_of_its_samples(threshold, per_channel):
    """N(0, 0.5) around a threshold that is not its mean + std: rate 1 - Phi(2 th); width 1 + tanh(0.5 - 1), sigma's."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(LIF(DsAtgo(per_channel=per_channel), 1, channels=4))
    module[0].threshold.fill_(threshold)
    layer = activity(module, 0.5 * torch.randn(1, 25_000, 4))["0"]
    width = 1 + math.tanh(-0.5)
    law = statistics.NormalDist(0, 0.5).cdf
    assert layer.rate[0] == pytest.approx(1 - law(threshold), abs=0.004)
    assert layer.width[0] == pytest.approx(width, abs=0.005)
    assert layer.inside[0] == pytest.approx(law(threshold + width / 2) - law(threshold - width / 2), abs=0.005)
    assert layer.threshold == [threshold]
    assert (module[0].threshold == threshold).all()


def test_the_claims_are_written_and_drawn(tmp_path):
    result = claims.claims("digits-conv", 1, tmp_path, SMALL)
    assert len(result["methods"]) == 4
    assert json.loads((tmp_path / "claims.json").read_text()) == result
    assert (tmp_path / "claims.png").read_bytes().startswith(b"\x89PNG")
    lines = claims.table(result).splitlines()
    assert len(lines) == 2 + 4
    assert "±" not in lines[-1]  # one seed has no spread
    twice = {**result, "methods": {name: runs * 2 for name, runs in result["methods"].items()}}
    assert claims.table(twice).splitlines()[-1].count("± 0.0") == 3 + 3 + 1
    (run,) = result["methods"]["ds-atgo, V_th 1"]
    module, _ = shipped.load(tmp_path / "ds-atgo-1-0" / "best.safetensors")
    for name, thresholds in run["threshold"].items():
        assert thresholds == module.get_submodule(name).neuron.threshold.tolist()  # the table that inference uses


def test_folds_hold_every_sample_out_once_and_keep_the_classes():
    y = np.arange(200) % 10
    parts = crossval.folds(y, 5)
    assert sorted(np.concatenate([out for _, out in parts]).tolist()) == list(range(200))
    for inside, out in parts:
        assert not set(inside) & set(out)
        assert np.bincount(y[out]).tolist() == [4] * 10


def test_cross_validation_trains_every_fold(tmp_path):
    recipe = read(shipped.find("digits"), {**SMALL, "epochs": 6, "batch": 50})
    result = crossval.cross_validate(recipe, 2, tmp_path)
    assert result["samples"] == 1797
    assert result["mean"] == pytest.approx(sum(result["folds"]) / 2)
    assert result["mean"] > 0.3
    module, facts = shipped.load(tmp_path / "fold2.safetensors")
    data = crossval.everything("digits")
    held_out = crossval.folds(data.y, 2)[1][1]
    right = (module(torch.from_numpy(data.x[held_out])).argmax(1).numpy() == data.y[held_out]).mean()
    assert right == pytest.approx(facts["held_out_accuracy"])
    again = crossval.cross_validate(recipe, 2, tmp_path, weight_bits=8, again=True)
    assert again["folds"] == pytest.approx(result["folds"])
    for fold, integers in zip(again["folds"], again["integers"], strict=True):
        assert integers["real"] == pytest.approx(fold, abs=0.004)  # PyTorch's network, and its graph in the engine
        assert abs(integers["integer"] - integers["real"]) < 0.03
        assert integers["argmax_agreement"] > 0.9


def test_a_card_is_written_from_measurements():
    name = next(iter(shipped.models()))
    path = shipped.models()[name]
    text = card.card(path, card.Words("a test"))
    for fact in ("95 % interval", "Seed", "Parameters", "thresholds over time", "spikeport evaluate", "Licence"):
        assert fact in text
