"""A verb imports nothing that it does not use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.formats import nir, onnx
from spikeport.target import Request
from spikeport.verbs.prepare import network

#: what takes longest to import, and rooms of ours that few verbs need
HEAVY = ("torch", "numba", "scipy", "sklearn", "matplotlib", "jinja2", "onnx", "onnxruntime", "h5py", "ray", "optuna")
ROOMS = (
    "engine.cpu",
    "engine.cpu.layers",
    "training.neurons",
    "tracing",
    "quantisation",
    "comparison",
    "reporting.page",
    "mapping",
    "costs",
)
VERBS = {  #: words of a command -> what it may import of these
    "explain SP402": set(),
    "export a.nir --out b.nir": {"h5py"},
    "export a.nir --out b.onnx": {"h5py", "onnx"},
    "export a.onnx --out c.onnx": {"onnx"},
    "inspect a.nir": {"h5py"},
    "check a.nir --target integer": {"h5py"},
    "simulate a.nir --data x.npy --out a": {"h5py", "torch", "spikeport.engine.cpu"},
    "simulate real.nir --data x.npy --out real": {"h5py", "torch", "spikeport.engine.cpu"},
    "fit a.nir": {"h5py", "spikeport.mapping", "spikeport.costs"},
    "plot record.npz --out a.png": {
        *("matplotlib", "spikeport.comparison", "spikeport.quantisation", "spikeport.mapping", "spikeport.costs")
    },
    "report .": {
        *("jinja2", "spikeport.reporting.page"),
        *("spikeport.comparison", "spikeport.quantisation", "spikeport.mapping", "spikeport.costs"),
    },
    "evaluate --help": {"spikeport.comparison", "spikeport.quantisation", "spikeport.mapping", "spikeport.costs"},
    "energy --help": {"spikeport.mapping", "spikeport.costs"},
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Status and imports of each command, in a folder with a model as NIR and ONNX and a record."""
    place = tmp_path_factory.mktemp("files")
    graph = network("matrix", "integers")
    nir.write(graph, place / "a.nir")
    onnx.write(graph, place / "a.onnx")
    x = np.ones((2, 1, 8), np.float32)
    simulate(graph, x, Request(trains=True)).save(place / "record.npz")
    nir.write(network("matrix", "float32"), place / "real.nir")
    np.save(place / "x.npy", x)
    told = json.dumps([[*HEAVY, *(f"spikeport.{room}" for room in ROOMS)], list(VERBS)])
    words = [sys.executable, Path(__file__).with_name("imported.py"), told]
    lines = subprocess.run(words, cwd=place, capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(zip(VERBS, map(json.loads, lines), strict=True))


@pytest.mark.parametrize("command", VERBS)
def test_a_verb_imports_what_it_uses(imported, command):
    status, modules = imported[command]
    assert status == 0
    assert set(modules) <= VERBS[command]
