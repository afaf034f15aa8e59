"""A long input is cut into blocks of steps, and a stream has no end: cut anywhere, every bit stays."""

from __future__ import annotations

import numpy as np
import pytest

from equal_records import ALL, same
from layer_chains import fed_back
from random_graphs import random_graph
from spikeport.engine import Stream, simulate, stream
from spikeport.engine.program import FEWEST
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, CubaLIF, Flatten, Graph, Input, Linear, Loihi, Range, Readout
from spikeport.passes.extend import extend
from spikeport.target import Request


@pytest.mark.parametrize("kernels", ["fast", "plain"])
@pytest.mark.parametrize("integers", [True, False])
def test_blocks_of_steps_are_the_whole_in_every_bit(kernels, integers):
    """Random graphs of every node, some of which feed back; real ones are drawn so that nothing rounds."""
    for seed in range(40, 60):
        graph, x = random_graph(seed, integers=integers)
        for steps in (1, 2, 3):
            same(Engine(graph, kernels=kernels, steps=steps).simulate(x, ALL), simulate(graph, x, ALL, kernels="plain"))


def wide(steps, *, cuba=False, channels=64, after_end="hold"):
    """A convolution whose events and neurons go in one pass, and its readout."""
    rng = np.random.default_rng(steps)
    neurons = (CubaLIF if cuba else LIF)(
        (channels, 5, 5),
        np.int64(3500),
        rng.integers(60, 300, steps),
        bias=np.int64(9),
        compare=">",
        reset="subtract",
        **({"current_decay": np.int64(900)} if cuba else {}),
    )
    nodes = {
        "in": Input((16, 5, 5), "events", low=0, high=1),
        "conv": Conv(rng.integers(-50, 60, (channels, 16, 3, 3)).astype(np.int8), padding=(1, 1)),
        "lif": neurons,
        "flat": Flatten(),
        "fc": Linear(rng.integers(-9, 10, (3, channels * 25)).astype(np.int8)),
        "out": Readout((3,), np.ones(steps, np.int64)),
    }
    return Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2)).with_(after_end=after_end)


def events(steps, batch=2, shape=(16, 5, 5)):
    return (np.random.default_rng(0).random((steps, batch, *shape)) < 0.1).astype(np.uint8)


@pytest.mark.parametrize("cuba", [True, False])
@pytest.mark.parametrize("channels", [64, 48])
def test_one_pass_over_synapse_and_neurons_goes_on_where_it_was(cuba, channels):
    graph, x = wide(7, cuba=cuba, channels=channels), events(7)
    engine = Engine(graph, kernels="fast", steps=3)
    record = engine.simulate(x, ALL)
    assert engine.ready(Range(0, 1)).neurons["lif"].rows is not None
    same(record, simulate(graph, x, ALL, kernels="plain"))
    assert 0.02 < record.rates()["lif"].mean() < 0.6


@pytest.mark.parametrize("after_end", ["hold", "cycle"])
def test_a_stream_is_the_run_of_the_network_extended(after_end):
    """40 steps of a network that was trained for 3, in uneven blocks."""
    graph, x = wide(3, after_end=after_end), events(40)
    whole = simulate(extend(graph, 40), x, ALL, kernels="plain")
    running, blocks = Stream(graph, ALL, most=8), []
    for some in np.split(x, [1, 2, 4, 20, 21]):
        blocks += running.feed(some)
    assert [block.start for block in blocks][:3] == [0, 1, 2]
    np.testing.assert_array_equal(np.concatenate([block.outputs for block in blocks]).sum(0), whole.outputs)
    trains = [block.record.trains["lif"].unpack() for block in blocks]
    np.testing.assert_array_equal(np.concatenate(trains), whole.trains["lif"].unpack())
    counts = [block.record.events["conv"].synops for block in blocks]
    np.testing.assert_array_equal(np.concatenate(counts), whole.events["conv"].synops)


def dense(steps, after_end):
    """Layers without places, whose last one fires."""
    rng, nodes = np.random.default_rng(1), {"in": Input((20,), "events", unit=np.float64(0.5), low=0, high=3)}
    for layer, (entering, leaving) in enumerate([(20, 700), (700, 33)]):
        weight = Linear(rng.integers(-90, 100, (leaving, entering)).astype(np.int8), exponent=-layer)
        theta = rng.integers(40, 400, (steps if layer else 1, leaving)).repeat(1 if layer else steps, 0)
        neurons = LIF((leaving,), np.int64(4000), theta, bias=rng.integers(-50, 60, leaving), compare=">", reset="none")
        nodes |= {f"fc{layer}": weight, f"lif{layer}": neurons}
    return Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2)).with_(after_end=after_end)


@pytest.mark.parametrize(
    "graph",
    [
        wide(3, cuba=True, channels=48),
        wide(5, after_end="cycle"),
        dense(7, "hold"),
        dense(3, "cycle"),
        dense(60, "error"),
        fed_back(24, 7).graph().with_(after_end="hold"),
        fed_back(65, 3).graph().with_(after_end="cycle"),
        fed_back(66, 60).graph().with_(after_end="error"),
    ],
)
def test_short_blocks_of_one_sample_go_step_by_step_and_leave_the_state_to_long_ones(graph):
    steps, entry = 60, graph.entry
    x = events(steps, 1, entry.shape)
    if entry.high > 1:
        x = x * entry.unit * np.random.default_rng(2).integers(0, entry.high + 1, entry.shape)
    whole = simulate(extend(graph, steps), x, ALL, kernels="plain")
    running, blocks, stepped = Stream(graph), [], []
    for some in np.split(x, [1, 2, 3, 5, 12, 33, 34, 54]):
        blocks += running.feed(some)
        stepped.append(running._stepped._inside)
    assert stepped == [False, *[True] * 4, False, True, False, True]
    np.testing.assert_array_equal(sum(block.record.outputs for block in blocks), whole.outputs)
    told = np.concatenate([block.outputs for block in blocks])
    assert told.shape == (steps, *whole.outputs.shape)
    if graph.output == "lif1":
        np.testing.assert_array_equal(told, whole.trains["lif1"].unpack())
    for name, counts in whole.spike_counts.items():
        assert counts.sum() > 0
        np.testing.assert_array_equal(np.concatenate([block.record.spike_counts[name] for block in blocks]), counts)
    assert {name for block in blocks for name in block.record.overflows} == set(whole.overflows)


def test_memory_of_a_stream_does_not_grow():
    graph = wide(2)
    running = Stream(graph, Request())
    sizes = []
    for _ in range(4):
        list(running.feed(events(64)))
        run = running._run
        sizes.append(sum(map(len, (*run.counted.values(), *run.trains.values(), *run.spikes.values()))))
    assert sizes == [0] * 4
    assert running.done == 256


def test_a_long_sample_of_a_large_map_is_cut_where_its_values_fill_the_cache():
    ready = Engine(wide(512, after_end="error")).ready(Range(0, 1))
    assert ready.steps_at_once(1, None) == 512
    assert ready.steps_at_once(1, 100_000) < 20
    assert ready.steps_at_once(400, None) == FEWEST


@pytest.mark.parametrize(
    ("code", "graph", "frames"),
    [
        ("SP540", wide(2, after_end="error"), events(3)),
        ("SP541", wide(2).replace({"in": Input((16, 5, 5))}), events(1)),
        ("SP542", wide(2).replace({"in": Input((16, 5, 5), "events")}), events(1).astype(np.float32)),
        ("SP543", wide(2), events(1)[0]),
        ("SP502", wide(2), np.full((1, 1, 16, 5, 5), np.nan)),
        ("SP504", wide(2), events(1) * 2),
    ],
)
def test_what_a_stream_refuses(code, graph, frames):
    with pytest.raises(SpikeportError, match=code):
        list(stream(graph, [frames]))


def test_the_bounds_of_bytes_are_those_that_a_stream_counts_on():
    graph, x = wide(4).replace({"in": Input((16, 5, 5), "events")}), events(4)
    blocks = list(stream(graph, np.split(x, 2)))
    np.testing.assert_array_equal(sum(b.record.outputs for b in blocks), simulate(graph, x, kernels="plain").outputs)


def test_several_spikes_of_a_step_come_out_as_their_number():
    nodes = {"in": Input((1,), "events"), "lif": LIF((1,), np.float32(0), np.ones(1, np.float32), most_spikes=400)}
    graph = Graph.chain(nodes, 1).with_(after_end="hold")
    (block,) = stream(graph, [np.float32([[[300]], [[2]], [[0]]])])
    assert block.outputs.ravel().tolist() == [300, 2, 0]
