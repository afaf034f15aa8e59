"""The biases of synapses move into the neurons, and no spike changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exact_networks import REAL, T, chain, code, grid, image, lif, network, readout, same_spikes
from spikeport.engine import simulate
from spikeport.graph import Conv, CubaLIF, Delay, Graph, Input, Linear, Pool, StepAffine
from spikeport.passes.fold_norm import fold_norm
from spikeport.passes.move_bias import move_bias
from spikeport.target import Request


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


def test_before_a_current_that_decays_a_bias_stays_what_enters():
    rng = np.random.default_rng(0)
    nodes = {"input": Input((3,)), "fc": Linear(np.eye(3), np.asarray([0.25, -0.5, 1]))}
    nodes["lif"] = CubaLIF((3,), np.float64(0.5), np.ones(T), current_decay=np.float64(0.5))
    moved = move_bias(chain(**nodes))
    assert moved["fc"].bias is None
    (step,) = moved.nodes_of(StepAffine).values()
    assert step.bias.tolist() == [[0.25, -0.5, 1]] * T
    x = 2 + grid(rng, 4, 3)
    before, after = (simulate(graph, x, Request(trains=True)).trains["lif"] for graph in (chain(**nodes), moved))
    assert before.counts().sum() > 0
    assert not before.apart(after).any()


@pytest.mark.parametrize("kind", ["delay", "end"])
def test_a_bias_that_no_neuron_can_hold_is_named(kind):
    rng = np.random.default_rng(0)
    nodes = {"input": Input((3,)), "fc": Linear(np.eye(3), np.ones(3))}
    if kind == "delay":
        nodes |= {"wait": Delay((3,), 1), "lif": lif(rng, 3)}
    assert code(lambda: move_bias(chain(**nodes))) == "SP351"
