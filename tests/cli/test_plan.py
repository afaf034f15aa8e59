"""A whole run from one TOML file: training, quantisation, targets and chip."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from spikeport.findings import SpikeportError
from spikeport.verbs.inspect import inspect
from spikeport.verbs.plan import Plan, read
from spikeport.verbs.run import run
from spikeport.verbs.train import train

TEXT = """
recipe = "digits"
method = "fixed"
lava_samples = 0
chip = "loihi2"

[train]
epochs = 1

[quantize]
weight_bits = 6
calibration = 16
"""


def test_a_training_recipe_is_a_whole_run_with_the_usual_rest(tmp_path):
    assert read("digits") == Plan(recipe="digits")
    (tmp_path / "mine.toml").write_text('model = "mine"\n')
    assert read(tmp_path / "mine.toml").recipe == str(tmp_path / "mine.toml")


def test_a_recipe_beside_the_plan_is_found(tmp_path):
    (tmp_path / "mine.toml").write_text('model = "mine"\n')
    (tmp_path / "plan.toml").write_text('recipe = "mine.toml"\n')
    assert read(tmp_path / "plan.toml").recipe == str(tmp_path / "mine.toml")


def test_every_wrong_field_is_named(tmp_path):
    (tmp_path / "plan.toml").write_text('recipe = "digits"\nlava = 3\n[quantize]\ncalibration = 0\n')
    with pytest.raises(SpikeportError) as caught:
        read(tmp_path / "plan.toml")
    assert {found.code for found in caught.value.findings} == {"SP312"}
    assert {found.what.split(":")[0] for found in caught.value.findings} == {"lava", "quantize.calibration"}


def test_the_run_does_what_the_file_says(tmp_path):
    """Also where another run left its training: the folder is the run's own."""
    train("digits", "mpd-agl", tmp_path / "out" / "train", {"epochs": 1, "batch": 400}, progress=False)
    (tmp_path / "plan.toml").write_text(TEXT)
    result = run(str(tmp_path / "plan.toml"), tmp_path / "out")
    assert result == json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["method"], result["fit"]["chip"]) == ("fixed", "loihi2")
    assert "lava" not in result["accuracy"]
    assert len(json.loads((tmp_path / "out" / "train" / "metrics.json").read_text())) == 1
    facts = inspect(tmp_path / "out" / "model.int.nir").provenance
    assert facts["quantised.calibration.samples"] == "16"
    assert facts["quantised.weight_bits.conv2.synapse"] == "6"
    assert "sha256 of plan.toml" in result["provenance"]


def test_the_tutorials_plan_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "plan.toml").write_text(text)
    plan = read(tmp_path / "plan.toml")
    assert plan.train == {"epochs": 30}
    assert plan.quantize.fine_tune == 3
