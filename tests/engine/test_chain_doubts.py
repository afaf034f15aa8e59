"""Where a prepared chain may not serve: cycles that nobody reads, wider inputs meanwhile, much to compute."""

from __future__ import annotations

from itertools import pairwise
from threading import Thread

import numpy as np
import pytest

from layer_chains import Net, fed_back
from spikeport.engine import build, cpu, simulate
from spikeport.engine.run import Engine
from spikeport.graph import LIF, Delay, Linear


def test_a_cycle_that_nobody_reads_is_counted_as_ever():
    net = fed_back(24, 9)
    graph = net.graph()
    neurons = next(node for node in graph.nodes.values() if isinstance(node, LIF))
    (size,) = neurons.shape
    dead = {"dead.in": Linear(net.weights(size, 24)), "dead": neurons, "dead.past": Delay((size,), 1)}
    dead |= {"dead.back": Linear(net.weights(size, size))}
    way = pairwise(["input", "dead.in", "dead", "dead.past", "dead.back", "dead"])
    graph = graph.with_(nodes={**graph.nodes, **dead}, edges=(*graph.edges, *way))
    engine, x = Engine(graph), net.samples(1)
    truth = simulate(graph, x, kernels="plain")
    assert truth.spike_counts["dead"].sum() > 0
    for _ in range(3):
        record = engine.simulate(x)
        for name, counts in truth.spike_counts.items():
            np.testing.assert_array_equal(record.spike_counts[name], counts)


def test_wider_inputs_of_another_thread_never_meet_what_was_made_for_narrow_ones(monkeypatch):
    """Another thread brings the same wide values while the first makes its program for them ready."""
    net = Net(3, (24,), 9)
    net.nodes["input"] = net.nodes["input"].with_(low=-np.inf, high=np.inf)
    graph = net.spikes(Linear(net.weights(40, 24))).graph()
    narrow = (np.random.default_rng(0).random((9, 1, 24)) < 0.5).astype(np.uint8)
    engine, outputs, making = Engine(graph), [], build.build
    engine.simulate(narrow)

    def others_meanwhile(*told):
        monkeypatch.setattr(build, "build", making)
        other = Thread(target=lambda: outputs.append(engine.simulate(7 * narrow).outputs))
        other.start()
        other.join()
        return making(*told)

    monkeypatch.setattr(build, "build", others_meanwhile)
    outputs.append(engine.simulate(7 * narrow).outputs)
    truth = simulate(graph, 7 * narrow, kernels="plain").outputs
    assert len(outputs) == 2
    for output in outputs:
        np.testing.assert_array_equal(output, truth)


@pytest.mark.parametrize("kernels", ["fast", "plain"])
def test_a_flipped_sample_enters_as_any_other(kernels):
    """For numpy an axis of one may lie in steps below zero, for torch not."""
    net = fed_back(24, 9)
    graph, x = net.graph(), net.samples(1).astype(np.uint8)
    outputs = [Engine(graph, kernels=kernels).simulate(values).outputs for values in (x, x[:, ::-1])]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("long", [True, False])
def test_both_ways_are_tried_where_samples_take_longer_than_python(monkeypatch, long):
    """600 steps of 107 and 40 neurons that feed back take more than 0.1 ms for each of ten nodes with some samples."""
    net, tried = fed_back(24, 600 if long else 9), []

    def ratio(batch, through_chains, samples):
        tried.append((batch(samples).outputs, through_chains(samples).outputs))
        return 0.5

    monkeypatch.setattr(cpu, "ratio", ratio, raising=False)
    engine, x = Engine(net.graph()), net.samples(8)
    records = [engine.simulate(x) for _ in range(3)]
    assert len(tried) == long
    for output in (*(one for pair in tried for one in pair), *(record.outputs for record in records)):
        np.testing.assert_array_equal(output, simulate(net.graph(), x, kernels="plain").outputs)
