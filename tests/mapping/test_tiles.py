"""Synapses and tiles of a layer by looking at every weight, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Pool
from spikeport.mapping import find
from spikeport.mapping.fit import fit
from spikeport.mapping.layers import Axis, layers, lists
from spikeport.target import Request


def neurons(*shape):
    return LIF(shape, np.float32(0), np.full(1, 0.5, np.float32))


def chip(**limits):
    """Loihi 1 with other limits."""
    loihi1 = find("loihi1")
    changed = {name: loihi1.limits[name].model_copy(update={"value": value}) for name, value in limits.items()}
    return loihi1.model_copy(update={"limits": {**loihi1.limits, **changed}})


@pytest.mark.parametrize(
    ("convolution", "pool"),
    [
        ({}, Pool("sum", (2, 2), (2, 2))),
        ({"stride": (2, 2), "padding": (1, 1)}, Pool("sum", (2, 3), (1, 2))),
        ({"stride": (2, 1)}, Pool("sum", (3, 2), (2, 1), (1, 1))),
    ],
)
def test_a_pool_behind_a_convolution_makes_its_kernel_wider(convolution, pool):
    """An input has as many synapses as neurons that fire when it alone is one."""
    conv = Conv(np.ones((1, 1, 3, 3), np.float32), **convolution)
    shape = pool.output_shape(conv.output_shape((1, 9, 8)))
    graph = Graph.chain({"input": Input((1, 9, 8)), "conv": conv, "pool": pool, "lif": neurons(*shape)}, 1)
    record = simulate(graph, np.eye(72, dtype=np.float32).reshape(72, 1, 9, 8), Request(trains=True))
    spikes = record.trains["lif"].unpack()
    (projection,) = layers(graph)["lif"].projections
    assert projection.synapses == spikes.sum()
    for number, axis in enumerate(projection.axes):
        block = spikes.reshape(9, 8, *shape[1:]).any(axis=(1 - number, 3 - number))
        for at, outputs in enumerate(axis.reached):
            assert set(outputs[outputs >= 0]) == set(np.flatnonzero(block[at]))


def test_a_layer_has_a_synapse_for_each_weight_and_position():
    """An axis of 5, padded, has 3 * 5 - 2 = 13 taps of a kernel of 3 inside; 2 of 4 channels are in a group."""
    conv = Conv(np.ones((6, 2, 3, 3), np.float32), groups=2, padding=(1, 1))
    nodes = {"input": Input((4, 5, 5)), "conv": conv, "one": neurons(6, 5, 5), "flat": Flatten()}
    nodes |= {"fc": Linear(np.ones((7, 150), np.float32)), "two": neurons(7)}
    first, second = (layer.projections[0] for layer in layers(Graph.chain(nodes, 1)).values())
    assert (first.synapses, second.synapses) == (6 * 2 * 13 * 13, 7 * 150)


def test_weights_that_neurons_share_are_stored_once():
    """16 x 16 neurons without a border: one list of 3 x 3 weights for each offset. 34 x 34 lists would fill 8 cores."""
    conv = Conv(np.ones((1, 1, 3, 3), np.float32))
    graph = Graph.chain({"input": Input((1, 18, 18)), "conv": conv, "lif": neurons(1, 16, 16)}, 1)
    small = chip(synapse_memory=4096)
    assert fit(graph, small).layers["lif"].tile.cores == 1
    assert fit(graph, small, sharing="unrolled").layers["lif"].tile.cores > 1


def test_the_last_tile_counts_where_it_holds_the_most():
    """Padded by 5, a kernel of 3 has its only input inside at the last of 4 outputs: position 3 - 5 + 2 = 0."""
    lengths, counts, most = lists(Axis(inputs=1, outputs=4, taps=3, padding=5), 1, shared=False)
    assert (lengths.tolist(), counts.tolist(), most) == ([1], [1], 1)
