"""The biases of synapses move into the neurons, and no spike changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exact_networks import REAL, T, chain, code, grid, image, lif, network, readout, same_spikes
from spikeport.engine import simulate
from spikeport.graph import LIF, Conv, CubaLIF, Delay, Graph, Input, Linear, Pool, Scale, StepAffine
from spikeport.passes.extend import extend
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


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, T + 1))
def test_behind_a_delay_a_bias_comes_as_many_steps_later(seed, steps):
    """A delay gives zeros first, so its first steps are without the bias, whatever the reset and the border."""
    rng = np.random.default_rng(seed)
    graph = chain(
        input=Input((2, 6, 6)),
        conv=Conv(grid(rng, 3, 2, 3, 3), grid(rng, 3, low=1), padding=(1, 1)),
        wait=Delay((3, 6, 6), steps),
        pool=Pool("sum", (2, 2), (2, 2), (1, 1)),
        half=Scale(np.float64(0.5)),
        lif=lif(rng, 3, 4, 4, gain=np.array([0.5, 2.0, 1.0])),
    )
    moved = move_bias(graph)
    assert moved["conv"].bias is None
    same_spikes(graph, moved, image(rng))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.booleans())
def test_late_biases_of_several_ways_add_up(seed, current):
    """Two delays one behind the other, a way without, and what the neurons send back to themselves."""
    rng = np.random.default_rng(seed)
    target = lif(rng, 3)
    if current:
        target = CubaLIF((3,), np.float64(0.5), np.full(T, 1.5), current_decay=np.float64(0.5))
    nodes = {
        "input": Input((3,)),
        "fc": Linear(grid(rng, 3, 3), grid(rng, 3, low=1)),
        "one": Delay((3,), 1),
        "two": Delay((3,), 1),
        "lif": target,
        "back": Linear(grid(rng, 3, 3), grid(rng, 3, low=1)),
        "last": Delay((3,), 1),
        "out": readout(rng, 3),
    }
    edges = [("input", "fc"), ("fc", "one"), ("one", "two"), ("two", "lif"), ("fc", "lif"), ("lif", "out")]
    edges += [("lif", "back"), ("back", "last"), ("last", "lif"), ("last", "out")]
    graph = Graph(nodes, tuple(edges), T, REAL)
    moved = move_bias(graph)
    assert all(node.bias is None for node in moved.nodes_of(Linear).values())
    same_spikes(graph, moved, grid(rng, 4, 3))


def test_neurons_hold_a_late_bias_and_only_the_steps_before_differ():
    """So its rounding to whole sums, in integers, touches those steps alone."""
    nodes = {"input": Input((3,)), "fc": Linear(np.eye(3), np.asarray([0.25, -0.5, 1])), "wait": Delay((3,), 2)}
    moved = move_bias(chain(**nodes, lif=LIF((3,), np.float64(0.5), np.ones(T))))
    assert moved["lif"].bias.tolist() == [0.25, -0.5, 1]
    (step,) = moved.nodes_of(StepAffine).values()
    assert step.bias.tolist() == [[-0.25, 0.5, -1]] * 2 + [[0, 0, 0]] * (T - 2)


@pytest.mark.parametrize("after_end", ["hold", "cycle"])
def test_a_late_bias_stays_exact_past_the_last_step(after_end):
    rng = np.random.default_rng(3)
    nodes = {"input": Input((3,)), "fc": Linear(np.eye(3), np.ones(3)), "wait": Delay((3,), 1), "lif": lif(rng, 3)}
    graph = chain(**nodes).with_(after_end=after_end)
    if after_end == "cycle":  # which would take the bias off once in each round
        assert code(lambda: move_bias(graph)) == "SP351"
    else:
        longer = (extend(each, 3 * T) for each in (graph, move_bias(graph)))
        before, after = (simulate(each, grid(np.random.default_rng(4), 4, 3), Request(trains=True)) for each in longer)
        assert before.trains["lif"].counts().sum() > 0
        assert not before.trains["lif"].apart(after.trains["lif"]).any()


@pytest.mark.parametrize("kind", ["circle", "end"])
def test_a_bias_that_no_neuron_can_hold_is_named(kind):
    rng = np.random.default_rng(0)
    nodes = {"input": Input((3,)), "fc": Linear(np.eye(3), np.ones(3))}
    if kind == "end":
        graph = chain(**nodes)
    else:
        nodes |= {"sum": Scale(np.ones(())), "wait": Delay((3,), 1), "keep": Scale(np.float64(0.5)), "lif": lif(rng, 3)}
        edges = [("input", "fc"), ("fc", "sum"), ("sum", "wait"), ("wait", "keep"), ("keep", "sum"), ("sum", "lif")]
        graph = Graph(nodes, tuple(edges), T, REAL)
    assert code(lambda: move_bias(graph)) == "SP351"
