"""Batch normalisations fold into the synapses beside them, and no spike changes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exact_networks import REAL, T, chain, grid, image, lif, network, norm, same_spikes
from spikeport.graph import Conv, Graph, Input, Linear, Norm, Pool, Readout, Scale
from spikeport.passes.fold_norm import fold_norm


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 1.0]))
def test_folding_a_norm_changes_no_spike(seed, scale):
    rng, graph = network(seed, scale=scale)
    folded = fold_norm(graph)
    assert not folded.nodes_of(Norm)
    same_spikes(graph, folded, image(rng))


@settings(max_examples=5)
@given(st.integers(0, 10**6))
def test_a_norm_behind_an_average_pool_folds_into_the_synapse_before_it(seed):
    """A mean of equal constants is the constant; with padding, where zeros take part, it is not."""
    rng = np.random.default_rng(seed)
    nodes = {"input": Input((2, 4, 4)), "conv": Conv(grid(rng, 3, 2, 1, 1))}
    for padding, shape in (((0, 0), (3, 2, 2)), ((1, 1), (3, 3, 3))):
        pool = Pool("average", (2, 2), (2, 2), padding)
        graph = chain(**nodes, pool=pool, norm=norm(rng, 3), lif=lif(rng, *shape))
        folded = fold_norm(graph)
        assert (folded["conv"] != graph["conv"]) is (padding == (0, 0))
        same_spikes(graph, folded, image(rng, shape=(2, 4, 4)))


def test_tdbn_keeps_alpha_vth_apart_from_gamma():
    """W' = W * gamma * alpha * V_th / sqrt(var + eps), b' = beta - mean * g, by hand; float32 rounds once."""
    weight = np.array([[3.0, -1.0]], np.float32)
    facts = {"gamma": [1.5], "beta": [0.1], "mean": [0.7], "var": [2.0]}
    node = Norm(**{k: np.asarray(v, np.float32) for k, v in facts.items()}, eps=1e-5, scale=0.5)
    nodes = {
        "input": Input((2,)),
        "fc": Linear(weight),
        "bn": node,
        "out": Readout((1,), np.full(T, 1 / 3, np.float32)),
    }
    names = list(nodes)
    folded = fold_norm(Graph(nodes, tuple(pairwise(names)), T))
    g = 1.5 * 0.5 / np.sqrt(2.0 + 1e-5)
    assert folded["fc"].weight.dtype == np.float32
    np.testing.assert_array_equal(folded["fc"].weight, np.float32([[3 * g, -g]]))
    np.testing.assert_array_equal(
        folded["fc"].bias, np.float32([np.float64(np.float32(0.1)) - np.float64(np.float32(0.7)) * g])
    )


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 1), st.booleans())
def test_a_norm_before_a_convolution_is_exact_at_the_border(seed, padding, after_neurons):
    """The border sees zeros instead of beta: the constant becomes a bias a neuron, not a channel."""
    rng = np.random.default_rng(seed)
    nodes = {"input": Input((2, 5, 5))}
    if after_neurons:
        nodes |= {"conv0": Conv(grid(rng, 2, 2, 1, 1)), "lif0": lif(rng, 2, 5, 5)}
    side = 3 + 2 * padding
    nodes |= {
        "bn": norm(rng, 2),
        "conv": Conv(grid(rng, 3, 2, 3, 3), padding=(padding, padding)),
        "lif": lif(rng, 3, side, side),
    }
    graph = chain(**nodes)
    folded = fold_norm(graph)
    assert not folded.nodes_of(Norm, Scale)
    same_spikes(graph, folded, image(rng, shape=(2, 5, 5)))


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_a_norm_that_feeds_neurons_and_a_residual_is_kept_exact(seed):
    rng = np.random.default_rng(seed)
    nodes = {
        "input": Input((2, 4, 4)),
        "conv": Conv(grid(rng, 2, 2, 1, 1)),
        "lif": lif(rng, 2, 4, 4),
        "bn": norm(rng, 2),
        "lif2": lif(rng, 2, 4, 4),
        "lif3": lif(rng, 2, 4, 4),
    }
    edges = [("input", "conv"), ("conv", "lif"), ("lif", "bn"), ("bn", "lif2"), ("bn", "lif3"), ("lif2", "lif3")]
    graph = Graph(nodes, tuple(edges), T, REAL)
    same_spikes(graph, fold_norm(graph), image(rng, shape=(2, 4, 4)))


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_a_norm_over_a_sum_of_two_convolutions_scales_both(seed):
    rng = np.random.default_rng(seed)
    nodes = {
        "input": Input((2, 4, 4)),
        "a": Conv(grid(rng, 3, 2, 1, 1), grid(rng, 3)),
        "b": Conv(grid(rng, 3, 2, 3, 3), padding=(1, 1)),
        "bn": norm(rng, 3),
        "lif": lif(rng, 3, 4, 4),
    }
    graph = Graph(nodes, (("input", "a"), ("input", "b"), ("a", "bn"), ("b", "bn"), ("bn", "lif")), T, REAL)
    folded = fold_norm(graph)
    assert not folded.nodes_of(Norm, Scale)
    same_spikes(graph, folded, image(rng, shape=(2, 4, 4)))
