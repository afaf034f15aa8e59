"""One sample after the other: the prepared chain gives the definition's bits, and is left where it does not serve."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

from random_graphs import random_graph
from spikeport.engine import alone, cpu, simulate
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Pool, Readout
from spikeport.target import Request


class Net:
    """A chain of layers in the making, random in whatever a layer can be."""

    def __init__(self, seed, shape, steps, coding="events", high=1):
        self.rng, self.steps = np.random.default_rng(seed), steps
        self.nodes, self.shape = {"input": Input(shape, coding, unit=np.float64(1), low=0, high=high)}, shape

    def add(self, node):
        self.nodes[f"{type(node).__name__}{len(self.nodes)}"] = node
        self.shape = node.output_shape(self.shape)
        return self

    def weights(self, *shape):
        return self.rng.integers(-128, 128, shape).astype(np.int8)

    def spikes(self, synapse, reset="zero"):
        self.add(synapse)
        channels, low = self.shape[0], self.rng.integers(-300, 300)
        theta = self.rng.integers(low, low + 900, (self.steps, channels)).clip(0)
        decay, bias = self.rng.integers(1, 4097, channels), self.rng.integers(-900, 900, channels)
        lowest = -np.random.default_rng(channels).integers(0, 9000, channels)
        bound = {"lower_bound": lowest} if channels % 3 == 0 else {}
        return self.add(LIF(self.shape, decay, theta, bias=bias, compare=">", reset=reset, gain=np.asarray(1), **bound))

    def graph(self, profile=LOIHI2):
        return Graph.chain(self.nodes, timesteps=self.steps, arithmetic=Loihi(profile))

    def samples(self, number):
        node, rate = self.nodes["input"], self.rng.random()
        size = (self.steps, number, *node.shape) if node.coding == "events" else (number, *node.shape)
        return self.rng.integers(0, int(node.high) + 1, size) * (self.rng.random(size) < rate)


def lines(channels):
    net = Net(channels, (channels, 9), (255, 256, 257)[channels % 3])
    net.spikes(Conv(net.weights(131 - channels, channels, 3), exponent=-1, stride=(2,), padding=(1,), dilation=(2,)))
    return net.spikes(Conv(net.weights(5, net.shape[0], 2), stride=(1,), padding=(0,), dilation=(1,)), "subtract")


def maps(channels):
    net = Net(channels, (1 + channels % 3, 7, 6), 3, "direct", high=255)
    net.spikes(Conv(net.weights(channels, net.shape[0], 3, 3), exponent=-2, padding=(1, 1), stride=(1, 2)), "none")
    net.spikes(Conv(net.weights(131 - channels, channels, 3, 2), padding=(2, 0)), "subtract")
    net.add(Pool("sum", (2, 2), (2, 1), (1, 0))).add(Flatten())
    net.spikes(Linear(net.weights(40, net.shape[0])))
    net.add(Linear(net.weights(4, 40), exponent=1))
    weight = net.rng.integers(1, 5, 3)
    return net.add(Readout((4,), weight, bias=net.rng.integers(-99, 99, 4)))


def features(channels):
    net = Net(channels, (channels,), 4, high=1 + 7 * (channels % 2))
    net.spikes(Linear(net.weights(3, channels))).spikes(Linear(net.weights(700, 3)), "none")
    net.add(Linear(net.weights(2, 700), exponent=-3))
    return net.add(Readout((2,), np.ones(4, np.int64), bias=np.asarray(7)))


CASES = [*((lines, n) for n in (1, 128)), *((make, n) for make in (maps, features) for n in (1, 7, 24, 65, 130))]


@pytest.mark.parametrize(("make", "channels"), CASES)
def test_one_sample_after_the_other_gives_the_definitions_bits(make, channels):
    net = make(channels)
    graph, samples = net.graph(), net.samples(4)
    engine, fired = Engine(graph), 0
    for n in range(4):
        one = samples[:, n : n + 1] if net.nodes["input"].coding == "events" else samples[n : n + 1]
        truth, record = simulate(graph, one, kernels="plain"), engine.simulate(one.astype((np.uint8, float)[n % 2]))
        np.testing.assert_array_equal(record.outputs, truth.outputs)
        assert record.outputs.dtype == truth.outputs.dtype
        assert list(record.spike_counts) == list(truth.spike_counts)
        for name, counts in truth.spike_counts.items():
            np.testing.assert_array_equal(record.spike_counts[name], counts)
        assert (record.overflows, record.neurons) == (truth.overflows, truth.neurons)
        fired += sum(counts.sum() for counts in truth.spike_counts.values())
    assert fired > 0
    assert engine._alone._chain is not None


@pytest.mark.parametrize(("make", "channels"), CASES[2:])
def test_few_samples_one_after_the_other_give_the_bits_of_a_batch(make, channels):
    net = make(channels)
    graph = net.graph()
    engine = Engine(graph)
    for number in (16, 16, 2, 5, 15):
        samples = net.samples(number)
        truth, record = simulate(graph, samples, kernels="plain"), engine.simulate(samples)
        np.testing.assert_array_equal(record.outputs, truth.outputs)
        assert record.outputs.dtype == truth.outputs.dtype
        for name, counts in truth.spike_counts.items():
            np.testing.assert_array_equal(record.spike_counts[name], counts)
        assert record.overflows == truth.overflows
    assert engine._alone._chain is not None


def test_many_samples_are_no_case_for_a_chain():
    net = features(24)
    engine = Engine(net.graph())
    for _ in range(3):
        engine.simulate(net.samples(alone.FEW + 1))
    assert engine._alone._chain is None


def test_what_overflows_is_counted():
    """127 x 127 x 64 x 64 leaves the 24 bits of a membrane."""
    nodes = {
        "input": Input((64,), low=0, high=127),
        "fc": Linear(np.full((2, 64), 127, np.int8)),
        "lif": LIF((2,), np.asarray(4096), np.full(2, 5), compare=">", gain=np.asarray(1)),
    }
    engine = Engine(Graph.chain(nodes, timesteps=2, arithmetic=Loihi(LOIHI2)))
    first, second = (engine.simulate(np.full((1, 64), 127)) for _ in range(2))
    assert engine._alone._chain is not None
    assert second.overflows == first.overflows == {"lif": {"membrane saturated": 4, "sum beyond 24 bits": 4}}
    several = engine.simulate(np.full((3, 64), 127))
    assert several.overflows == {"lif": {"membrane saturated": 12, "sum beyond 24 bits": 12}}


def test_what_a_chain_does_not_show_comes_from_the_plain_way():
    net = features(24)
    engine, samples = Engine(net.graph()), net.samples(1)
    for _ in range(3):
        engine.simulate(samples)
    everything = engine.simulate(samples, Request(trains=True, membranes=True, events=True))
    assert everything.events
    assert set(everything.trains) == set(everything.membranes) == set(everything.neurons)


def test_input_beyond_what_the_integers_were_made_for_is_refused_at_each_sample():
    net = features(24)
    engine, samples = Engine(net.graph()), net.samples(1)
    for _ in range(3):
        engine.simulate(samples)
    for kind in (np.uint8, np.int64, np.float32):
        with pytest.raises(SpikeportError, match="SP504"):
            engine.simulate((samples + 2).astype(kind))
    with pytest.raises(SpikeportError, match="SP502"):
        engine.simulate(samples[:, :, 1:])


@pytest.mark.parametrize("values", [[7], [0, 255], range(3, 90), [255] * 70, [9, 8, 200]])
def test_the_ends_of_bytes_are_the_least_and_the_largest(values):
    assert cpu.ends(np.array(values, np.uint8)) == (min(values), max(values))


def test_a_graph_that_branches_is_no_chain():
    graph, samples = random_graph(11, integers=True, batch=1)
    engine = Engine(graph)
    outputs = [engine.simulate(samples).outputs for _ in range(3)]
    assert engine._alone._chain is None
    np.testing.assert_array_equal(outputs[0], outputs[2])


def test_two_threads_at_once_do_not_share_a_chain():
    net = maps(24)
    engine, samples = Engine(net.graph()), net.samples(8)
    expected = [engine.simulate(samples[n : n + 1]).outputs for n in range(8)]
    wrong = []

    def many(first):
        for n in range(first, first + 200):
            output = engine.simulate(samples[n % 8 : n % 8 + 1]).outputs
            wrong.extend([n] if (output != expected[n % 8]).any() else [])

    threads = [Thread(target=many, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
