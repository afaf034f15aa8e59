"""Margins tell rounding from defects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_maker import Wish
from random_graphs import draw, random_graph
from random_graphs import samples as drawn
from spikeport.engine import simulate
from spikeport.engine.margins import margins, margins_by_samples
from spikeport.findings import SpikeportError
from spikeport.graph import ALIF, LIF, Conv, Delay, Flatten, Graph, Input, Linear, Norm, Pool, Readout, Real, Scale
from spikeport.graph.definition import run
from spikeport.spike_train import Train
from spikeport.target import Request

SEEDS = st.integers(0, 2**32 - 1)
TRAINS = Request(trains=True, membranes=True)
STEPS = 4


def chain(nodes, steps=STEPS):
    return Graph(nodes, tuple(zip(nodes, list(nodes)[1:], strict=False)), steps)


def network(seed, *, reset="zero", folded=False):
    """conv, normalisation, LIF, twice, with a pool, a residual and a linear layer; numbers as training gives them."""
    rng = np.random.default_rng(seed)

    def real(*shape, scale=1.0):
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    def conv(c_in, c_out):
        return Conv(real(c_out, c_in, 3, 3, scale=(c_in * 9) ** -0.5), real(c_out), padding=(1, 1))

    def norm(c):
        return Norm(1 + real(c) / 4, real(c) / 4, real(c) / 2, np.abs(real(c)) + np.float32(0.1), scale=0.5)

    def lif(*shape):
        threshold = (0.2 + rng.random((STEPS, shape[0])) / 2).astype(np.float32)
        return LIF(shape, np.float32(0.7), threshold, bias=real(shape[0]) / 8, reset=reset)

    nodes = {
        "input": Input((2, 8, 8)),
        "conv1": conv(2, 16),
        "norm1": norm(16),
        "lif1": lif(16, 8, 8),
        "conv2": conv(16, 16),
        "norm2": norm(16),
        "lif2": lif(16, 8, 8),
        "pool": Pool("average", (3, 3), (2, 2), (1, 1)),
        "flat": Flatten(),
        "fc": Linear(real(20, 256, scale=1 / 16)),
        "lif3": lif(20),
        "out": Readout((20,), np.full(STEPS, 0.25, np.float32)),
    }
    graph = chain(nodes)
    graph = graph.with_(edges=(*graph.edges, ("lif1", "pool")))
    return fold(graph) if folded else graph, real(6, 2, 8, 8)


def fold(graph):
    """Normalisations merged into the convolutions before them, in float64, then rounded once."""
    for name, norm in graph.nodes_of(Norm).items():
        (source,) = graph.sources(name)
        conv, gain = graph[source], norm.gamma * norm.scale / np.sqrt(norm.var.astype(float) + norm.eps)
        weight = (conv.weight * gain.reshape(-1, 1, 1, 1)).astype(np.float32)
        bias = (norm.beta + (conv.bias - norm.mean) * gain).astype(np.float32)
        graph = graph.replace({source: conv.with_(weight=weight, bias=bias)}).bypass(name)
    return graph


def above(graph, samples, record):
    layers = margins(graph, samples, record)
    return {name: int(margin.above_rounding(record.trains[name]).sum()) for name, margin in layers.items()}


@settings(max_examples=40)
@given(SEEDS)
def test_the_distance_is_the_membranes_own_where_nothing_rounds(seed):
    graph, samples = random_graph(seed, integers=False)
    record = simulate(graph, samples, TRAINS)
    truth = run(graph, samples)
    for name, margin in margins(graph, samples, record).items():
        theta = graph[name].threshold.astype(float)
        theta = theta.reshape(len(theta), 1, *theta.shape[1:], *(1,) * (len(graph[name].shape) + 1 - theta.ndim))
        np.testing.assert_array_equal(margin.distance + theta, truth.membranes[name])
        np.testing.assert_array_equal(margin.decisions(), record.trains[name].unpack())


@pytest.mark.parametrize("reset", ["zero", "subtract", "none", "value"])
@pytest.mark.parametrize("folded", [False, True])
def test_a_float32_run_has_no_error_above_rounding(reset, folded):
    for seed in range(6):
        graph, samples = network(seed, reset=reset, folded=folded)
        assert set(above(graph, samples, simulate(graph, samples, TRAINS)).values()) == {0}


@pytest.mark.parametrize("reset", ["zero", "subtract", "none", "value"])
def test_thresholds_that_rose_are_part_of_the_distance(reset):
    """Where nothing rounds they decide as the neurons did; with odd bits the bound holds whatever float32 rounded."""
    for odd in (False, True):
        for seed in range(6):
            wish = Wish("float32", kinds=(ALIF,), timesteps=6, blocks=2, resets=(reset,), recurrent=False, odd_bits=odd)
            graph = draw(np.random.default_rng(seed), wish)
            x = drawn(graph, seed)
            record = simulate(graph, x, TRAINS)
            assert set(above(graph, x, record).values()) == {0}
            layers = {} if odd else margins(graph, x, record)
            assert all(np.array_equal(m.decisions(), record.trains[n].unpack()) for n, m in layers.items())


def test_blocks_of_samples_have_the_numbers_of_all_at_once():
    """Also where one sample alone has the largest input, and where a synapse stands behind another: 4 of 6, then 2."""
    graph, samples = network(7)
    samples[5] *= 8
    graph = graph.replace({"norm2": Conv(np.full((16, 16, 1, 1), 0.3, np.float32))})
    record = simulate(graph, samples, TRAINS)
    whole = margins(graph, samples, record)
    values = graph.timesteps * sum(int(np.prod(shape)) for shape in graph.shapes.values())
    blocks = list(margins_by_samples(graph, samples, record, memory=4 * 64 * values))
    assert [(start, stop) for start, stop, _ in blocks] == [(0, 4), (4, 6)]
    for name, margin in whole.items():
        for part in ("distance", "bound", "exact"):
            joined = np.concatenate([getattr(layers[name], part) for _, _, layers in blocks], axis=1)
            np.testing.assert_array_equal(joined, getattr(margin, part))


@pytest.mark.parametrize("seed", range(6))
def test_a_run_with_normalisation_apart_is_judged_by_the_folded_graph(seed):
    graph, samples = network(seed)
    record = simulate(graph, samples, TRAINS)
    assert set(above(fold(graph), samples, record).values()) == {0}


def test_float32_membranes_stay_within_the_bound_and_the_bound_stays_small():
    for seed in range(6):
        graph, samples = network(seed, reset="none")
        record = simulate(graph, samples, TRAINS)
        for judge in (graph, fold(graph)):
            for name, margin in margins(judge, samples, record).items():
                exact = margin.distance + graph[name].threshold.reshape(
                    STEPS, 1, -1, *(1,) * (margin.distance.ndim - 3)
                )
                error = np.abs(record.membranes[name] - exact)
                assert (error <= margin.bound).all()
                assert error.max() > margin.bound.max() / 1e4  # not vacuous: errors come near to what is allowed
                assert np.median(margin.bound) < 1e-3 * np.median(np.abs(margin.distance))


def test_where_branches_add_each_rounding_counts_once():
    """x + x / 3: 8 roundings of the factor, 1 of the sum, 6 of the membrane, each 2**-24 of its operands."""
    x = np.asarray([[0.1, 1.1, -700.3]], np.float32)
    nodes = {"input": Input((3,)), "third": Scale(np.float32(1 / 3)), "lif": LIF((3,), np.float32(0), np.ones(1))}
    graph = Graph(nodes, (("input", "third"), ("third", "lif"), ("input", "lif")), 1)
    margin = margins(graph, x, simulate(graph, x, TRAINS))["lif"]
    third = np.abs(x.astype(float)) * float(np.float32(1 / 3))
    expected = 2.0**-24 * (8 * third + 7 * (third + np.abs(x.astype(float))))
    np.testing.assert_allclose(margin.bound[0], expected, rtol=1e-5)


def test_a_norm_rounds_the_magnitudes_that_it_adds():
    """8 roundings of g |x| + g |mean| + |beta|, then 6 of the membrane, each 2**-24 of its operand."""
    x = np.float32([[0.3, -1.7]])
    gamma, beta, mean, var = (np.float32(v) for v in ([1.3, 0.7], [0.2, -0.9], [0.9, -0.4], [1.1, 2.3]))
    nodes = {"input": Input((2,)), "norm": Norm(gamma, beta, mean, var), "lif": LIF((2,), np.float32(0), np.ones(1))}
    graph = Graph.chain(nodes, 1)
    margin = margins(graph, x, simulate(graph, x, TRAINS))["lif"]
    g = gamma / np.sqrt(var.astype(float) + nodes["norm"].eps)
    terms = g * np.abs(x) + g * np.abs(mean) + np.abs(beta)
    current = np.abs(g * (x.astype(float) - mean) + beta)
    np.testing.assert_allclose(margin.bound[0], 2.0**-24 * (8 * terms + 6 * current), rtol=1e-5)


def test_what_a_membrane_keeps_is_rounded_again():
    """6 roundings a step of decay |v| + |x| + |bias|, and the decayed error of the step before."""
    x, decay, bias = np.float32([[100.3]]), np.float32(0.7), np.float32(-31.7)
    lif = LIF((1,), decay, np.full(3, 1e9, np.float32), bias, reset="none")
    graph = Graph.chain({"input": Input((1,)), "lif": lif}, 3)
    v = e = 0.0
    bounds = []
    for _ in range(3):
        e = float(decay) * e + 6 * 2.0**-24 * (float(decay) * abs(v) + 100.3 + 31.7)
        v = float(decay) * v + 100.3 - 31.7
        bounds.append(e)
    margin = margins(graph, x, simulate(graph, x, TRAINS))["lif"]
    np.testing.assert_allclose(margin.bound.ravel(), bounds, rtol=1e-5)


def test_one_wrong_spike_is_a_defect_in_its_layer_only():
    graph, samples = network(1)
    record = simulate(graph, samples, TRAINS)
    margin = margins(graph, samples, record)["lif2"]
    place = np.unravel_index(np.argmax(np.abs(margin.distance[STEPS - 1])), margin.distance.shape[1:])
    spikes = record.trains["lif2"].unpack()
    spikes[(STEPS - 1, *place)] ^= True
    wrong = replace(record, trains={**record.trains, "lif2": Train.pack(spikes)})
    defects = above(graph, samples, wrong)
    assert defects["lif2"] == 1
    assert defects["lif1"] == 0  # what lif3 does with its new input is its own affair


def test_a_constant_defect_far_above_rounding_is_found_in_every_layer():
    """Thresholds off by a per mille: what a float16 export would do."""
    graph, samples = network(2)
    moved = {
        name: node.with_(threshold=node.threshold * np.float32(1.01)) for name, node in graph.nodes_of(LIF).items()
    }
    record = simulate(graph.replace(moved), samples, TRAINS)
    defects = above(graph, samples, record)
    assert defects["lif1"] > 0
    assert defects["lif2"] > 0


def test_a_tie_is_decided_as_the_node_compares():
    for compare, fires in ((">=", True), (">", False)):
        lif = LIF((1,), np.float32(0), np.ones(1, np.float32), compare=compare)
        graph = Graph({"input": Input((1,)), "lif": lif}, (("input", "lif"),), 1)
        samples = np.ones((1, 1), np.float32)
        record = simulate(graph, samples, TRAINS)
        assert bool(record.trains["lif"].unpack().item()) is fires
        assert bool(margins(graph, samples, record)["lif"].decisions().item()) is fires


def test_the_margins_refuse_what_they_cannot_judge():
    graph, samples = network(0)
    with pytest.raises(SpikeportError, match=r"SP506.*'lif1', 'lif2', 'lif3'"):
        margins(graph, samples, simulate(graph, samples))
    with pytest.raises(SpikeportError, match=r"SP506.*these 5 samples"):
        margins(graph, samples[:5], simulate(graph, samples, TRAINS))
    integers, x = random_graph(1, integers=True)
    with pytest.raises(SpikeportError, match=r"SP507"):
        margins(integers, x, simulate(integers, x, TRAINS))


def test_a_state_outside_of_neurons_is_followed_round_its_circle():
    """It holds 1, 1.3 and 1.39, whose errors add up from step to step."""
    nodes = {
        "input": Input((2,)),
        "sum": Scale(np.float32(1)),
        "delay": Delay((2,)),
        "fade": Scale(np.float32(0.3)),
        "lif": LIF((2,), np.float32(0), np.full(3, 1.3 - 2.0**-20, np.float32)),
    }
    edges = (("input", "sum"), ("sum", "delay"), ("delay", "fade"), ("fade", "sum"), ("sum", "lif"))
    loop = Graph(nodes, edges, 3, Real())
    x = np.ones((1, 2), np.float32)
    margin = margins(loop, x, simulate(loop, x, TRAINS))["lif"]
    np.testing.assert_allclose(margin.distance[:, 0, 0], [-0.3, 0, 0.09], atol=2e-6)
    assert margin.decisions()[:, 0, 0].tolist() == [False, True, True]
    assert (np.diff(margin.bound, axis=0) > 0).all()
    assert (margin.bound < 3e-6).all()


def test_the_threads_change_no_bit():
    graph, samples = network(3)
    threads = torch.get_num_threads()
    try:
        runs = []
        for count in (1, 2):
            torch.set_num_threads(count)
            runs.append(simulate(graph, samples, TRAINS))
    finally:
        torch.set_num_threads(threads)
    for name in graph.nodes_of(LIF):
        np.testing.assert_array_equal(runs[0].membranes[name], runs[1].membranes[name])
