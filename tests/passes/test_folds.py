"""Average pools become sums and gains disappear, and no spike changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exact_networks import REAL, T, chain, code, grid, image, lif, network, readout, same_spikes
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Pool, Scale
from spikeport.passes.fold_gain import fold_gain
from spikeport.passes.fold_norm import fold_norm
from spikeport.passes.fold_pool import fold_pool
from spikeport.passes.move_bias import move_bias


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_average_pools_become_sums_and_change_no_spike(seed):
    rng, graph = network(seed)
    folded = fold_pool(fold_norm(graph))
    assert {pool.kind for pool in folded.nodes_of(Pool).values()} == {"sum"}
    same_spikes(graph, folded, image(rng))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["neurons", "readout", "chain", "shared"]))
def test_an_average_pool_finds_a_place_for_its_factor(seed, where):
    rng = np.random.default_rng(seed)
    nodes = {"input": Input((2, 4, 4)), "conv": Conv(grid(rng, 3, 2, 1, 1), grid(rng, 3)), "lif": lif(rng, 3, 4, 4)}
    pool = Pool("average", (2, 2), (2, 2))
    ends = {
        "neurons": {"pool": pool, "lif2": lif(rng, 3, 2, 2)},
        "readout": {"pool": pool, "flat": Flatten(), "out": readout(rng, 12)},
        "chain": {
            "pool": pool,
            "pool2": pool,
            "flat": Flatten(),
            "fc": Linear(grid(rng, 2, 3)),
            "out": readout(rng, 2),
        },
        "shared": {"conv2": Conv(grid(rng, 2, 3, 1, 1), grid(rng, 2)), "pool": pool, "lif2": lif(rng, 2, 2, 2)},
    }
    graph = chain(**nodes, **ends[where])
    if where == "shared":  # a second way into lif2: the factor must go backwards
        extra = Conv(grid(rng, 2, 2, 2, 2), stride=(2, 2))
        more = (*graph.edges, ("input", "direct"), ("direct", "lif2"))
        graph = Graph({**graph.nodes, "direct": extra}, more, T, REAL)
    folded = fold_pool(graph)
    assert {node.kind for node in folded.nodes_of(Pool).values()} == {"sum"}
    same_spikes(graph, folded, image(rng, shape=(2, 4, 4)))


def pooled_beside_a_synapse(rng, side):
    nodes = {
        "input": Input((2, 2 * side, 2 * side)),
        "a": lif(rng, 2, 2 * side, 2 * side),
        "pool": Pool("average", (side, side), (side, side)),
        "conv": Conv(grid(rng, 2, 2, side, side), stride=(side, side)),
        "b": lif(rng, 2, 2, 2),
    }
    edges = (("input", "a"), ("a", "pool"), ("a", "conv"), ("conv", "b"), ("pool", "b"))
    return Graph(nodes, edges, T, REAL)


def test_a_pool_whose_factor_has_no_place_is_named_or_keeps_a_power_of_two_behind_it():
    """A ninth has no place; a quarter stays behind the sum, to the bit."""
    rng = np.random.default_rng(0)
    assert code(lambda: fold_pool(pooled_beside_a_synapse(rng, 3))) == "SP352"
    graph = pooled_beside_a_synapse(rng, 2)
    summed = fold_pool(graph)
    assert [node.kind for node in summed.nodes_of(Pool).values()] == ["sum"]
    assert [float(node.factor) for node in summed.nodes_of(Scale).values()] == [0.25]
    x = grid(rng, 3, 2, 4, 4)
    np.testing.assert_array_equal(simulate(graph, x).outputs, simulate(summed, x).outputs)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["one", "channel", "neuron"]), st.booleans(), st.booleans())
def test_gains_fold_into_weights_or_thresholds(seed, per, pooled, schedule):
    """Weights take the gain where they can; thresholds, biases and reset values take its inverse where not."""
    rng = np.random.default_rng(seed)
    shape = {"one": (), "channel": (3,), "neuron": (3, 2, 2)}[per]
    gain = rng.choice([0.25, 0.5, 2.0, 4.0], shape)
    threshold = grid(rng, T, 3, low=1) if schedule else grid(rng, T, low=1)
    nodes = {"input": Input((2, 4, 4)), "conv": Conv(grid(rng, 3, 2, 1, 1), grid(rng, 3)), "lif0": lif(rng, 3, 4, 4)}
    if not pooled:
        nodes["conv2"] = Conv(grid(rng, 3, 3, 2, 2), grid(rng, 3), stride=(2, 2))
    else:
        nodes["pool"] = Pool("sum", (2, 2), (2, 2))
    graph = chain(**nodes, lif=lif(rng, 3, 2, 2, gain=np.asarray(gain), threshold=threshold))
    folded = fold_gain(graph)
    assert all((node.gain == 1).all() for node in folded.nodes_of(LIF).values())
    same_spikes(graph, folded, image(rng, shape=(2, 4, 4)))


def test_a_negative_gain_without_weights_is_named():
    rng = np.random.default_rng(0)
    graph = chain(input=Input((3,)), lif=lif(rng, 3, gain=np.float64(-2)))
    assert code(lambda: fold_gain(graph)) == "SP353"


@pytest.mark.parametrize("change", [fold_norm, move_bias, fold_pool, fold_gain])
def test_integers_are_not_folded_again(change):
    neuron = LIF((3,), np.int32(3000), np.full(T, 100, np.int32), compare=">")
    nodes = {"input": Input((3,)), "fc": Linear(np.full((3, 3), 7, np.int8)), "lif": neuron}
    graph = Graph(nodes, (("input", "fc"), ("fc", "lif")), T, Loihi(LOIHI2))
    assert code(lambda: change(graph)) == "SP354"
