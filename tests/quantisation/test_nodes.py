"""Random networks with every node that integers are due for, quantised: the engine's bits are the definition's."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from conformance.cases import case
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import (
    LIF,
    LOIHI2,
    OPERATIONS,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Linear,
    Peak,
    Scale,
    StepAffine,
    definition,
)
from spikeport.quantisation import quantize
from spikeport.target import Request

FEW = {"operations": (2, 3, 8, 37), "volumes": (0, 2), "several spikes": (0, 1, 2)}
PROFILE = replace(LOIHI2, name="several", most_spikes=1000)
#: what `FEW` holds; gains a timestep have a file of their own (test_step_affine.py)
DUE = {*OPERATIONS, CubaLIF, Delay, Peak} - {StepAffine}


@cache
def quantised(kind, seed):
    drawn = case(f"float32, {kind}", seed)
    return drawn.samples, quantize(drawn.graph, drawn.samples, PROFILE, run=simulate, steps=()).graph


def test_a_membrane_that_stands_over_several_nodes_is_refused_with_how_far_off_it_would_be():
    """u = u' / 2 + w x by a scale and a delay: after 4 steps up to 1 + 1/2 + 1/4 + 1/8 units."""
    nodes = {
        "in": Input((2,)),
        "fc": Linear(np.eye(2, dtype=np.float32)),
        "kept": Scale(np.float32(1)),
        "past": Delay((2,)),
        "leak": Scale(np.float32(0.5)),
        "lif": LIF((2,), np.float32(0), np.ones(4, np.float32)),
    }
    edges = (("in", "fc"), ("fc", "kept"), ("kept", "past"), ("past", "leak"), ("leak", "kept"), ("kept", "lif"))
    with pytest.raises(SpikeportError, match=r"up to 1\.88 units") as caught:
        quantize(Graph(nodes, edges, 4), np.ones((3, 2), np.float32), run=simulate)
    assert (caught.value.code, caught.value.findings[0].where) == ("SP437", "node 'past'")


@pytest.mark.parametrize("kind", FEW)
def test_every_bit_of_what_was_quantised_is_the_definitions(kind):
    for seed in FEW[kind]:
        x, graph = quantised(kind, seed)
        truth = definition.run(graph, x)
        record = simulate(graph, x, Request(trains=True))
        np.testing.assert_array_equal(record.outputs, truth.outputs)
        for name, output in truth.further.items():
            np.testing.assert_array_equal(record.further[name], output)
        for name, train in record.trains.items():
            np.testing.assert_array_equal(train.unpack(), truth.values[name])


def test_every_node_that_integers_are_due_for_is_among_them():
    nodes = [node for kind, seeds in FEW.items() for seed in seeds for node in quantised(kind, seed)[1].nodes.values()]
    assert {type(node) for node in nodes} >= DUE
    assert any(isinstance(node, LIF) and node.most_spikes > 1 for node in nodes)
