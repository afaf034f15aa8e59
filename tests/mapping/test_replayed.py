"""The time of a run by fitted times, step by step on paper; SANA-FE says the same (`tests/sanafe_replays.py`)."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.mapping import Mapping, find
from spikeport.mapping.fit import fit
from spikeport.mapping.replayed import fitted_step, played, seconds
from spikeport.target import Request


def test_each_step_takes_its_busiest_sender_or_receiver_and_the_barrier():
    """Three spikes reach 8 neurons on 4 cores, which all fire once and reach 2 neurons on a core of their own."""
    f4 = np.float32
    nodes = {"input": Input((3,), "events"), "a": Linear(np.ones((8, 3), f4)), "lif": LIF((8,), f4(0), np.ones(1, f4))}
    graph = Graph.chain(nodes | {"b": Linear(np.ones((2, 8), f4)), "out": Readout((2,), np.ones(1, f4))}, 1)
    chip = find("loihi1")
    two = chip.limits["neurons"].model_copy(update={"value": 2})
    mapping = Mapping(graph, fit(graph, chip.model_copy(update={"limits": {**chip.limits, "neurons": two}})))
    x = np.ones((1, 1, 3), f4)
    record = simulate(graph, x, Request(trains=True))
    trains = played(mapping, record, x)
    assert [train.any(1).tolist() for train in trains.values()] == [
        [True, False, False],
        [False, True, False],
        [False] * 3,
    ]
    received = 3 * 16 + 6 * 3.8  # messages of the input on one core, and 3 x 2 operations
    answered = max(8 * 16 + 16 * 3.8, 2 * (9.7 + 30 + 5.1))  # by the core of the readout; the senders take less
    idle = 2 * 9.7
    whole = (received + answered + idle + 3 * 1000) * 1e-9  # five cores are two tiles
    assert seconds(mapping, trains) == pytest.approx(whole, rel=1e-12)
    assert fitted_step(mapping, record, x) == pytest.approx(whole / 3, rel=1e-12)
    bare = Mapping(graph, fit(graph, "loihi2"))
    assert seconds(bare, trains) is None
    assert fitted_step(bare, record, x) is None
