"""Folders that a verb goes on in or tells of: files that claim what is not theirs, and what they would have run."""

from __future__ import annotations

import json

import numpy as np

from data_files import code
from hostile.folder_files import begun, training_file
from hostile.model_files import small
from spikeport.engine import simulate
from spikeport.engine.resume import run_in_parts
from spikeport.findings import fail
from spikeport.jobs.store import Store
from spikeport.training import resume
from spikeport.verbs.report import report


def test_the_page_of_a_sweep_runs_no_code_that_its_folder_names(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(tmp_path)
    noted = {"plan": {"model": "evil.py:main", "verbs": {"fit": {}}}, "points": [{}], "failures": {}}
    (tmp_path / "sweep.json").write_text(json.dumps(noted))
    assert code(report, tmp_path) == "SP967"


def test_a_result_whose_files_lie_elsewhere_is_none(tmp_path):
    place = Store(tmp_path).folder("ab12")
    place.mkdir(parents=True)
    for name in ("/dev/zero", "../../../outside", "link"):
        (place / "link").unlink(missing_ok=True)
        (place / "link").symlink_to("/dev/zero")
        (place / "result.json").write_text(json.dumps({"files": {name: "0"}, "facts": {}}))
        assert Store(tmp_path).facts("ab12") is None


def test_a_part_of_other_samples_is_computed_again(tmp_path):
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    whole = run_in_parts(simulate, small(), x, tmp_path, size=2)
    simulate(small(), x[:1]).save(tmp_path / "part-000000.npz")
    again = run_in_parts(simulate, small(), x, tmp_path, size=2, resume=True)
    np.testing.assert_array_equal(again.outputs, whole.outputs)


def test_a_training_goes_on_from_its_own_state_alone(tmp_path):
    """A slot of the optimiser under another name would be passed over, and the epochs after it would be others."""
    path, data = tmp_path / "resume.safetensors", training_file()
    for old, new in (
        (b"momentum_buffer", b"momentum_buffes"),
        (b'\\"best\\": 1', b'\\"best\\": 2'),
        (b"best.", b"bast."),
    ):
        assert old in data
        path.write_bytes(data.replace(old, new))
        assert code(resume.restore, path, begun()) == "SP318"
    path.write_bytes(data)
    resume.restore(path, training := begun())
    assert [epoch.epoch for epoch in training.epochs] == [1]


def test_a_run_that_is_refused_leaves_no_folder(tmp_path):
    def refuses(graph, samples, request):
        fail("SP501", "not here", mend="elsewhere")

    x, place = np.zeros((3, 1, 8, 8), np.float32), tmp_path / "a" / "parts"
    assert code(run_in_parts, refuses, small(), x, place) == "SP501"
    assert not list(tmp_path.iterdir())
    place.mkdir(parents=True)
    (place / "mine").touch()
    assert code(run_in_parts, refuses, small(), x, place) == "SP501"
    assert (place / "mine").exists()
