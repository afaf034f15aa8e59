"""Each way in which a child process ends badly has the code of its target, and SANA-FE refuses what it cannot take."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Pool, Readout
from spikeport.verbs.energy import energy
from spikeport_targets import watched
from spikeport_targets.lava import child as lava
from spikeport_targets.sanafe import child as sanafe
from spikeport_targets.sanafe import edges

T = 2
WORKERS = {
    "exception": "from pathlib import Path\nfrom spikeport_targets.guard import reporting\n"
    "with reporting(Path('.')):\n    raise ValueError('no such synapse')\n",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "time": "import time\ntime.sleep(600)\n",
}


@pytest.mark.parametrize("errors", [lava.ERRORS, sanafe.ERRORS], ids=["lava", "sanafe"])
@pytest.mark.parametrize("end", WORKERS)
def test_a_child_that_ends_badly_is_one_error_of_its_target(errors, end, tmp_path):
    (tmp_path / "ends_badly.py").write_text(WORKERS[end])
    limit = 0.5 if end == "time" else 250.0
    with pytest.raises(SpikeportError) as caught:
        watched.run(
            watched.module("ends_badly"),
            tmp_path,
            errors,
            seconds=limit,
            memory=None,
            segments="spikeport_no_segments_",
            where=lambda: errors.name,
        )
    assert caught.value.code == getattr(errors, end)
    assert ("no such synapse" in str(caught.value)) == (end == "exception")


def test_the_codes_of_the_targets():
    assert (lava.ERRORS.exception, lava.ERRORS.time, lava.ERRORS.memory, lava.ERRORS.killed) == (
        "SP620",
        "SP621",
        "SP622",
        "SP623",
    )
    assert (sanafe.ERRORS.exception, sanafe.ERRORS.time, sanafe.ERRORS.killed) == ("SP743", "SP744", "SP745")


def network(*, pooled):
    """A convolution, pooled before its neurons or not."""
    between = {"pool": Pool("sum", (2, 2), (2, 2), (1, 1))} if pooled else {}
    size = 3 if pooled else 4
    nodes = {
        "input": Input((1, 6, 6), "events"),
        "conv": Conv(np.ones((1, 1, 3, 3), np.float32)),
        **between,
        "lif": LIF((1, size, size), np.float32(0), np.ones(T, np.float32)),
        "flat": Flatten(),
        "fc": Linear(np.ones((2, size * size), np.float32)),
        "out": Readout((2,), np.ones(T, np.float32)),
    }
    return Graph.chain(nodes, T)


def test_a_padded_pool_between_a_synapse_and_its_neurons_has_no_edges():
    with pytest.raises(SpikeportError) as caught:
        edges.edges(network(pooled=True))
    assert caught.value.code == "SP741"


def test_more_edges_than_it_can_take_are_refused_before_they_are_listed(monkeypatch):
    """16 windows of 9 taps, and 16 inputs of 2 outputs."""
    count = 16 * 9 + 16 * 2
    monkeypatch.setattr(edges, "LIMIT", count)
    assert sum(len(each.pairs) for each in edges.edges(network(pooled=False))) == count
    monkeypatch.setattr(edges, "LIMIT", count - 1)
    with pytest.raises(SpikeportError) as caught:
        edges.edges(network(pooled=False))
    assert caught.value.code == "SP742"


def test_a_replay_needs_a_mapping():
    """Without a chip there is none."""
    with pytest.raises(SpikeportError) as caught:
        energy(network(pooled=False), samples=np.ones((T, 1, 1, 6, 6), np.float32), chip=None, sanafe=1)
    assert caught.value.code == "SP741"
