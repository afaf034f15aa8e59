"""What users of 0.1 wrote themselves, or kept of a whole run, is read for good; so is a target that they installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest

import spikeport
from old_files import facts

PLUGIN = facts.FILES.parent / "plugin_0_1"
SINGLE = 1e-4  #: of float32, as in test_0_1_files


def test_a_chip_file(old):
    now, then = spikeport.fit("formats/eight-bits.nir", "users/chip.toml").as_dict(), facts.read("users/chip")
    assert then["bounds"]["shared"]["cores"] > 1
    assert facts.holds(now, then)


def test_a_cost_model(old):
    costs = spikeport.energy(
        "formats/eight-bits.nir", samples="inputs/digits.npy", models=["users/costs.toml"], chip="users/chip.toml"
    )
    now, then = costs.estimates["costs"].as_dict(), facts.read("users/costs")
    assert then["low"] < then["nominal"] < then["high"]
    for bound in ("low", "nominal", "high"):
        assert now[bound] == pytest.approx(then[bound], rel=1e-12)  # whole numbers of events times a constant
    for plain in ("label", "source", "basis", "kind", "unit", "counts"):
        assert now[plain] == then[plain]
    assert costs.chip == "chip"


def test_a_number_format(old):
    made = spikeport.quantize(
        "checkpoints/fixed.safetensors", data="digits", calibration=64, weight_bits=6, profile="users/profile.toml"
    )
    then = facts.read("formats/own-profile")["graph"]["arithmetic"]
    assert then["profile"]["threshold_bits"] == 12
    assert facts.holds(facts.of_value(made.graph.arithmetic), then)


def test_an_imported_checkpoint_and_the_file_it_came_from(old, tmp_path):
    then = facts.read("users/imported")
    x = (np.load("inputs/digits.npy") - 0.25) / 0.5
    again = spikeport.import_checkpoint(
        "users/authors.pth",
        "mpd-agl",
        "mlp",
        timesteps=3,
        input_shape=(1, 8, 8),
        data="digits",
        compare=">",
        normalise="0.25/0.5",
        out=tmp_path / "again.safetensors",
    )
    assert again.thresholds == then["thresholds"]
    for path in ("users/imported.safetensors", tmp_path / "again.safetensors"):
        facts.assert_same_run(spikeport.simulate(path, x), then["run"], SINGLE)
        assert spikeport.evaluate(path, "digits").correct == then["correct"]


def test_the_report_of_a_whole_run_is_written_again(old, tmp_path):
    folder = shutil.copytree(old / "users/run", tmp_path / "run")
    page = spikeport.report(folder).read_text(encoding="utf-8")
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    sections = "accuracy parity thresholds rates mantissas energy cores speed graph findings provenance"
    for section in sections.split():
        assert f'<section id="{section}">' in page
    assert result["provenance"]["command"] == "spikeport run users/plan.toml"
    assert result["provenance"]["command"] in page
    assert f"{100 * result['accuracy']['integer']:.2f}" in page


def test_a_plan_runs_and_its_result_says_no_less(old, tmp_path):
    then = json.loads((old / "users/run/result.json").read_text(encoding="utf-8"))
    now = spikeport.run("users/plan.toml", tmp_path / "run")
    assert set(then) <= set(now)
    assert (tmp_path / "run" / "figures.json").exists()
    for part in ("parity", "energy_joule_per_sample", "verdicts", "samples", "firing_rate", "thresholds"):
        assert set(then[part]) <= set(now[part]), part
    assert set(then["parity"]["integer"]) <= set(now["parity"]["integer"])
    for asked in ("model", "dataset", "method", "timesteps", "seed", "samples"):
        assert now[asked] == then[asked]
    assert now["fit"]["chip"] == then["fit"]["chip"] == "loihi2"
    assert now["parity"]["integer"]["neurons"] == {"dense1.neuron": 6}


SCRIPT = """
import sys
import spikeport
spikeport.simulate("formats/constant.nir", "inputs/constant.npy", "old-numpy", sys.argv[1])
asked = spikeport.check("formats/image.nir", "old-numpy")
print(*sorted(verdict.node for verdict in asked.nodes if verdict.state == "unsupported"), sep="\\n")
"""


def test_an_installed_target_runs_and_says_what_it_cannot(old, tmp_path):
    paths = [str(PLUGIN), *filter(None, [os.environ.get("PYTHONPATH")])]  # there it lies as an installed package does
    options = {"env": {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}}
    script = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    ended = subprocess.run(script, capture_output=True, encoding="utf-8", timeout=120, check=False, **options)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["c.1", "c.2", "flat", "pool"]
    record = spikeport.Record.load(tmp_path / "record.npz")
    assert record.target == "old-numpy"
    facts.assert_same_run(record, facts.read("formats/constant")["run"], 1e-12)


def test_the_one_group_of_entry_points_is_still_asked():
    """0.1 knew one group, ``spikeport.targets``, and these names in it."""
    names = {entry.name for entry in entry_points(group="spikeport.targets")}
    assert names >= {
        "reference",
        "integer",
        "reference-cuda",
        "integer-cuda",
        "onnxruntime",
        "onnxruntime-cuda",
        "lava",
        "sanafe",
    }
