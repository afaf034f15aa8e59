"""The whole way for a network that was trained elsewhere: what it takes, what it asks for, and what it says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from data_files import code
from spikeport import quantize, run
from spikeport.engine.target import Integer
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Graph, Input, Linear, Real
from spikeport.target import Availability, registry

RNG = np.random.default_rng(5)
X = RNG.random((24, 6), dtype=np.float32)
Y = np.arange(24) % 3
SOURCE = """
import torch
from torch import nn
from spikeport.training import IF, Repeat, method

torch.manual_seed(1)
net = nn.Sequential(Repeat(3), nn.Linear(6, 8), IF(method("fixed"), 3), nn.Linear(8, 3))
"""
PLAN = """
trained = "plan_of_a_test_net.py:net"
data = "mine.npz"
limit = 10
target = "onnxruntime"

[quantize]
weight_bits = 2
calibration = 8
"""


def network(*thresholds):
    draw = np.random.default_rng(1).standard_normal
    nodes = {
        "input": Input((6,)),
        "one": Linear(draw((8, 6)).astype(np.float32)),
        "lif": LIF((8,), np.float32(0.5), np.float32(thresholds or (1, 1, 1))),
        "two": Linear(draw((3, 8)).astype(np.float32)),
        "last": LIF((3,), np.float32(0.5), np.ones(3, np.float32)),
    }
    return Graph.chain(nodes, timesteps=3, arithmetic=Real("float32"))


@dataclass(frozen=True)
class Peer:
    """The integer engine as somebody's target: whether it is here, and for which numbers it wants networks."""

    here: bool
    name: str = "peer"
    profile: str = "loihi1"
    gets: str = "loihi1"
    check = Integer().check

    def availability(self):
        return Availability(self.here, "1", "it is not installed", "install it")

    def run(self, graph, samples, request):
        assert graph.arithmetic.profile.name == self.gets
        return Integer().run(graph, samples, request)


def test_a_plan_takes_a_file_s_network_through_every_stage(tmp_path):
    (tmp_path / "plan_of_a_test_net.py").write_text(SOURCE)
    (tmp_path / "plan.toml").write_text(PLAN)
    np.savez(tmp_path / "mine.npz", x_train=X[:12], y_train=Y[:12], x_test=X[12:], y_test=Y[12:])
    result = run(tmp_path / "plan.toml", tmp_path / "out")
    assert result == json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["samples"] == dict.fromkeys(("pytorch", "nir", "onnx", "integer", "onnxruntime"), 10)
    against = {name: entry["against"] for name, entry in result["parity"].items()}
    assert against["onnxruntime"] == "integer"
    for name in ("graph", "graph_float64", "nir", "onnx", "onnxruntime"):
        assert result["parity"][name]["mismatches_above_rounding"] == 0, name
    assert {"sha256 of mine.npz", "sha256 of plan.toml"} <= set(result["provenance"])
    first = re.search(r"sample (\d+)", result["first_divergence"]["integer"])[1]
    drawn = json.loads((tmp_path / "out" / "figures.json").read_text())["spikes"]["caption"]
    assert drawn.startswith(f"Sample {first} of 10;")
    codes = {each["code"] for each in result["findings"]}
    assert "SP909" in codes
    assert "SP241" not in codes  # calibrated on its own part
    assert all(
        f'id="{part}"' in (tmp_path / "out" / "report.html").read_text() for part in ("energy", "cores", "parity")
    )


def test_without_labels_or_a_training_part_it_says_what_that_means(tmp_path):
    result = run(network(), tmp_path, data=X, target="integer")
    assert result["accuracy"] == {}
    assert set(result["samples"]) == {"graph", "nir", "onnx", "integer"}
    assert {"SP238", "SP241"} <= {each["code"] for each in result["findings"]}
    assert result["provenance"]["command"] == "spikeport.run(graph, data=…, target=integer)"
    assert "Labels would say" in (tmp_path / "report.html").read_text()


def test_a_target_gets_the_numbers_that_it_asks_for_or_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(registry(), "peer", Peer(True))
    result = run(network(), tmp_path / "a", data=(X, Y), target="peer", target_samples=5)
    assert result["parity"]["peer"]["spike_mismatches"] == 0
    assert result["samples"]["peer"] == 5
    oracle = result["parity"]["peer"]["oracle"]  # what computed, by its version
    assert f"peer ({oracle}) agrees on every spike of 5 of 24 samples" in (tmp_path / "a" / "report.html").read_text()
    monkeypatch.setitem(registry(), "peer", Peer(True, gets="loihi2"))  # one threshold is not enough here
    result = run(network(1, 0.8, 1.2), tmp_path / "c", data=(X, Y), target="peer", target_samples=5)
    assert "SP243" in {each["code"] for each in result["findings"]}
    monkeypatch.setitem(registry(), "peer", Peer(False))
    assert code(run, network(), tmp_path / "b", data=(X, Y), target="peer") == "SP240"
    assert code(run, network(), tmp_path / "b", data=(X, Y), target="pear") == "SP501"
    monkeypatch.setitem(registry(), "lava", Peer(False))
    result = run(network(), tmp_path / "b", data=(X, Y))
    assert "lava" not in result["samples"]
    assert "SP240" in {each["code"] for each in result["findings"]}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"network": "digits", "data": X}, "leave out data"),
        ({"network": network()}, "--data FILE.npz"),
        ({"network": network(), "data": X, "method": "fixed"}, "leave out method"),
        ({"network": quantize(network(), data=X, steps=()).graph, "data": X}, "spikeport compare"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_runs(given, says, tmp_path):
    with pytest.raises(SpikeportError, match=says) as caught:
        run(out=tmp_path, target="integer", **given)
    assert caught.value.code == "SP239"


def test_a_module_that_knows_no_float64_is_told_so_in_its_own_words(tmp_path):
    """Zeros of float32 beside samples of float64: torch's words, without those of what called it."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            u, total = torch.zeros(len(x), 6), 0.0
            for _ in range(3):
                u = 0.5 * u + self.a(x)
                s = (u >= 0.1).float()
                u, total = u * (1 - s), total + self.b(s)
            return total

    x = np.random.default_rng(3).random((20, 4), np.float32)
    findings = run((Net(), (4,)), tmp_path, data=x, target="integer")["findings"]
    (said,) = (each["what"] for each in findings if each["code"] == "SP240")
    assert said.startswith("it does not run in float64 (its forward fails on samples of shape [2, 4]: RuntimeError: ")
    assert "SpikeportError" not in said
