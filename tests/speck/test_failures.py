"""Whatever happens to a run on sinabs' layers, it ends with one coded error, and samna is never imported."""

from __future__ import annotations

import dataclasses
import sys
import tempfile

import numpy as np
import pytest

from spikeport.environments import VARIABLE
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, SPECK, Graph, Input, Linear, Loihi
from spikeport.target import Request, silent
from spikeport_targets.entering import entering
from spikeport_targets.speck import Speck
from spikeport_targets.speck.child import ENVIRONMENT, ERRORS, execute
from spikeport_targets.speck.lowering import lower

HERE = Speck().availability()
needs_sinabs = pytest.mark.skipif(not HERE.ready, reason=f"{HERE.why}: {HERE.mend}")


def small():
    lif = LIF((2,), np.asarray(4096), np.full(4, 25), np.asarray(0), compare=">", gain=np.asarray(1))
    nodes = {"input": Input((3,), "events", low=0, high=1), "fc": Linear(np.full((2, 3), 10)), "lif": lif}
    return Graph.chain(nodes, 4, arithmetic=Loihi(SPECK))


def planned(samples=2):
    graph = small()
    return lower(graph, entering(graph, np.ones((4, samples, 3))), membranes=lambda name: False, at_once=1)


def test_an_environment_that_is_not_there_is_said_with_the_command_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(SpikeportError, match="targets --install speck") as caught:
        Speck().run(small(), np.ones((4, 1, 3)), Request())
    assert caught.value.code == "SP663"


def test_its_codes_and_that_pip_brings_no_samna():
    assert dataclasses.astuple(ERRORS) == ("sinabs", "SP659", "SP660", "SP661", "SP662")
    assert ENVIRONMENT.alone == ("sinabs==3.1.3",)
    assert not [each for each in ENVIRONMENT.requirements if each.startswith("samna")]


@needs_sinabs
def test_a_run_that_goes_wrong_says_how_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    python = ENVIRONMENT.interpreter()
    broken = planned()
    broken.parts[0].arrays["weight"] = np.ones((2, 4), int)
    for plan, seconds, memory, code in (
        (broken, 120, None, "SP659"),
        (planned(50_000), 1, None, "SP660"),
        (planned(), 120, 2**20, "SP661"),
    ):
        with pytest.raises(SpikeportError) as caught:
            execute(python, [plan], seconds, memory, silent)
        assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []
    assert "samna" not in sys.modules
