"""An analog first layer on binary messages, as Lava gets it: its sums enter as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.graph import LIF, LOIHI1, Flatten, Graph, Input, Linear, Loihi, Pool, definition
from spikeport_targets.entering import entering
from spikeport_targets.lava.current import constant_current, with_constant_current

FREE = Loihi(replace(LOIHI1, accumulator_bits=None))


@pytest.mark.parametrize("before", [{"flat": Flatten()}, {"pool": Pool("sum", (2, 2), (1, 1)), "flat": Flatten()}])
def test_what_stands_before_the_first_synapse_goes_with_it(before):
    """The host shifts the sum, so that the odd weights keep their low bits; the rest of the network is as it was."""
    rng, size = np.random.default_rng(5), 32 if len(before) == 1 else 18
    lif = LIF((3,), np.asarray(3000), np.full(4, 90), np.asarray(5), compare=">", gain=np.asarray(1))
    weight = rng.integers(-90, 110, (3, size))
    nodes = {"input": Input((2, 4, 4), low=-2, high=9), **before, "fc": Linear(weight, exponent=-2), "lif": lif}
    graph = Graph.chain(nodes, 4, arithmetic=FREE)
    x = rng.integers(-2, 10, (6, 2, 4, 4))
    short = with_constant_current(graph)
    assert list(short.nodes) == ["input", "lif"]
    whole, rest = definition.run(graph, x), definition.run(short, constant_current(graph, entering(graph, x))[:, 0])
    assert np.array_equal(whole.membranes["lif"], rest.membranes["lif"])
    assert 0 < whole.outputs.sum() < 4 * 18


def test_an_input_that_others_read_too_stays():
    lif = LIF((3,), np.asarray(3000), np.full(4, 90), compare=">", gain=np.asarray(1))
    nodes = {"input": Input((3,), low=0, high=9), "fc": Linear(np.eye(3, dtype=int)), "lif": lif}
    graph = Graph(nodes, (("input", "fc"), ("fc", "lif"), ("input", "lif")), 4, FREE)
    assert with_constant_current(graph) == graph
