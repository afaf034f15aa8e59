"""Whatever happens to a nengo-loihi run, it ends with one coded error, and leaves no process and no folder behind."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from spikeport.environments import VARIABLE
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi
from spikeport.target import Request, silent
from spikeport_targets.entering import entering
from spikeport_targets.nengo_loihi import NengoLoihi
from spikeport_targets.nengo_loihi.child import ENVIRONMENT, ERRORS, execute
from spikeport_targets.nengo_loihi.lowering import lower

HERE = NengoLoihi().availability()
needs_nengo = pytest.mark.skipif(not HERE.ready, reason=f"{HERE.why}: {HERE.mend}")


def small(steps=4, size=3):
    nodes = {
        "input": Input((size,), low=0, high=1),
        "fc": Linear(np.full((2, size), 10, np.int8)),
        "lif": LIF((2,), decay=np.asarray(4096), threshold=np.full(steps, 25), bias=np.asarray(0), compare=">"),
    }
    return Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2))


def planned(samples=2):
    graph = small()
    return lower(graph, entering(graph, np.ones((samples, 3))), membranes=lambda name: False)


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    commands = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                commands.append((entry / "cmdline").read_bytes())
            except OSError:
                continue
    assert not [command for command in commands if f"spikeport-nengo-loihi-{os.getpid()}-".encode() in command]
    assert list(tmp_path.iterdir()) == []


def test_an_environment_that_is_not_there_is_said_with_the_command_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    available = NengoLoihi().availability()
    assert not available.ready
    assert available.mend == "spikeport targets --install nengo-loihi"
    with pytest.raises(SpikeportError, match="targets --install nengo-loihi") as caught:
        NengoLoihi().run(small(), np.ones((1, 3)), Request())
    assert caught.value.code == "SP630"


def test_its_codes():
    assert dataclasses.astuple(ERRORS) == ("nengo-loihi", "SP640", "SP641", "SP642", "SP643")


@needs_nengo
@pytest.mark.usefixtures("nothing_left")
def test_an_exception_inside_comes_back_with_its_traceback():
    broken = planned()
    broken.axons[0].slots[0, 0] = 99  # there is no such synapse
    with pytest.raises(SpikeportError, match="IndexError") as caught:
        execute(ENVIRONMENT.interpreter(), [broken], 60, None, silent)
    assert caught.value.code == "SP640"
    assert "block.py" in str(caught.value)


@needs_nengo
@pytest.mark.usefixtures("nothing_left")
def test_a_run_past_its_limits_is_ended():
    begun = time.monotonic()
    with pytest.raises(SpikeportError) as caught:
        execute(ENVIRONMENT.interpreter(), [planned(samples=100_000)], 3, None, silent)
    assert caught.value.code == "SP641"
    assert time.monotonic() - begun < 30
    with pytest.raises(SpikeportError) as caught:
        execute(ENVIRONMENT.interpreter(), [planned(samples=100_000)], 60, 2**20, silent)
    assert caught.value.code == "SP642"


@needs_nengo
@pytest.mark.usefixtures("nothing_left")
def test_a_worker_that_cannot_start_is_said(tmp_path):
    wrapper = tmp_path / "python"
    wrapper.write_text("#!/bin/sh\necho no such luck >&2\nexit 3\n")
    wrapper.chmod(0o755)
    with pytest.raises(SpikeportError, match="no such luck") as caught:
        execute(wrapper, [planned()], 60, None, silent)
    wrapper.unlink()
    assert caught.value.code == "SP643"
