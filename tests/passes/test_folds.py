"""The folding passes change no spike.

Weights, thresholds and decays are small multiples of powers of two, so that float64 is exact in any order of summation:
membranes meet their thresholds exactly all the time, and one wrong bit shows as a spike.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import (
    LIF,
    LOIHI2,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Loihi,
    Norm,
    Pool,
    Readout,
    Real,
    Scale,
)
from spikeport.passes.fold_gain import fold_gain
from spikeport.passes.fold_norm import fold_norm
from spikeport.passes.fold_pool import fold_pool
from spikeport.passes.move_bias import move_bias
from spikeport.target import Request

T = 3
REAL = Real("float64")


def grid(rng, *shape, low=-8, high=9, unit=0.25):
    return rng.integers(low, high, shape) * unit


def norm(rng, channels, scale=1.0):
    """A normalisation whose square root is exact."""
    return Norm(
        gamma=rng.choice([-1.5, -0.25, 0.5, 0.75, 2.0], channels),
        beta=grid(rng, channels),
        mean=grid(rng, channels),
        var=rng.choice([0.25, 1.0, 4.0], channels),
        eps=0.0,
        scale=scale,
    )


def lif(rng, *shape, **changes):
    facts = {
        "decay": np.float64(rng.choice([0.5, 0.25, 1.0])),
        "threshold": grid(rng, T, low=1, high=12),
        "bias": grid(rng, shape[0], low=-2, high=3),
        "reset": str(rng.choice(["zero", "subtract", "value"])),
        "reset_value": np.float64(rng.choice([-0.5, 0.25])),
    }
    return LIF(shape, **(facts | changes))


def readout(rng, n):
    return Readout((n,), np.full(T, 0.25), bias=grid(rng, n))


def chain(**nodes):
    names = list(nodes)
    return Graph(nodes, tuple(pairwise(names)), T, REAL)


def image(rng, batch=4, shape=(2, 6, 6)):
    return grid(rng, batch, *shape)


def network(seed, *, scale=0.5, padding=1):
    """Convolution, norm, neurons, average pool, convolution, average pool, norm, neurons, dense."""
    rng = np.random.default_rng(seed)
    bias = None if seed % 2 else grid(rng, 4)
    return rng, chain(
        input=Input((2, 6, 6)),
        conv1=Conv(grid(rng, 4, 2, 3, 3), bias, padding=(1, 1)),
        bn1=norm(rng, 4, scale),
        lif1=lif(rng, 4, 6, 6),
        pool1=Pool("average", (2, 2), (2, 2)),
        conv2=Conv(grid(rng, 6, 2, 2, 2), grid(rng, 6), padding=(padding, padding), groups=2),
        pool2=Pool("average", (2, 2), (2, 2)),
        bn2=norm(rng, 6),
        lif2=lif(rng, 6, *(2, 2) if padding else (1, 1)),
        flatten=Flatten(),
        fc=Linear(grid(rng, 5, 24 if padding else 6), grid(rng, 5)),
        out=readout(rng, 5),
    )


def same_spikes(a, b, samples):
    before, after = (simulate(graph, samples, Request(trains=True)) for graph in (a, b))
    assume(sum(count.sum() for count in before.spike_counts.values()) > 0)
    for name, train in before.trains.items():
        np.testing.assert_array_equal(train.unpack(), after.trains[name].unpack(), err_msg=name)
    np.testing.assert_array_equal(before.outputs, after.outputs)


def code(build):
    with pytest.raises(SpikeportError) as caught:
        build()
    return caught.value.code


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 1.0]))
def test_folding_a_norm_changes_no_spike(seed, scale):
    rng, graph = network(seed, scale=scale)
    folded = fold_norm(graph)
    assert not folded.nodes_of(Norm)
    same_spikes(graph, folded, image(rng))


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


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 1))
def test_moving_biases_changes_no_spike(seed, padding):
    rng, graph = network(seed, padding=padding)
    moved = move_bias(fold_norm(graph))
    assert all(node.bias is None for node in moved.nodes_of(Conv, Linear).values())
    same_spikes(graph, moved, image(rng))


def test_a_bias_stays_one_number_a_channel_behind_a_plain_convolution():
    _, graph = network(2)
    moved = move_bias(fold_norm(graph))
    assert moved["lif1"].bias.shape == (4,)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["average", "sum"]))
def test_a_bias_behind_a_padded_pool_becomes_a_bias_a_neuron(seed, kind):
    rng = np.random.default_rng(seed)
    graph = chain(
        input=Input((2, 6, 6)),
        conv=Conv(grid(rng, 3, 2, 3, 3), grid(rng, 3, low=1)),
        pool=Pool(kind, (2, 2), (2, 2), (1, 1)),
        lif=lif(rng, 3, 3, 3, gain=np.array([0.5, 2.0, 1.0])),
    )
    moved = move_bias(graph)
    assert moved["conv"].bias is None
    assert moved["lif"].bias.shape == (3, 3, 3)
    same_spikes(graph, moved, image(rng))


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_a_bias_that_feeds_two_layers_goes_to_both(seed):
    rng = np.random.default_rng(seed)
    nodes = {
        "input": Input((3,)),
        "fc": Linear(grid(rng, 4, 3), grid(rng, 4)),
        "a": lif(rng, 4),
        "b": lif(rng, 4),
        "fc2": Linear(grid(rng, 2, 4), grid(rng, 2)),
        "out": readout(rng, 2),
    }
    edges = [("input", "fc"), ("fc", "a"), ("fc", "b"), ("a", "fc2"), ("b", "fc2"), ("fc2", "out")]
    graph = Graph(nodes, tuple(edges), T, REAL)
    same_spikes(graph, move_bias(graph), grid(rng, 4, 3))


@pytest.mark.parametrize("kind", ["cuba", "delay", "end"])
def test_a_bias_that_no_neuron_can_hold_is_named(kind):
    rng = np.random.default_rng(0)
    nodes = {"input": Input((3,)), "fc": Linear(np.eye(3), np.ones(3))}
    if kind == "cuba":
        nodes["lif"] = CubaLIF((3,), np.float64(0.5), np.ones(T), current_decay=np.float64(0.5))
    if kind == "delay":
        nodes |= {"wait": Delay((3,), 1), "lif": lif(rng, 3)}
    assert code(lambda: move_bias(chain(**nodes))) == "SP351"


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


def test_a_pool_whose_factor_has_no_place_is_named():
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((2, 4, 4)),
        "a": lif(rng, 2, 4, 4),
        "pool": Pool("average", (2, 2), (2, 2)),
        "conv": Conv(grid(rng, 2, 2, 2, 2), stride=(2, 2)),
        "b": lif(rng, 2, 2, 2),
    }
    edges = (("input", "a"), ("a", "pool"), ("a", "conv"), ("conv", "b"), ("pool", "b"))
    assert code(lambda: fold_pool(Graph(nodes, edges, T, REAL))) == "SP352"


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
