"""Prepared chains give the definition's bits, for one sample or some, and are left where they do not serve."""

from __future__ import annotations

import gc
import weakref
from threading import Thread

import numpy as np
import pytest

import spikeport.threads
from layer_chains import features, fed_back, lines, maps
from random_graphs import random_graph
from spikeport.engine import chains, cpu, simulate
from spikeport.engine.blocks import overhead, seconds
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Range
from spikeport.target import Request

CHANNELS = {maps: (1, 7, 24, 65, 130), features: (1, 7, 24, 65, 130), fed_back: (1, 8, 24, 65, 130)}
CASES = [*((lines, n) for n in (1, 128)), *((make, n) for make, sizes in CHANNELS.items() for n in sizes)]


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
    assert engine._chains._weights is not None


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("make", "channels"), CASES[2:])
def test_few_samples_in_parts_of_any_size_give_the_bits_of_a_batch(make, channels, threads, monkeypatch):
    monkeypatch.setattr(chains, "WAKE", 1e-9)  # parts go to other threads however little they have to do
    monkeypatch.setattr(chains, "WORTH", np.inf)
    monkeypatch.setattr(chains, "available", lambda: threads)
    monkeypatch.setattr(spikeport.threads, "available", lambda: threads)
    net = make(channels)
    graph = net.graph()
    engine = Engine(graph)
    for number in (16, 16, 2, 5, 15, 61):
        samples = net.samples(number)
        truth, record = simulate(graph, samples, kernels="plain"), engine.simulate(samples)
        np.testing.assert_array_equal(record.outputs, truth.outputs)
        assert record.outputs.dtype == truth.outputs.dtype
        for name, counts in truth.spike_counts.items():
            np.testing.assert_array_equal(record.spike_counts[name], counts)
        assert record.overflows == truth.overflows
    hands = engine._chains._free
    assert 1 <= len(hands) <= threads
    assert {size for hand in hands for size in hand._chains} == {16, 4, 1}
    assert all(chain.weights is engine._chains._weights for hand in hands for chain in hand._chains.values())


def test_many_samples_are_no_case_for_a_chain(monkeypatch):
    monkeypatch.setattr(chains, "available", lambda: 2)
    net = features(24)
    engine = Engine(net.graph())
    program = engine.ready(Range(0, 1))
    most = int(2 * chains.WORTH * overhead(program) / seconds(program))
    for _ in range(3):
        engine.simulate(net.samples(most + 1))
    assert engine._chains._weights is None
    for _ in range(2):
        engine.simulate(net.samples(most))
    assert engine._chains._weights is not None


@pytest.mark.parametrize("faster", ["chains", "batch"])
def test_from_seventeen_samples_on_the_way_that_took_less_time_is_taken(monkeypatch, faster):
    net, tried = maps(7), []

    def ratio(batch, through_chains, samples):
        tried.append((samples.number, batch(samples).outputs, through_chains(samples).outputs))
        return 2.0 if faster == "chains" else 0.5

    monkeypatch.setattr(cpu, "ratio", ratio, raising=False)
    monkeypatch.setattr(chains, "WORTH", np.inf)
    through = []
    real = chains.Chains._through
    monkeypatch.setattr(chains.Chains, "_through", lambda self, *told: through.append(told) or real(self, *told))
    engine, ways = Engine(net.graph()), {}
    for number in (16, 16, 17, 31, 32):
        before = len(through)
        engine.simulate(net.samples(number))
        ways[number] = len(through) - before
    assert [number for number, *_ in tried] == [17, 32]  # both have as many bits as those between
    assert all((one == other).all() for _, one, other in tried)
    again = faster == "chains"
    assert ways == {16: 1, 17: 1 + again, 31: again, 32: 1 + again}


def test_no_more_samples_at_once_than_are_asked_for():
    net = maps(7)
    engine, samples = Engine(net.graph()), net.samples(6)
    for _ in range(3):
        engine.simulate(samples, Request(batch=5))
    assert engine._chains._weights is None
    for _ in range(2):
        engine.simulate(samples, Request(batch=6))
    assert engine._chains._weights is not None


@pytest.mark.parametrize("chained", [True, False])
def test_an_engine_that_nobody_holds_takes_its_weights_with_it_at_once(chained):
    """Without a collection: of a large network two would else be held."""
    net = maps(7)
    engine = Engine(net.graph())
    for _ in range(3):
        engine.simulate(net.samples(20), Request(trains=not chained))
    assert (engine._chains._weights is not None) == chained
    held = weakref.ref(engine), weakref.ref(engine._program)
    gc.disable()
    try:
        del engine
        assert [each() for each in held] == [None, None]
    finally:
        gc.enable()


def test_no_samples_are_refused_as_ever():
    net = maps(7)
    engine = Engine(net.graph())
    for _ in range(3):
        engine.simulate(net.samples(2))
    assert engine._chains._weights is not None
    with pytest.raises(SpikeportError, match="SP121"):
        engine.simulate(net.samples(0))


def test_what_overflows_is_counted():
    """127 x 127 x 64 x 64 leaves the 24 bits of a membrane."""
    nodes = {
        "input": Input((64,), low=0, high=127),
        "fc": Linear(np.full((2, 64), 127, np.int8)),
        "lif": LIF((2,), np.asarray(4096), np.full(2, 5), compare=">", gain=np.asarray(1)),
    }
    engine = Engine(Graph.chain(nodes, timesteps=2, arithmetic=Loihi(LOIHI2)))
    first, second = (engine.simulate(np.full((1, 64), 127)) for _ in range(2))
    assert engine._chains._weights is not None
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
    assert engine._chains._weights is None
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
