"""Integers made for data in whole steps say of samples between those steps that they are rounded, and how many are."""

from __future__ import annotations

import numpy as np
import pytest

import spikeport
from spikeport.graph import LIF, Graph, Input, Linear, Readout, Real

RANDOM, T = np.random.default_rng(4), 3
STEPS = RANDOM.integers(0, 5, (40, 6)).astype(np.float32) / 4  #: whole multiples of 1/4
Y = np.arange(40) % 3
BETWEEN = STEPS.copy()
BETWEEN[3, :5] += 0.1  #: 5 of 240 values, 0.1 from a step
SAID = "5 of 240 values are no whole multiples of 0.25, and are rounded to them (by at most 0.1)"


def real():
    nodes = {
        "in": Input((6,), "direct"),
        "a": Linear(RANDOM.normal(size=(8, 6)).astype(np.float32)),
        "s": LIF((8,), np.float32(0.5), np.ones(T, np.float32)),
        "b": Linear(RANDOM.normal(size=(3, 8)).astype(np.float32)),
        "out": Readout((3,), np.ones(T, np.float32)),
    }
    return Graph.chain(nodes, T, arithmetic=Real("float32"))


def told(result):
    findings = result["findings"] if isinstance(result, dict) else result.findings
    facts = [each if isinstance(each, dict) else {"code": each.code, "what": each.what} for each in findings]
    return [each["what"] for each in facts if each["code"] == "SP403"]


@pytest.mark.parametrize("verb", ["simulate", "evaluate", "events", "energy"])
def test_each_verb_says_how_many_values_integers_round_that_were_made_for_none(verb, tmp_path):
    spikeport.quantize(real(), data=(STEPS, Y), out=tmp_path / "a.nir")
    run = getattr(spikeport, verb)
    assert told(run(tmp_path / "a.nir", data=(STEPS, Y))) == []
    assert told(run(tmp_path / "a.nir", data=(BETWEEN, Y))) == [SAID]
    assert told(run(real(), data=(BETWEEN, Y))) == []


def test_samples_behind_their_steps_are_seen_as_well():
    """Frames lie [T, B, ...]: all samples of a block are looked at, the 70th too."""
    nodes = {**real().nodes, "in": Input((6,), "events")}
    graph = Graph.chain(nodes, T, arithmetic=Real("float32"))
    x = RANDOM.integers(0, 5, (T, 70, 6)).astype(np.float32) / 4
    made = spikeport.quantize(graph, data=x, frames=True).graph
    x[2, 69, 1:3] += 0.05
    assert told(spikeport.simulate(made, x)) == [SAID.replace("5 of 240", "2 of 1,260").replace("0.1)", "0.05)")]


def test_quantize_and_run_say_so_of_the_samples_that_judge(tmp_path):
    splits = {"x_train": STEPS, "y_train": Y, "x_val": BETWEEN, "y_val": Y, "x_test": BETWEEN, "y_test": Y}
    np.savez(tmp_path / "a.npz", **splits)
    assert told(spikeport.quantize(real(), data=str(tmp_path / "a.npz"))) == [SAID]
    said = spikeport.run(real(), tmp_path / "out", data=str(tmp_path / "a.npz"), target="integer")
    assert told(said) == [SAID, SAID]  # of val, of test


def test_where_the_calibration_data_were_rounded_that_was_said_then():
    made = spikeport.quantize(real(), data=(RANDOM.random((40, 6), np.float32), Y))
    assert "are rounded to 8 bits" in told(made)[0]
    assert told(spikeport.simulate(made.graph, BETWEEN / 2)) == []
