"""Sums from events are exact, alone and in one pass with the neurons that read them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spikeport.engine import simulate
from spikeport.engine.cpu import maps, pair, products, sparse, vectors
from spikeport.engine.cpu.pair import Pair
from spikeport.engine.integers import fits, never_full
from spikeport.engine.run import Engine
from spikeport.graph import LIF, LOIHI2, Conv, CubaLIF, Graph, Input, Linear, Loihi, Range, meaning
from spikeport.graph.ranges import ranges
from spikeport.target import Request

SEEDS = st.integers(0, 2**32 - 1)
OPTIONS = st.fixed_dictionaries(
    {
        "channels": st.sampled_from([1, 3, 8, 20, 64]),
        "outputs": st.sampled_from([1, 10, 16, 33, 64, 130]),
        "kernel": st.tuples(st.integers(1, 5), st.integers(1, 4)),
        "stride": st.tuples(*[st.integers(1, 3)] * 2),
        "padding": st.tuples(*[st.integers(0, 4)] * 2),
        "dilation": st.tuples(*[st.integers(1, 2)] * 2),
        "size": st.tuples(st.integers(1, 12), st.integers(1, 12)),
        "high": st.integers(1, maps.STEEPEST),
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
    truth = meaning.products(node, x[None])[0]
    rows = sparse.rows(node, Range(0, o.high), (o.channels, *o.size))
    np.testing.assert_array_equal(rows(torch.as_tensor(x.astype(np.uint8))).numpy(), truth)


@pytest.mark.parametrize("shape", [(7, 3), (5, 784), (300, 1100)])
def test_sums_of_events_are_exact_for_matrices_and_lines(shape):
    rng = np.random.default_rng(2)
    weight = rng.integers(-128, 128, shape).astype(np.int8)
    x = (rng.random((9, shape[1])) < 0.3).astype(np.uint8)
    matrix, line = Linear(weight), Conv(weight[..., None], stride=(1,), padding=(0,), dilation=(1,))
    np.testing.assert_array_equal(
        sparse.rows(matrix, Range(0, 1), shape[1:])(torch.as_tensor(x)).numpy(), x @ weight.T.astype(np.int64)
    )
    sums = sparse.rows(line, Range(0, 1), (shape[1], 9))(torch.as_tensor(x.T[None].copy()))
    np.testing.assert_array_equal(sums[0].numpy().T, x @ weight.T.astype(np.int64))


def test_more_events_than_16_bits_sum_are_carried_in_time():
    """Every weight at the lower end, every input on, one input more at a time: 256 x -128 is the last that fits."""
    for inputs in (255, 256, 257, 512, 513):
        node = Linear(np.full((3, inputs), -128, np.int8))
        rows = sparse.rows(node, Range(0, 1), (inputs,))
        assert (rows.plan.together == vectors.EXACT) == (inputs >= 256)
        np.testing.assert_array_equal(rows(torch.ones(2, inputs, dtype=torch.uint8)).numpy(), -128 * inputs)


@pytest.mark.parametrize(
    ("capability", "inputs", "chosen"),
    [
        ("AVX2", 512, {72: (32, 1), 128: (64, 1)}),
        ("AVX512", 512, {72: (64, 1), 128: (64, 1)}),
        ("AVX512", 8, {10: (64, 4), 16: (64, 4), 17: (64, 2), 32: (64, 2), 33: (64, 1), 64: (64, 1)}),
        ("AVX512", 64, {16: (32, 2), 32: (64, 2), 40: (64, 1)}),
    ],
)
def test_vectors_have_the_length_that_costs_least_on_this_processor(monkeypatch, capability, inputs, chosen):
    """And few channels share them with rows below: each case by hand from the costs in `sparse`.

    72 channels: three vectors of 32 cost 1.8 times one of 64 with AVX2, 2.4 times with AVX512; two of 64 cost 2. 64 to
    16 channels: four rows of places in one vector would need 72 KiB of weights.
    """
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    x = np.random.default_rng(1).random((2, inputs, 7, 5)) < 0.3
    for channels, vector in chosen.items():
        weight = np.random.default_rng(0).integers(-128, 128, (channels, inputs, 3, 3)).astype(np.int8)
        node = Conv(weight, padding=(1, 1))
        rows = sparse.rows(node, Range(0, 1), (inputs, 7, 5))
        assert (rows.plan.lanes, rows.plan.fold) == vector
        sums = rows(torch.as_tensor(x, dtype=torch.uint8)).numpy()
        np.testing.assert_array_equal(sums, meaning.products(node, x[None].astype(np.int64))[0])


def test_rows_of_places_share_weights_only_where_windows_lie_so():
    """Not of a matrix, a line, or a kernel with gaps; and not more rows than there are."""
    weight = np.ones((10, 8, 3, 3), np.int8)
    assert sparse.rows(Linear(np.ones((10, 128), np.int8)), Range(0, 1), (128,)).plan.fold == 1
    line = Conv(weight[..., 0], stride=(1,), padding=(1,), dilation=(1,))
    assert sparse.rows(line, Range(0, 1), (8, 9)).plan.fold == 1
    assert sparse.rows(Conv(weight, dilation=(2, 1)), Range(0, 1), (8, 9, 9)).plan.fold == 1
    folds = [sparse.rows(Conv(weight), Range(0, 1), (8, height, 9)).plan.fold for height in (3, 4, 5, 6)]
    assert folds == [1, 2, 2, 4]


def test_events_are_added_only_where_they_are_few_and_can_be():
    weight = np.ones((4, 8, 3, 3), np.int8)
    conv, shape = Conv(weight, padding=(1, 1)), (8, 6, 6)
    rows = sparse.rows(conv, Range(0, 3), shape)
    few, many = torch.zeros(1, *shape, dtype=torch.uint8), torch.full((1, *shape), 3, dtype=torch.uint8)
    assert (rows.share(few), rows.share(many)) == (0.0, 3.0)
    said = []
    run = products.Product("int8", lambda x: said.append("dense") or rows(x), rows)
    run(few[None])
    assert said == []
    run(many[None])
    assert said == ["dense"]
    assert sparse.rows(conv, Range(-1, 1), shape) is None
    assert sparse.rows(conv, Range(0, maps.STEEPEST + 1), shape) is None
    assert sparse.rows(Conv(np.ones((4, 4, 3, 3), np.int8), groups=2), Range(0, 1), shape) is None


LAYERS = st.fixed_dictionaries(
    {
        "channels": st.sampled_from([1, 3, 16, 64]),
        "outputs": st.sampled_from([1, 10, 24, 33, 64, 72, 130]),
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
    """Against the plain definition: spikes, outputs, events, saturated membranes and sums beyond 24 bits."""
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
    enough = fits(layer, ranges(graph, Range(0, o.high))["synapse"], LOIHI2)
    step = fast._program.neurons["layer"]
    one_pass = isinstance(step, Pair) and step.rows is not None
    assert one_pass == enough  # vectors that hold more than the channels too
    for other in (there, Engine(graph, kernels="fast", steps=2).simulate(x, wanted)):  # in blocks of two steps
        np.testing.assert_array_equal(here.outputs, other.outputs)
        np.testing.assert_array_equal(here.trains["layer"].bits, other.trains["layer"].bits)
        np.testing.assert_array_equal(here.membranes["layer"], other.membranes["layer"])
    assert here.overflows == there.overflows
    for field in ("spikes", "updates", "active"):
        np.testing.assert_array_equal(getattr(here.events["layer"], field), getattr(there.events["layer"], field))


def test_every_number_of_channels_gives_the_plain_spikes_whichever_sample_is_done_first(monkeypatch):
    """Vectors of spikes are longer than the channels of a place: none may write into samples that are done."""
    monkeypatch.setattr(pair, "over_parts", lambda work, count, **_: [work(n, n + 1) for n in reversed(range(count))])
    rng, most = np.random.default_rng(3), 130
    x = (rng.random((2, 3, 8, 3, 2)) < 0.3).astype(np.uint8)
    weight, theta = rng.integers(-128, 128, (most, 8, 3, 3)).astype(np.int8), rng.integers(0, 300, (2, most))

    def spikes(channels, kernels):
        lif = LIF((channels, 3, 2), np.int64(3000), theta[:, :channels], compare=">")
        conv = Conv(weight[:channels], padding=(1, 1))
        nodes = {"in": Input(x.shape[2:], "events", low=0, high=1), "conv": conv, "lif": lif}
        graph = Graph.chain(nodes, 2, arithmetic=Loihi(LOIHI2))
        return simulate(graph, x, Request(trains=True), kernels=kernels).trains["lif"].unpack()

    plain = spikes(most, "plain")
    assert 0.1 < plain.mean() < 0.9
    for channels in range(1, most + 1):
        np.testing.assert_array_equal(spikes(channels, "fast"), plain[:, :, :channels])


@pytest.mark.parametrize(("weight", "reaches"), [(75, False), (76, True)])
def test_membranes_that_reach_the_end_of_their_range_are_cut_there_and_counted(weight, reaches):
    """Three steps without leak of 9 x 64 x weight << 6: below 2**23 for 75 and beyond it for 76."""
    lif = LIF((1, 3, 3), np.int64(4096), np.full(3, 2**17 - 1), compare=">")
    conv = Conv(np.full((1, 64, 3, 3), -weight, np.int8), padding=(1, 1))
    nodes = {"in": Input((64, 3, 3), "events", low=0, high=1), "conv": conv, "lif": lif}
    graph = Graph.chain(nodes, 3, arithmetic=Loihi(LOIHI2))
    assert never_full(lif, ranges(graph, Range(0, 1))["conv"], LOIHI2) != reaches
    x, wanted = np.zeros((3, 2, 64, 3, 3), np.uint8), Request(membranes=True)
    x[:, 1, :2] = 1
    assert simulate(graph, x, wanted, kernels="fast").overflows == {}
    x[:, 1] = 1
    here, there = (simulate(graph, x, wanted, kernels=kind) for kind in ("fast", "plain"))
    assert (
        sum(sum(kinds.values()) for kinds in there.overflows.values()) == reaches
    )  # of the place whose window is whole, in the last step
    assert here.overflows == there.overflows
    np.testing.assert_array_equal(here.membranes["lif"], there.membranes["lif"])
