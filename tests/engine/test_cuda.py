"""The engine on a GPU: an error that says so where there is none; its bits are held by `tests/conformance`."""

from __future__ import annotations

import pytest
import torch

from random_graphs import random_graph
from spikeport.findings import SpikeportError
from spikeport.target import target
from spikeport.verbs.compare import compare
from spikeport.verbs.evaluate import evaluate
from spikeport.verbs.simulate import simulate

GPU = torch.cuda.is_available()


@pytest.mark.skipif(GPU, reason="there is a GPU")
@pytest.mark.parametrize("name", ["integer-cuda", "reference-cuda"])
def test_without_a_gpu_every_verb_says_so_and_nothing_runs_elsewhere(name):
    graph, samples = random_graph(2, integers=name == "integer-cuda")
    availability = target(name).availability()
    assert not availability.ready
    assert availability.why
    assert availability.mend
    for run in (
        lambda: simulate(graph, samples, name),
        lambda: compare(f"digits-conv@{name}", "digits-conv", "digits", limit=2),
        lambda: evaluate("digits-conv", "digits", target=name, limit=2),
    ):
        with pytest.raises(SpikeportError) as caught:
            run()
        assert caught.value.code == "SP514"
        assert name.removesuffix("-cuda") in caught.value.findings[0].mend


@pytest.mark.parametrize("name", ["integer-cuda", "reference-cuda"])
def test_they_take_the_graphs_that_their_cpu_twins_take(name):
    for integers in (True, False):
        graph, _ = random_graph(2, integers=integers)
        here, there = target(name.removesuffix("-cuda")).check(graph), target(name).check(graph)
        assert [finding.code for finding in here] == [finding.code for finding in there]
