"""Batches that are taken down once and repeated, as CUDA graphs are; here a tape stands for the graph."""

from __future__ import annotations

import pytest
import torch

from equal_records import ALL, same
from interpreted import MISSING, interpreted
from random_graphs import random_graph
from spikeport.engine import cuda, simulate
from spikeport.engine.batch import Run
from spikeport.target import Request
from tape import Tape

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "there")
ONE = Request(trains=True, membranes=True, events=True, batch=1)


@pytest.fixture
def tapes(monkeypatch):
    """Those that were recorded; kernels run in Triton's interpreter."""
    recorded = []
    with interpreted():

        def recorder(launch):
            recorded.append(Tape())
            return recorded[-1](launch)

        monkeypatch.setattr(cuda, "recorder_for", lambda device: recorder)
        yield recorded


def test_batches_that_are_repeated_give_the_definitions_bits(tapes):
    """Trains, membranes, counts and outputs of each sample, one a batch; two copies take turns. It feeds back."""
    graph, samples = random_graph(11, integers=True, batch=4)
    there = simulate(graph, samples, ONE, kernels="triton")
    assert len(tapes) == 2
    assert tapes[0].names == tapes[1].names
    assert {"fire", "product", "pool", "tally"} <= set(tapes[0].names)
    same(there, simulate(graph, samples, ALL, kernels="plain"))


def test_a_batch_that_cannot_be_taken_down_is_launched_and_this_is_said(tapes, monkeypatch):
    graph, samples = random_graph(11, integers=True, batch=2)
    launch = Run.launch

    def reading(self, samples, most):
        launch(self, samples, most)
        assert torch.ones(1).item()

    monkeypatch.setattr(Run, "launch", reading)
    there = simulate(graph, samples, ONE, kernels="triton")
    (note,) = there.findings
    assert note.code == "SP527"
    assert "aten.item" in note.what
    same(there, simulate(graph, samples, ALL, kernels="plain"))
