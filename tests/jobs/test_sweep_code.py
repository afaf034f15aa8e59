"""Sweeps over a network that code makes: it is known by what it computes, and read as its verbs read it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest

import spikeport
from hand_written import Cell

SOURCE = f"""
from pathlib import Path
import torch
from torch import nn

{inspect.getsource(Cell)}

def net():
    made = Cell()
    sign = float(Path("sign.txt").read_text())  # as weights that are loaded
    made.out.weight.data *= sign
    made.out.bias.data *= sign
    return made
"""
RUN = "import spikeport; swept = spikeport.sweep('plan.toml', 'out'); print(swept.rows[0].figures['real_accuracy'])"


@pytest.fixture
def place(tmp_path, monkeypatch):
    x = np.random.default_rng(7).integers(0, 2, (60, 5, 4)).astype(np.float32)
    np.savez(tmp_path / "my.npz", x=x, y=np.arange(60) % 3 // 2)
    (tmp_path / "nets_of_a_sweep.py").write_text(SOURCE)
    (tmp_path / "sign.txt").write_text("1")
    reads = 'data = "my.npz"\nframes = true\n'
    plan = f'name = "a"\nmodel = "nets_of_a_sweep.py:net"\ngoals = ["accuracy"]\n[quantize]\n{reads}[evaluate]\n{reads}'
    (tmp_path / "plan.toml").write_text(f'{plan}[axes]\n"quantize.weight_bits" = [6]\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def swept():
    """In a process of its own, as a command is: a process keeps the modules that it imported."""
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True, timeout=300)
    return float(done.stdout)


def test_another_network_of_the_same_name_is_run_again_in_the_same_folder(place):
    """Of two classes: with its outputs negated a network is right where it was wrong."""
    before = swept()
    assert 0 < before < 1
    kept = sorted((place / "out" / "results").rglob("result.json"))
    assert swept() == before
    assert sorted((place / "out" / "results").rglob("result.json")) == kept  # nothing ran twice
    (place / "sign.txt").write_text("-1")
    assert swept() == pytest.approx(1 - before)


def test_a_module_alone_takes_the_frames_of_the_plans_data(place):
    """Its shape and its number of steps come from them, as for the verb."""
    found = spikeport.sweep("plan.toml", place / "other")
    assert found.rows[0].state == "done"
    alone = spikeport.evaluate("nets_of_a_sweep.py:net", "my.npz", frames=True)
    assert found.rows[0].figures["real_accuracy"] == alone.accuracy
    page = (place / "other" / "report.html").read_text()
    assert "<h2>Best</h2>" in page
    assert "constraints" not in page  # there are none
