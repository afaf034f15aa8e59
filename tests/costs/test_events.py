"""Events derived from spike trains by numpy equal those that the engine counts while it runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeport.costs.events import derive
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, CubaLIF, Delay, Flatten, Graph, Input, Linear, Loihi, Pool, Readout
from spikeport.graph.reach import reach
from spikeport.record import SynapseEvents
from spikeport.target import Request

T, B = 3, 4


@st.composite
def convolutions(draw):
    """A convolution over one or two axes, a tenth of its weights zero, and the shape of an input that it takes."""
    axes = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weight = rng.integers(-5, 6, size=(2 * groups, draw(st.integers(1, 2)), *kernel)).astype(np.float32)
    numbers = {
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(axes)),
        "padding": tuple(draw(st.integers(0, 2)) for _ in range(axes)),
        "dilation": tuple(draw(st.integers(1, 2)) for _ in range(axes)),
    }
    size = tuple(draw(st.integers(5, 8)) for _ in range(axes))
    return Conv(weight, groups=groups, **numbers), (weight.shape[1] * groups, *size)


def taps_by_loops(node, shape, effective):
    """How often each input position occurs in the defining sum of the convolution."""
    counts = np.zeros(shape, dtype=int)
    size = node.output_shape(shape)
    per_group = node.channels // node.groups
    for out in np.ndindex(*size):
        for index in np.ndindex(*node.weight.shape[1:]):
            channel = out[0] // per_group * node.weight.shape[1] + index[0]
            at = tuple(
                o * s - p + k * d
                for o, s, p, k, d in zip(out[1:], node.stride, node.padding, index[1:], node.dilation, strict=True)
            )
            inside = all(0 <= a < n for a, n in zip(at, shape[1:], strict=True))
            if inside and (not effective or node.weight[(out[0], *index)] != 0):
                counts[(channel, *at)] += 1
    return counts


@settings(max_examples=40)
@given(convolutions(), st.booleans())
def test_reach_counts_the_terms_of_the_defining_sum(convolution, effective):
    node, shape = convolution
    np.testing.assert_array_equal(reach(node, shape, effective=effective), taps_by_loops(node, shape, effective))


def schedule(values, integers):
    return np.asarray(values, dtype=np.int64 if integers else np.float32)


def layer(shape, integers, kind="zero", cls=LIF, rng=None):
    """Neurons whose thresholds change with time."""
    numbers = {"decay": np.int64(2048)} if integers else {"decay": np.float32(0.5)}
    if cls is CubaLIF:
        numbers["current_decay"] = np.int64(1024) if integers else np.float32(0.25)
    compare = ">" if integers else ">="
    return cls(shape, threshold=schedule([3, 2, 4], integers), reset=kind, compare=compare, **numbers)


@st.composite
def graphs(draw):
    """conv - neurons - conv plus its own input (a residual) - pool - neurons - linear."""
    conv, shape = draw(convolutions())
    integers = draw(st.booleans())
    coding = draw(st.sampled_from(["direct", "events"]))
    kind = draw(st.sampled_from(["zero", "subtract", "none"]))
    cls = draw(st.sampled_from([LIF, CubaLIF]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if integers:
        conv = conv.with_(weight=conv.weight.astype(np.int8), exponent=draw(st.integers(-1, 1)))
    middle = conv.output_shape(shape)
    axes = len(middle) - 1
    eye = rng.integers(-2, 3, size=(middle[0], middle[0], *(3,) * axes)).astype(conv.weight.dtype)
    same = {"stride": (1,) * axes, "padding": (1,) * axes, "dilation": (1,) * axes}
    pool = Pool("sum", kernel=(1,) * axes, stride=(1,) * axes, padding=(0,) * axes)
    flat = (int(np.prod(middle)),)
    nodes = {
        "input": Input(shape, coding),
        "conv": conv,
        "first": layer(middle, integers, kind, cls),
        "again": Conv(eye, **same),
        "second": layer(middle, integers, kind),
        "pool": pool,
        "flat": Flatten(),
        "linear": Linear(rng.integers(-1, 2, size=(2, *flat)).astype(conv.weight.dtype)),
        "out": Readout((2,), np.ones(T, dtype=np.int64 if integers else np.float32)),
    }
    edges = [
        ("input", "conv"),
        ("conv", "first"),
        ("first", "again"),
        ("again", "second"),
        ("second", "pool"),
        ("first", "pool"),
        ("pool", "flat"),
        ("flat", "linear"),
        ("linear", "out"),
    ]
    graph = Graph(nodes, tuple(edges), T, arithmetic=Loihi(LOIHI2)) if integers else Graph(nodes, tuple(edges), T)
    lead = (T, B) if coding == "events" else (B,)
    analog = draw(st.booleans()) and not integers
    x = rng.normal(size=(*lead, *shape)) if analog else rng.integers(-1, 3, size=(*lead, *shape))
    return graph, x.astype(np.float32)


def same_events(a, b):
    assert a.keys() == b.keys()
    for name in a:
        for item in dataclasses.fields(a[name]):
            ours, theirs = getattr(a[name], item.name), getattr(b[name], item.name)
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{name}.{item.name}")


@settings(max_examples=40)
@given(graphs())
def test_derived_events_equal_the_engines(case):
    graph, x = case
    counted = simulate(graph, x, Request(events=True, trains=True))
    bare = dataclasses.replace(counted, events={})
    same_events(derive(graph, x, bare).events, counted.events)


def test_residual_sums_are_counted_after_the_sum():
    """Two spikes that meet are one input of payload two, and not of size one."""
    nodes = {
        "input": Input((1,)),
        "a": Linear(np.ones((2, 1), np.float32)),
        "one": LIF((2,), decay=np.float32(0), threshold=np.ones(T, np.float32)),
        "b": Linear(np.eye(2, dtype=np.float32)),
        "two": LIF((2,), decay=np.float32(0), threshold=np.ones(T, np.float32)),
        "c": Linear(np.ones((3, 2), np.float32)),
        "out": Readout((3,), np.ones(T, np.float32)),
    }
    edges = (("input", "a"), ("a", "one"), ("one", "b"), ("b", "two"), ("two", "c"), ("one", "c"), ("c", "out"))
    events = simulate(Graph(nodes, edges, T), np.ones((1, 1), np.float32), Request(events=True)).events["c"]
    assert isinstance(events, SynapseEvents)
    assert events.inputs.tolist() == [2] * T
    assert events.payload.tolist() == [4] * T
    assert events.fanout.tolist() == events.graded.tolist() == [6] * T


def test_a_recurrent_graph_is_derived_from_its_trains():
    nodes = {
        "input": Input((2,), "events"),
        "in": Linear(np.eye(2, dtype=np.float32)),
        "lif": LIF((2,), decay=np.float32(0.5), threshold=np.ones(T, np.float32)),
        "delay": Delay((2,), 1),
        "back": Linear(np.asarray([[0, 1], [1, 0]], np.float32)),
        "out": Readout((2,), np.ones(T, np.float32)),
    }
    edges = (("input", "in"), ("in", "lif"), ("lif", "delay"), ("delay", "back"), ("back", "lif"), ("lif", "out"))
    x = np.random.default_rng(0).integers(0, 2, size=(T, B, 2)).astype(np.float32)
    graph = Graph(nodes, edges, T)
    counted = simulate(graph, x, Request(events=True, trains=True))
    same_events(derive(graph, x, dataclasses.replace(counted, events={})).events, counted.events)


def test_a_delay_behind_two_layers_sends_up_to_two_and_a_frame_that_stays_is_constant_in_a_loop_too():
    """Two neurons that always fire, into one delay, and fed back by it: 2 from the second step on."""
    one, f4 = np.ones((1, 1), np.float32), np.float32
    lif = LIF((1,), f4(0), np.ones(T, f4))
    nodes = {"input": Input((1,)), "a": Linear(one), "one": lif, "two": lif, "delay": Delay((1,), 1), "b": Linear(one)}
    edges = (("input", "a"), ("a", "one"), ("a", "two"), ("one", "delay"), ("two", "delay"), ("delay", "b"))
    nodes |= {"c": Linear(one), "out": Readout((1,), np.ones(T, f4))}
    edges += (("b", "one"), ("two", "c"), ("c", "out"))
    events = simulate(Graph(nodes, edges, T), one, Request(events=True)).events
    assert events["b"].payload.tolist() == [0, 2, 2]
    assert events["b"].graded.tolist() == [0, 1, 1]
    assert (events["a"].constant, events["b"].constant) == (True, False)


@pytest.mark.parametrize("batch", [None, 1])
def test_input_that_is_analog_in_one_sample_has_no_size_in_any(batch):
    nodes = {
        "input": Input((1,)),
        "a": Linear(np.ones((1, 1), np.float32)),
        "out": Readout((1,), np.ones(1, np.float32)),
    }
    graph, x = Graph.chain(nodes, 1), np.asarray([[2], [0.5]], np.float32)
    events = simulate(graph, x, Request(events=True, batch=batch)).events["a"]
    assert (events.analog, events.payload.tolist(), events.inputs.tolist()) == (True, [0], [2])


def test_without_spike_trains_there_is_nothing_to_derive_from():
    graph = Graph(
        {"input": Input((1,)), "lif": LIF((1,), decay=np.float32(1), threshold=np.ones(T, np.float32))},
        (("input", "lif"),),
        T,
    )
    record = simulate(graph, np.ones((1, 1), np.float32))
    with pytest.raises(SpikeportError) as caught:
        derive(graph, np.ones((1, 1), np.float32), record)
    assert caught.value.code == "SP704"
