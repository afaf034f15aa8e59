"""The fast kernels are the plain definition, bit for bit; a way to a product is exact wherever the rule takes it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.engine.cpu import fused, products, sparse
from spikeport.engine.cpu.pair import Pair
from spikeport.engine.program import kernels_here
from spikeport.engine.ranges import Range, product, ranges
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, CubaLIF, Delay, Graph, Input, Linear, Loihi, Readout, Scale
from spikeport.target import Request
from stepwise import Stepwise, windows

SEEDS = st.integers(0, 2**32 - 1)
ALL = Request(trains=True, membranes=True, events=True)
BYTES = pytest.mark.skipif(not products.bytes_are_exact(), reason="this processor has no exact byte products")


def same(a, b):
    """Assert that two records hold the same, to the bit."""
    np.testing.assert_array_equal(a.outputs, b.outputs)
    assert a.overflows == b.overflows
    for name in a.neurons:
        np.testing.assert_array_equal(a.trains[name].bits, b.trains[name].bits)
        assert a.membranes[name].tobytes() == b.membranes[name].tobytes()
    for name, events in a.events.items():
        for field in (
            *("spikes", "updates", "active"),
            *("inputs", "payload", "synops", "fanout", "graded", "unary", "dense"),
        ):
            np.testing.assert_array_equal(
                getattr(events, field, 0), getattr(b.events[name], field, 0), f"{name} {field}"
            )


@settings(max_examples=80)
@given(SEEDS, st.booleans())
def test_fast_and_plain_kernels_agree_on_every_bit(seed, integers):
    graph, samples = random_graph(seed, integers=integers)
    same(simulate(graph, samples, ALL, kernels="fast"), simulate(graph, samples, ALL, kernels="plain"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reset", ["zero", "subtract", "value", "none"])
@pytest.mark.parametrize("cuba", [False, True])
def test_real_neurons_round_alike_in_both_kernels(dtype, reset, cuba):
    """Numbers with full significands, where another order, or a fused multiply-add, would show."""
    rng = np.random.default_rng(5)
    shape, steps = (3, 11, 7), 6

    def numbers(*size):
        return rng.standard_normal(size).astype(dtype)

    extra = {"current_decay": rng.random(3).astype(dtype)} if cuba else {}
    node = (CubaLIF if cuba else LIF)(
        shape,
        decay=rng.random(shape).astype(dtype),
        threshold=np.abs(numbers(steps, *shape)),
        bias=numbers(3),
        gain=numbers(),
        reset=reset,
        reset_value=numbers(),
        **extra,
    )
    graph = Graph({"input": Input(shape, "events"), "lif": node}, (("input", "lif"),), steps)
    graph = graph.with_(arithmetic=type(graph.arithmetic)(np.dtype(dtype).name))
    samples = numbers(steps, 40, *shape)
    same(simulate(graph, samples, ALL, kernels="fast"), simulate(graph, samples, ALL, kernels="plain"))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_integers_do_not_depend_on_the_number_of_threads(threads):
    before = torch.get_num_threads()
    rng = np.random.default_rng(1)
    nodes = {
        "input": Input((5, 40, 40), low=0, high=255),
        "conv": Conv(rng.integers(-128, 128, (7, 5, 3, 3)).astype(np.int8), padding=(1, 1)),
        "lif": LIF((7, 40, 40), np.asarray(3000), rng.integers(0, 90000, (3, 7)), compare=">", reset="subtract"),
    }
    graph = Graph.chain(nodes, timesteps=3, arithmetic=Loihi(LOIHI2))
    samples = rng.integers(0, 256, (9, 5, 40, 40))
    reference = simulate(graph, samples, ALL, kernels="plain")
    assert reference.spike_counts["lif"].min() > 0
    try:
        torch.set_num_threads(threads)
        same(simulate(graph, samples, ALL), reference)
    finally:
        torch.set_num_threads(before)


def test_the_environment_forces_the_plain_kernels(monkeypatch):
    assert kernels_here("cpu") == "fast"
    assert kernels_here("cuda") == "plain"
    monkeypatch.setenv("SPIKEPORT_KERNELS", "plain")
    assert Engine(random_graph(0, integers=True)[0]).kernels == "plain"


# -- products ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["int8", "float32", "float64"])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255)])
def test_every_way_is_exact_at_the_extremes(way, low, high):
    if way == "int8" and not products.bytes_are_exact():
        pytest.skip("this processor has no exact byte products")
    rng = np.random.default_rng(3)
    for groups, stride, dilation in ((1, 1, 1), (1, 2, 1), (2, 1, 2), (2, 2, 2)):
        for fill in (127, -128, None):
            weight = rng.integers(-128, 128, (6, 8, 3, 3)) if fill is None else np.full((6, 8, 3, 3), fill)
            node = Conv(
                weight.astype(np.int8), stride=(stride, 1), padding=(1, 2), dilation=(dilation, 1), groups=groups
            )
            for x in (np.full((2, 8 * groups, 9, 6), high), rng.choice([low, high], (2, 8 * groups, 9, 6))):
                truth = windows(x, weight.astype(np.int64), node.stride, node.padding, node.dilation, groups)
                run = products.prepare(node, Range(low, high), x.shape[1:], way=way)
                dtype = torch.uint8 if way == "int8" else torch.int32
                np.testing.assert_array_equal(run(torch.as_tensor(x).to(dtype)[None])[0].numpy(), truth)


OPTIONS = st.fixed_dictionaries(
    {
        "channels": st.sampled_from([1, 3, 8, 20, 64]),
        "outputs": st.sampled_from([1, 10, 16, 33, 64, 130]),
        "kernel": st.tuples(st.integers(1, 5), st.integers(1, 4)),
        "stride": st.tuples(*[st.integers(1, 3)] * 2),
        "padding": st.tuples(*[st.integers(0, 4)] * 2),
        "dilation": st.tuples(*[st.integers(1, 2)] * 2),
        "size": st.tuples(st.integers(1, 12), st.integers(1, 12)),
        "high": st.integers(1, sparse.STEEPEST),
        "rate": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        "extreme": st.booleans(),
        "seed": SEEDS,
    }
)


@settings(max_examples=60)
@given(OPTIONS)
def test_sums_of_events_are_exact_whatever_the_convolution(options):
    """Against sums in int64, window by window; all inputs at once and weights of one sign leave 16 bits."""
    o, rng = SimpleNamespace(**options), np.random.default_rng(options["seed"])
    weight = rng.integers(-128, 128, (o.outputs, o.channels, *o.kernel)).astype(np.int8)
    weight = np.full_like(weight, rng.choice([-128, 127])) if o.extreme else weight
    node = Conv(weight, stride=o.stride, padding=o.padding, dilation=o.dilation)
    reached = [n + 2 * p - d * (k - 1) for n, p, d, k in zip(o.size, o.padding, o.dilation, o.kernel, strict=True)]
    assume(min(reached) > 0)
    x = rng.integers(1, o.high + 1, (3, o.channels, *o.size)) * (rng.random((3, o.channels, *o.size)) < o.rate)
    truth = windows(x, weight.astype(np.int64), o.stride, o.padding, o.dilation, 1)
    found = sparse.rows(node, Range(0, o.high), (o.channels, *o.size))
    np.testing.assert_array_equal(found(torch.as_tensor(x.astype(np.uint8))).numpy(), truth)


@pytest.mark.parametrize("shape", [(7, 3), (5, 784), (300, 1100)])
def test_sums_of_events_are_exact_for_matrices_and_lines(shape):
    rng = np.random.default_rng(2)
    weight = rng.integers(-128, 128, shape).astype(np.int8)
    x = (rng.random((9, shape[1])) < 0.3).astype(np.uint8)
    matrix, line = Linear(weight), Conv(weight[..., None], stride=(1,), padding=(0,), dilation=(1,))
    np.testing.assert_array_equal(
        sparse.rows(matrix, Range(0, 1), shape[1:])(torch.as_tensor(x)).numpy(), x @ weight.T.astype(np.int64)
    )
    found = sparse.rows(line, Range(0, 1), (shape[1], 9))(torch.as_tensor(x.T[None].copy()))
    np.testing.assert_array_equal(found[0].numpy().T, x @ weight.T.astype(np.int64))


def test_more_events_than_16_bits_sum_are_carried_in_time():
    """Every weight at the lower end, every input on, one input more at a time: 256 x -128 is the last that fits."""
    for inputs in (255, 256, 257, 512, 513):
        node = Linear(np.full((3, inputs), -128, np.int8))
        found = sparse.rows(node, Range(0, 1), (inputs,))
        assert found.sums == ("int16" if inputs < 256 else "int32")
        np.testing.assert_array_equal(found(torch.ones(2, inputs, dtype=torch.uint8)).numpy(), -128 * inputs)


def test_events_are_added_only_where_they_are_few_and_can_be():
    weight = np.ones((4, 8, 3, 3), np.int8)
    conv, shape = Conv(weight, padding=(1, 1)), (8, 6, 6)
    found = sparse.rows(conv, Range(0, 3), shape)
    few, many = torch.zeros(1, *shape, dtype=torch.uint8), torch.full((1, *shape), 3, dtype=torch.uint8)
    assert (found.share(few), found.share(many)) == (0.0, 3.0)
    said = []
    run = products.Product("int8", lambda x: said.append("dense") or found(x), found, found.worth("int8"))
    run(few[None])
    assert said == []
    run(many[None])
    assert said == ["dense"]
    assert sparse.rows(conv, Range(-1, 1), shape) is None
    assert sparse.rows(conv, Range(0, sparse.STEEPEST + 1), shape) is None
    assert sparse.rows(Conv(np.ones((4, 4, 3, 3), np.int8), groups=2), Range(0, 1), shape) is None


LAYERS = st.fixed_dictionaries(
    {
        "channels": st.sampled_from([1, 3, 16, 64]),
        "outputs": st.sampled_from([32, 64, 96, 128, 10]),
        "kernel": st.tuples(*[st.integers(1, 3)] * 2),
        "stride": st.tuples(*[st.integers(1, 2)] * 2),
        "padding": st.tuples(*[st.integers(0, 2)] * 2),
        "dilation": st.tuples(*[st.integers(1, 2)] * 2),
        "size": st.tuples(*[st.integers(1, 9)] * 2),
        "high": st.integers(1, 3),
        "steps": st.integers(1, 5),
        "schedule": st.sampled_from(["step", "channel", "neuron"]),
        "reset": st.sampled_from(["zero", "subtract", "value", "none"]),
        "cuba": st.booleans(),
        "exponent": st.integers(-3, 6),
        "seed": SEEDS,
    }
)


@settings(max_examples=80)
@given(LAYERS)
def test_a_synapse_and_its_neurons_in_one_pass_are_the_two_one_after_the_other(options):
    """Against the plain definition: spikes, outputs, events, saturated membranes and wide sums."""
    o, rng = SimpleNamespace(**options), np.random.default_rng(options["seed"])
    weight = rng.integers(-128, 128, (o.outputs, o.channels, *o.kernel)).astype(np.int8)
    synapse = Conv(weight, exponent=o.exponent, stride=o.stride, padding=o.padding, dilation=o.dilation)
    entering = (o.channels, *o.size)
    assume(min(n + 2 * p - d * (k - 1) for n, p, d, k in zip(o.size, o.padding, o.dilation, o.kernel, strict=True)) > 0)
    shape = synapse.output_shape(entering)
    spread = {"step": (), "channel": shape[:1], "neuron": shape}[o.schedule]
    parameters = {
        "decay": rng.integers(1, 4097, spread),
        "threshold": rng.integers(0, 2000, (o.steps, *spread)),
        "bias": rng.integers(-9000, 9000, spread),
        "reset": o.reset,
        "gain": np.asarray(1),
        "compare": ">",
    } | ({"reset_value": rng.integers(-500, 500, spread)} if o.reset == "value" else {})
    layer = (
        CubaLIF(shape, current_decay=rng.integers(0, 4096, spread), **parameters)
        if o.cuba
        else LIF(shape, **parameters)
    )
    graph = Graph(
        {
            "input": Input(entering, "events", unit=np.float64(1), low=0, high=o.high),
            "synapse": synapse,
            "layer": layer,
        },
        (("input", "synapse"), ("synapse", "layer")),
        o.steps,
        Loihi(LOIHI2),
    )
    size = (o.steps, 3, *entering)
    x = (rng.integers(1, o.high + 1, size) * (rng.random(size) < 0.05)).astype(np.uint8)
    wanted = Request(trains=True, events=True, membranes=True)
    fast, plain = (Engine(graph, kernels=kind) for kind in ("fast", "plain"))
    here, there = fast.simulate(x, wanted), plain.simulate(x, wanted)
    fits = fused.fits(layer, ranges(graph, Range(0, o.high))["synapse"], 2**23 - 1)
    assert isinstance(fast._program.neurons["layer"], Pair) == (o.outputs != 10 and fits)  # vectors fill the channels
    np.testing.assert_array_equal(here.outputs, there.outputs)
    np.testing.assert_array_equal(here.trains["layer"].bits, there.trains["layer"].bits)
    np.testing.assert_array_equal(here.membranes["layer"], there.membranes["layer"])
    assert here.overflows == there.overflows
    for field in ("spikes", "updates", "active"):
        np.testing.assert_array_equal(getattr(here.events["layer"], field), getattr(there.events["layer"], field))


@BYTES
@pytest.mark.parametrize(("way", "size"), [("int8", 2**24), ("float32", 2**24)])
def test_sums_up_to_the_bound_itself_are_exact(way, size):
    """255 x 127 x 518 = 16,775,430 is just below 2**24; its sums and their neighbours are all told apart."""
    inputs = 518
    assert size - 255 * 127 < 255 * 127 * inputs < size
    weight = np.full((3, inputs), 127, np.int8)
    weight[1, -1], weight[2] = 126, -127
    node = Linear(weight)
    x = torch.full((1, 2, inputs), 255, dtype=torch.uint8)
    x[0, 1, 0] = 254
    truth = x[0].numpy().astype(np.int64) @ weight.T.astype(np.int64)
    assert product(weight, Range(0, 255)).size == abs(truth).max()
    np.testing.assert_array_equal(products.prepare(node, Range(0, 255), (inputs,), way=way)(x)[0].numpy(), truth)


def test_the_rule_takes_float64_beyond_the_bound_and_for_other_devices():
    node = Linear(np.full((1, 519), 127, np.int8))
    assert product(node.weight, Range(0, 255)).size > 2**24
    assert products.choose(node, Range(0, 255), "cpu") == "float64"
    assert products.choose(node, Range(0, 1), "cuda") == "float64"


@BYTES
def test_the_rule_takes_bytes_where_they_fit():
    conv = Conv(np.full((2, 4, 3, 3), 127, np.int8), padding=(1, 1))
    assert products.choose(conv, Range(0, 4), "cpu") == "int8"
    assert products.choose(conv, Range(-1, 4), "cpu") == "float32"
    assert products.choose(conv, Range(0, 256), "cpu") == "float32"
    assert products.choose(conv.with_(padding=(3, 1)), Range(0, 4), "cpu") == "float32"  # windows in the padding
    assert products.choose(Conv(np.ones((2, 1, 3, 3), np.int8)), Range(0, 4), "cpu") == "float32"  # depthwise


def test_a_processor_without_byte_products_takes_another_way(monkeypatch):
    monkeypatch.setattr(products, "bytes_are_exact", lambda: False)
    node = Linear(np.full((2, 8), 127, np.int8))
    assert products.choose(node, Range(0, 1), "cpu") == "float32"
    monkeypatch.setattr(products, "float32_is_exact", lambda: False)
    assert products.choose(node, Range(0, 1), "cpu") == "float64"
    graph, samples = random_graph(11, integers=True)
    same(simulate(graph, samples, ALL, kernels="fast"), simulate(graph, samples, ALL, kernels="plain"))


@BYTES
def test_a_layer_whose_bytes_come_out_wrong_is_computed_another_way(monkeypatch):
    monkeypatch.setattr(products, "_int8_linear", lambda node: lambda x: torch.zeros(len(x), node.channels))
    node = Linear(np.full((2, 8), 127, np.int8))
    assert products.prepare(node, Range(0, 255), (8,)).way == "float32"


# -- ranges -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(SEEDS)
def test_no_value_leaves_its_range(seed):
    graph, samples = random_graph(seed, integers=True)
    node = graph[graph.input]
    bound = ranges(graph, Range(int(node.low), int(node.high)))
    truth = Stepwise(graph, samples)
    truth.trains()
    for (name, _), value in truth.known.items():
        assert bound[name].low <= value.min()
        assert value.max() <= bound[name].high


def test_a_synapses_range_is_reached():
    weight = np.asarray([[3, -5, 0], [7, 7, 7]])
    assert product(weight, Range(0, 4)) == Range(-20, 84)
    assert product(weight, Range(-2, 4)) == Range(-42, 84)  # 3 * 7 * -2
    assert product(weight, Range(2, 4)) == Range(-20, 84)  # at a border only some of the inputs count


def test_a_loop_without_neurons_is_bounded_by_its_steps_or_refused():
    def loop(steps, factor):
        nodes = {
            "input": Input((1,), low=0, high=1),
            "sum": Scale(np.asarray(1)),
            "delay": Delay((1,)),
            "grow": Scale(np.asarray(factor)),
            "out": Readout((1,), np.ones(steps, int), bias=np.asarray(0)),
        }
        edges = (("input", "sum"), ("sum", "delay"), ("delay", "grow"), ("grow", "sum"), ("sum", "out"))
        return Graph(nodes, edges, steps, Loihi(LOIHI2))

    assert ranges(loop(3, 2), Range(0, 1))["sum"].high >= 1 + 2 + 4
    x = np.ones((1, 1))
    assert simulate(loop(3, 2), x).outputs.item() == 64 * (1 + 3 + 7)
    with pytest.raises(SpikeportError, match=r"SP509"):
        simulate(loop(10, 1000), x)


def test_a_layer_too_wide_for_32_bits_runs_in_64(monkeypatch):
    """127 x 127 x 64 x 2**7 x 64 leaves 32 bits; the sums are counted as beyond 24 bits, the spikes are right."""
    nodes = {
        "input": Input((64,), low=-128, high=127),
        "fc": Linear(np.full((2, 64), 127, np.int8), exponent=7),
        "lif": LIF((2,), np.asarray(4096), np.full(2, 5), compare=">"),
    }
    graph = Graph.chain(nodes, timesteps=2, arithmetic=Loihi(LOIHI2))
    samples = np.asarray([[127] * 64, [-128] * 64])
    record = simulate(graph, samples, ALL)
    assert record.trains["lif"].unpack()[:, :, 0].tolist() == [[True, False], [True, False]]
    assert record.overflows["lif"]["sum beyond 24 bits"] == 8
    same(record, simulate(graph, samples, ALL, kernels="plain"))


def test_more_bits_of_state_move_the_saturation():
    nodes = {
        "input": Input((1,), low=0, high=127),
        "fc": Linear(np.asarray([[127]], np.int8), exponent=4),
        "lif": LIF((1,), np.asarray(4096), np.full(2, 2**17 - 1), compare=">", reset="none"),
    }
    graph = Graph.chain(nodes, timesteps=2, arithmetic=Loihi(LOIHI2))
    wide = graph.with_(arithmetic=Loihi(type(LOIHI2)("wide", state_bits=48)))
    x = np.full((1, 1), 127)
    step = 127 * 127 * 16 * 64
    assert simulate(graph, x, ALL).membranes["lif"].ravel().tolist() == [2**23 - 1] * 2
    assert simulate(wide, x, ALL).membranes["lif"].ravel().tolist() == [step, 2 * step]
