"""Whatever happens to a run on xylosim, it ends with one coded error; what its order of events changes is counted."""

from __future__ import annotations

import dataclasses
import sys
import tempfile

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.environments import VARIABLE
from spikeport.findings import SpikeportError
from spikeport.graph import XYLO, CubaLIF, Graph, Input, Linear, Loihi
from spikeport.target import Request, silent
from spikeport_targets.entering import entering
from spikeport_targets.xylo import Xylo
from spikeport_targets.xylo.checks import examined
from spikeport_targets.xylo.child import ENVIRONMENT, ERRORS, execute
from spikeport_targets.xylo.lowering import lower

HERE = Xylo().availability()
needs_xylosim = pytest.mark.skipif(not HERE.ready, reason=f"{HERE.why}: {HERE.mend}")


def small(weight=((20, 20), (20, -10)), exponent=0):
    numbers = {"gain": np.asarray(1), "reset": "subtract", "compare": ">=", "most_spikes": 31}
    halves = {"decay": np.asarray(2048), "current_decay": np.asarray(2048), "bias": np.asarray(0)}
    nodes = {
        "input": Input((2,), "events", low=0, high=15),
        "fc": Linear(np.array(weight), exponent=exponent),
        "n": CubaLIF((2,), threshold=np.full(4, 9000), **numbers, **halves),
    }
    return Graph.chain(nodes, 4, arithmetic=Loihi(XYLO))


def planned(samples=2):
    graph = small()
    place, _ = examined(graph)
    return lower(graph, place, entering(graph, np.ones((4, samples, 2))))


def test_an_environment_that_is_not_there_is_said_with_the_command_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(SpikeportError, match="targets --install xylo") as caught:
        Xylo().run(small(), np.ones((4, 1, 2)), Request())
    assert caught.value.code == "SP682"


def test_its_codes():
    assert dataclasses.astuple(ERRORS) == ("xylosim", "SP678", "SP679", "SP680", "SP681")


@needs_xylosim
def test_a_run_that_goes_wrong_says_how_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    python = ENVIRONMENT.interpreter()
    broken = planned()
    broken.synapses["input"].weight[0, 0] = 1000
    for plan, seconds, memory, code in (
        (broken, 120, None, "SP678"),
        (planned(100_000), 1, None, "SP679"),
        (planned(), 120, 2**20, "SP680"),
    ):
        with pytest.raises(SpikeportError) as caught:
            execute(python, [plan], seconds, memory, silent)
        assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []
    assert "xylosim" not in sys.modules


@needs_xylosim
def test_events_that_saturate_a_sum_between_others_are_counted():
    """15 of 16,256 fill the current; 15 of -16,384 come later and take it to its other end. Added first: -1,920."""
    graph, x = small(((127, -128), (127, 0)), exponent=7), np.zeros((4, 1, 2))
    x[0] = 15
    wished = Request(trains=True, membranes=True)
    record, ours = Xylo().run(graph, x, wished), simulate(graph, x, wished)
    assert ours.membranes["n"][0, 0, 0] == -1920 // 2 * 64
    assert record.membranes["n"][0, 0, 0] == -32768 // 2 * 64
    assert record.overflows["n"]["current saturated between the events of a step"] > 0
    assert any(finding.code == "SP677" for finding in record.findings)
    assert np.array_equal(record.membranes["n"][:, 0, 1], ours.membranes["n"][:, 0, 1])
