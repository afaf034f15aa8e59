"""A time limit ends a run between two batches, with one code, wherever it runs."""

from __future__ import annotations

import time

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.target import Request
from spikeport.verbs.execute import execute, execute_in_parts
from spikeport.verbs.load import load_model


@pytest.mark.parametrize("target", ["reference", "onnxruntime", "pytorch"])
def test_a_run_is_stopped_between_two_batches(target, monkeypatch):
    """A clock that every look at it moves on by a second."""
    model = load_model("digits-conv")
    x = np.zeros((12, *model.graph.shapes[model.graph.input]), np.float32)
    clock = iter(range(1000))
    done = []
    request = Request(batch=2, seconds=2.5, progress=lambda samples, _: done.append(samples))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    with pytest.raises(SpikeportError) as caught:
        execute(model, target, x, request)
    assert caught.value.code == "SP512"
    assert done[0] == 2
    assert done[-1] < 12
    assert f"{done[-1]} of 12 samples" in str(caught.value)


def test_the_limit_is_that_of_all_parts(monkeypatch, tmp_path):
    """The first part is kept, and its time counts: a look at the clock takes a second, of which six are allowed."""
    model = load_model("digits-conv")
    x = np.zeros((4, *model.graph.shapes[model.graph.input]), np.float32)
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr("spikeport.engine.resume.PART", 2)
    with pytest.raises(SpikeportError) as caught:
        execute_in_parts(model, "reference", x, Request(seconds=6.0), tmp_path, resume=False)
    assert caught.value.code == "SP512"
    assert len(list(tmp_path.rglob("part-*.npz"))) == 1
