"""Models and data by name: code that is run is said, and data of another coding are refused."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Flatten, Graph, Input
from spikeport.verbs.load import load_data, load_model

SOURCE = """
from torch import nn
from spikeport.training import IF, Repeat, method


def build():
    return nn.Sequential(Repeat(3), nn.Linear(4, 4), IF(method("fixed"), 3), nn.Linear(4, 2)), (4,)
"""


def test_naming_code_runs_it_which_is_said(tmp_path, monkeypatch):
    (tmp_path / "nets_named_in_a_test.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    model = load_model("nets_named_in_a_test:build")
    codes = ["SP909", "SP242", "SP242"]  # that it ran, how it was called, and that its result is read as a mean
    assert [(each.code, each.severity) for each in model.findings] == [(code, "note") for code in codes]
    assert model.graph.timesteps == 3


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_data_come_in_the_coding_that_the_model_takes(coding):
    """Digits are frames, the same at every step."""
    lif = LIF((64,), np.float32(0.5), np.ones(2, np.float32))
    graph = Graph.chain({"input": Input((1, 8, 8), coding), "flat": Flatten(), "lif": lif}, 2)
    if coding == "direct":
        assert load_data("digits", "test", graph, 5).x.shape == (5, 1, 8, 8)
        return
    with pytest.raises(SpikeportError) as caught:
        load_data("digits", "test", graph, 5)
    assert caught.value.code == "SP904"
