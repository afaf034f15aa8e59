"""What a layer takes of a chip follows from its synapses by counting; verdicts say what binds and what nobody knows."""

from __future__ import annotations

import itertools
import json
import time
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from resnet19 import resnet19
from spikeport.costs import Traffic
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Conv, Delay, Graph, Input, Linear, Pool, Scale
from spikeport.mapping import Mapping, draw, find, latency, traffic, work
from spikeport.mapping.fit import fit
from spikeport.mapping.layers import layers
from spikeport.mapping.placement import position
from spikeport.target import Request
from spikeport.terminal.app import build
from spikeport.verbs.fit import fit as verb

T = 2


def lif(*shape):
    return LIF(shape, decay=np.float32(0.5), threshold=np.ones(T, np.float32))


def dense():
    """784-128-10, as in reference tables of mapping limits."""
    return Graph.chain(
        {
            "input": Input((784,)),
            "a": Linear(np.ones((128, 784), np.float32)),
            "one": lif(128),
            "b": Linear(np.ones((10, 128), np.float32)),
            "two": lif(10),
        },
        T,
    )


@st.composite
def networks(draw):
    """input - conv - lif - (pool) - conv - lif, any stride, padding and groups."""
    channels, groups = draw(st.sampled_from([(2, 1), (4, 2), (4, 4), (3, 1)]))
    size = draw(st.integers(6, 9))
    numbers = {"stride": (draw(st.integers(1, 2)), 1), "padding": (draw(st.integers(0, 1)),) * 2}
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    nodes = {
        "input": Input((1, size, size)),
        "a": Conv(rng.normal(size=(channels, 1, 3, 3)).astype(np.float32)),
        "one": lif(channels, size - 2, size - 2),
    }
    inner = size - 2
    if draw(st.booleans()):
        nodes["pool"] = Pool("sum", (2, 2), (2, 2))
        inner //= 2
    node = Conv(rng.normal(size=(channels * 2, channels // groups, 2, 2)).astype(np.float32), groups=groups, **numbers)
    nodes |= {"b": node, "two": lif(*node.output_shape((channels, inner, inner)))}
    return Graph.chain(nodes, T)


def chip(**limits):
    """Loihi 1 with other limits."""
    loihi1 = find("loihi1")
    changed = {name: loihi1.limits[name].model_copy(update={"value": value}) for name, value in limits.items()}
    return loihi1.model_copy(update={"limits": {**loihi1.limits, **changed}})


def test_a_dense_network_takes_two_cores_and_its_memory_by_hand():
    """fc1: 784 lists of 128 8-bit synapses, split in two of 64: (64 * 8 + 10) bits padded to 9 words of 64."""
    fitted = fit(dense(), "loihi1")
    assert (fitted.cores, fitted.chips, fitted.status) == (2, 1, "fits")
    one = fitted.layers["one"]
    assert one.tile.used["synapse_memory"] == 784 * 2 * 9 * 64
    assert one.utilisation["synapse_memory"] == pytest.approx(0.861, abs=1e-3)
    assert one.binding == "synapse_memory"
    assert one.tile.used["input_axons"] == 784
    assert one.tile.used["output_axons"] == 128


def synapses_into(graph, mapping, core):
    """Input neuron -> synapses that it has with the neurons of a core, by looking at every weight."""
    node, shape = graph["b"], graph.input_shape("b")
    here = mapping.core_of("two") == core
    counts = {}
    per_group = node.channels // node.groups
    for out in zip(*np.nonzero(here), strict=True):
        for index in np.ndindex(*node.weight.shape[1:]):
            channel = out[0] // per_group * node.weight.shape[1] + index[0]
            at = tuple(o * s - p + k for o, s, p, k in zip(out[1:], node.stride, node.padding, index[1:], strict=True))
            if all(0 <= a < n for a, n in zip(at, shape[1:], strict=True)):
                counts[(channel, *at)] = counts.get((channel, *at), 0) + 1
    return counts


@settings(max_examples=25)
@given(networks(), st.integers(3, 30))
def test_unrolled_memory_and_axons_are_those_of_the_fullest_core(graph, neurons):
    fitted = fit(graph, chip(neurons=neurons), sharing="unrolled")
    mapping = Mapping(graph, fitted)
    tile = fitted.layers["two"].tile
    area = 4 if "pool" in graph.nodes else 1
    bits, axons = [], []
    for core in np.unique(mapping.core_of("two")):
        lists = synapses_into(graph, mapping, core)
        bits.append(sum(-(-(n * 8 + 10) // 64) * 64 for n in lists.values()))
        axons.append(len(lists) * area)
    assert tile.used["synapse_memory"] == max(bits)
    assert tile.used["input_axons"] == max(axons)
    assert prod(tile.shape) <= neurons


@settings(max_examples=25)
@given(networks(), st.integers(3, 30))
def test_every_neuron_has_a_core_and_every_spike_reaches_the_cores_of_its_synapses(graph, neurons):
    fitted = fit(graph, chip(neurons=neurons))
    mapping = Mapping(graph, fitted)
    for name, layer in layers(graph).items():
        counts = np.bincount(mapping.core_of(name).ravel())
        assert counts.sum() == layer.neurons
        assert counts.max() <= neurons
    reached = mapping.destinations("one", "two")
    first = mapping.first["two"]
    pooled = "pool" in graph.nodes
    wanted = np.zeros_like(reached)
    for core in np.unique(mapping.core_of("two")):
        for at in synapses_into(graph, mapping, core):
            block = itertools.product(*((2 * a, 2 * a + 1) for a in at[1:])) if pooled else [at[1:]]
            for place in block:
                wanted[(at[0], *place, core - first)] = True
    np.testing.assert_array_equal(reached, wanted)


def test_shared_convolutions_take_no_more_cores_than_unrolled_ones():
    graph = Graph.chain(
        {
            "input": Input((3, 16, 16)),
            "a": Conv(np.ones((64, 3, 3, 3), np.float32), padding=(1, 1)),
            "one": lif(64, 16, 16),
            "b": Conv(np.ones((64, 64, 3, 3), np.float32), padding=(1, 1)),
            "two": lif(64, 16, 16),
        },
        T,
    )
    assert fit(graph, "loihi1").cores < fit(graph, "loihi1", sharing="unrolled").cores


def test_messages_and_hops_are_counted_spike_by_spike():
    graph = Graph.chain(
        {
            "input": Input((1, 6, 6), "events"),
            "a": Conv(np.full((2, 1, 3, 3), 0.3, np.float32), padding=(1, 1)),
            "one": lif(2, 6, 6),
            "b": Conv(np.ones((3, 2, 3, 3), np.float32)),
            "two": lif(3, 4, 4),
        },
        T,
    )
    x = (np.random.default_rng(0).random((T, 3, 1, 6, 6)) < 0.4).astype(np.float32)
    record = simulate(graph, x, Request(trains=True, events=True))
    mapping = Mapping(graph, fit(graph, chip(neurons=4)))
    sent = traffic(mapping, record, x)["one"]
    cores_of, reached = mapping.core_of("one"), mapping.destinations("one", "two")
    messages, hops = np.zeros(T, np.int64), np.zeros(T, np.int64)
    for t, sample, *neuron in zip(*np.nonzero(record.trains["one"].unpack()), strict=True):
        for core in np.flatnonzero(reached[tuple(neuron)]) + mapping.first["two"]:
            messages[t] += 1
            (x1, y1), (x2, y2) = mapping.position(cores_of[tuple(neuron)]), mapping.position(core)
            hops[t] += abs(x1 - x2) + abs(y1 - y2)
        assert sample < 3
    assert (messages > 0).all()
    assert sent.messages.dtype == np.int64
    assert sent.messages.tolist() == messages.tolist()
    assert (sent.east_west + sent.north_south).tolist() == hops.tolist()
    assert isinstance(sent, Traffic)


@settings(max_examples=25)
@given(networks(), st.integers(3, 30))
def test_the_work_of_every_core_is_that_of_its_synapses(graph, neurons):
    """Spikes times synapses, looked up weight by weight; all cores together do what the layer's events say."""
    x = np.random.default_rng(1).normal(size=(3, *graph.shapes["input"])).astype(np.float32)
    record = simulate(graph, x, Request(trains=True, events=True))
    mapping = Mapping(graph, fit(graph, chip(neurons=neurons)))
    operations = work(mapping, record, x)["two"]
    spikes = record.trains["one"].unpack().sum(1)
    pooled = "pool" in graph.nodes
    first = mapping.first["two"]
    for core in np.unique(mapping.core_of("two")):
        wanted = np.zeros(T, np.int64)
        for (channel, *at), synapses in synapses_into(graph, mapping, core).items():
            window = [slice(2 * a, 2 * a + 2) if pooled else slice(a, a + 1) for a in at]
            wanted += synapses * spikes[:, channel][(slice(None), *window)].reshape(T, -1).sum(1)
        np.testing.assert_array_equal(operations[:, core - first], wanted)
    np.testing.assert_array_equal(operations.sum(1), record.events["b"].unary)


def test_neighbours_on_the_snake_are_one_tile_apart():
    mesh = find("loihi1").mesh
    column, row = position(np.arange(128), mesh, 128)
    steps = np.abs(np.diff(column)) + np.abs(np.diff(row))
    assert set(steps.tolist()) == {0, 1}
    assert len(set(zip(column.tolist(), row.tolist(), strict=True))) == 32


def test_a_step_takes_the_busiest_cores_work_and_the_barrier():
    graph = dense()
    x = np.ones((2, 784), np.float32)
    record = simulate(graph, x, Request(events=True, trains=True))
    mapping = Mapping(graph, fit(graph, "loihi1"))
    times = latency(mapping, record, work(mapping, record, x))
    busy = 784 * 128 * 3.5e-9 + 128 * 8.4e-9  # every input is one, every neuron active
    assert [step.nominal for step in times.steps] == pytest.approx([busy + 465e-9] * T)
    assert times.step.nominal == pytest.approx(busy + 465e-9)
    assert (times.depth, times.bottleneck) == (2, "one")
    assert times.sample.nominal == pytest.approx((T + 2) * times.step.nominal)
    assert times.pipelined.nominal == pytest.approx(1 / (T * times.step.nominal))
    idle, barrier = 784 * 128 * 3.5e-9 + 128 * 5.3e-9, find("loihi1").timing["barrier"].si  # low: no neuron is active
    assert times.step.low == pytest.approx(idle + barrier.low)
    assert "depth dominates" in times.sentence
    assert f"and {(T + 2) / T:.3g} times the static and host energy" in times.sentence


def test_a_chip_without_published_axons_is_unknown_and_says_why():
    fitted = fit(dense(), "loihi2")
    assert fitted.status == "unknown"
    assert "how many output axons a core has is not public" in fitted.sentence
    assert "output_axons" not in fitted.layers["one"].utilisation


def test_what_no_core_holds_does_not_fit():
    fitted = fit(dense(), chip(synapse_memory=1000))
    assert fitted.status == "does not fit"
    assert fitted.refused == ("one", "two")
    big = fit(dense(), chip(neurons=1, chips=1, cores=16))
    assert big.status == "does not fit"
    assert "the largest system has 1 chips" in big.sentence


def test_a_membrane_that_is_a_sum_of_its_own_past_is_refused_not_followed_for_ever():
    nodes = {"input": Input((3,)), "sum": Scale(np.ones(())), "past": Delay((3,)), "lif": lif(3)}
    edges = (("input", "sum"), ("past", "sum"), ("sum", "past"), ("sum", "lif"))
    with pytest.raises(SpikeportError, match="comes back to itself") as caught:
        fit(Graph(nodes, edges, T))
    assert caught.value.code == "SP722"


def test_resnet_19_at_full_width_within_five_seconds():
    graph = resnet19()
    begun = time.process_time()
    fitted = verb(graph, "loihi1")
    seconds = time.process_time() - begun
    assert seconds < 5
    assert fitted.bounds["shared"].cores < fitted.bounds["unrolled"].cores


def test_the_command_line_draws_the_core_map(tmp_path):
    nir.write(dense(), tmp_path / "m.nir")
    path = tmp_path / "map.svg"
    shown = CliRunner().invoke(
        build(),
        ["fit", str(tmp_path / "m.nir"), "--chip", "loihi1", "--picture", str(path), "--json"],
        catch_exceptions=False,
    )
    assert json.loads(shown.stdout)["bounds"]["shared"]["status"] == "fits"
    assert path.read_text().startswith("<?xml")
    text = CliRunner().invoke(build(), ["fit", str(tmp_path / "m.nir")], catch_exceptions=False).stdout
    assert "fits on 2 cores, 1 chip" in text
    draw(Mapping(dense(), fit(dense(), "loihi1")), tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SpikeportError, match="SP724"):
        draw(Mapping(dense(), fit(dense(), "loihi1")), tmp_path / "map.gif")
