"""Real sums of events that a convolution makes, and products cut into parts: against sums that nothing rounds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from equal_records import ALL, same
from spikeport.engine import simulate
from spikeport.engine.cpu import convolution, layers, matrix, panels
from spikeport.engine.run import Engine
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Pool, Range, Readout, Real, meaning

OPTIONS = st.fixed_dictionaries(
    {
        "channels": st.sampled_from([1, 3, 8, 20]),
        "outputs": st.sampled_from([1, 16, 33, 64, 130]),
        "kernel": st.tuples(st.integers(1, 5), st.integers(1, 4)),
        "stride": st.tuples(*[st.integers(1, 3)] * 2),
        "padding": st.tuples(*[st.integers(0, 4)] * 2),
        "dilation": st.tuples(*[st.integers(1, 2)] * 2),
        "size": st.tuples(st.integers(1, 12), st.integers(1, 12)),
        "high": st.integers(1, 8),
        "rate": st.sampled_from([0.0, 0.1, 0.3]),
        "dtype": st.sampled_from([np.float32, np.float64]),
        "bias": st.booleans(),
        "line": st.booleans(),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def refused(x):
    raise AssertionError("few events are not multiplied")


@settings(max_examples=80)
@given(OPTIONS)
def test_sums_of_events_are_the_convolution(options):
    """Eighths, which no order of additions rounds, against sums in float64, window by window."""
    o, rng = SimpleNamespace(**options), np.random.default_rng(options["seed"])
    one = slice(1, 2) if o.line else slice(0, 2)
    windows = {name: getattr(o, name)[one] for name in ("stride", "padding", "dilation")}
    kernel, size = o.kernel[one], o.size[one]
    weight = (rng.integers(-99, 99, (o.outputs, o.channels, *kernel)) / 8).astype(o.dtype)
    bias = (rng.integers(-99, 99, o.outputs) / 8).astype(o.dtype) if o.bias else None
    node = Conv(weight, bias, **windows)
    reached = [
        n + 2 * p - d * (k - 1)
        for n, p, d, k in zip(size, windows["padding"], windows["dilation"], kernel, strict=True)
    ]
    assume(min(reached) > 0)
    shape = (o.channels, *size)
    x = rng.integers(1, o.high + 1, (3, 2, *shape)) * (rng.random((3, 2, *shape)) < o.rate)
    assume(x.mean() < convolution.FEWER and x[0, 0].mean() < convolution.FEWER)
    run = convolution.of_maps(node, Range(0, o.high), shape, np.dtype(o.dtype), refused)
    assert run is not None
    y = run(torch.as_tensor(x.astype(np.uint8))).numpy()
    assert y.dtype == o.dtype
    truth = meaning.products(node, x.astype(np.float64))
    truth = truth if bias is None else truth + bias.reshape(-1, *(1 for _ in size))
    np.testing.assert_array_equal(y, truth)


def test_many_events_are_multiplied():
    node, told = Conv(np.ones((2, 8, 3, 3), np.float32)), []

    def product(x):
        told.append(x)
        return x

    run = convolution.of_maps(node, Range(0, 1), (8, 5, 5), np.dtype(np.float32), product)
    x = torch.ones(2, 1, 8, 5, 5, dtype=torch.uint8)
    assert run(x) is x
    assert len(told) == 1


@pytest.mark.parametrize(
    ("weight", "groups", "x"),
    [((4, 2, 3, 3), 2, Range(0, 1)), ((4, 4, 2, 2, 2), 1, Range(0, 1)), ((4, 4, 3, 3), 1, Range(0, 9))],
)
def test_groups_volumes_and_large_numbers_are_multiplied(weight, groups, x):
    axes = len(weight) - 2
    each = {"stride": (1,) * axes, "padding": (0,) * axes, "dilation": (1,) * axes}
    node, shape = Conv(np.ones(weight, np.float32), groups=groups, **each), (4, *(5,) * axes)
    assert convolution.of_maps(node, x, shape, np.dtype(np.float32), refused) is None
    given = np.random.default_rng(0).integers(0, int(x.high) + 1, (2, 1, *shape))
    y = layers.real(node, x, shape, torch.float32)(torch.as_tensor(given.astype(np.uint8)))
    np.testing.assert_array_equal(y.numpy(), meaning.products(node, given.astype(np.float64)))


def chain(rate):
    """Two convolutions of spikes, a pool, a matrix; weights of eighths and decays of a half."""
    rng = np.random.default_rng(4)

    def weight(*shape):
        return (rng.integers(-8, 14, shape) / 8).astype(np.float32)

    def neurons(*shape):
        return LIF(shape, np.float32(0.5), np.full((3, *shape), rate, np.float32), compare=">")

    nodes = {
        "in": Input((2, 9, 9), "events"),
        "a": Conv(weight(5, 2, 3, 3), padding=(1, 1)),
        "as": neurons(5, 9, 9),
        "b": Conv(weight(12, 5, 3, 3), weight(12), stride=(2, 2)),
        "bs": neurons(12, 4, 4),
        "c": Conv(weight(12, 12, 1, 1)),
        "cs": neurons(12, 4, 4),
        "pool": Pool("sum", (2, 2), (2, 2)),
        "flat": Flatten(),
        "d": Linear(weight(3, 48)),
        "out": Readout((3,), np.ones(3, np.float32)),
    }
    return Graph.chain(nodes, 3, arithmetic=Real())


@pytest.mark.parametrize("rate", [0.25, 2.0, 9.0])
@pytest.mark.parametrize("batch", [1, 5, 70])
def test_networks_are_the_definition_in_every_bit(rate, batch):
    graph = chain(rate)
    x = (np.random.default_rng(1).random((3, batch, 2, 9, 9)) < 0.4).astype(np.float32)
    same(Engine(graph, kernels="fast").simulate(x, ALL), simulate(graph, x, ALL, kernels="plain"))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("outputs", [100, 128, 300, 1000])
def test_a_product_cut_into_parts_is_the_product(outputs, bias, monkeypatch):
    """Whole numbers, which nothing rounds; then numbers that are rounded the same by any number of threads."""
    monkeypatch.setattr(panels, "WORK", 1 << 12)
    rng = np.random.default_rng(outputs)
    weight, x = rng.integers(-9, 9, (outputs, 70)), rng.integers(-9, 9, (2, 20, 70))
    added = rng.integers(-9, 9, outputs) if bias else None
    node = Linear(weight.astype(np.float32), None if added is None else added.astype(np.float32))
    y = panels.product(node, torch.float32)(torch.as_tensor(x, dtype=torch.float32)).numpy()
    np.testing.assert_array_equal(y, x @ weight.T + (0 if added is None else added))


def test_parts_round_the_same_whatever_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(panels, "WORK", 1 << 16)
    rng, before, seen = np.random.default_rng(0), torch.get_num_threads(), []
    node = Linear(rng.normal(size=(700, 300)).astype(np.float32))
    graph = Graph.chain(
        {
            "in": Input((300,)),
            "fc": node,
            "s": LIF((700,), np.float32(0.9), np.ones((2, 700), np.float32)),
            "out": Readout((700,), np.ones(2, np.float32)),
        },
        2,
        arithmetic=Real(),
    )
    x = rng.normal(size=(4, 300)).astype(np.float32)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            seen.append(Engine(graph, kernels="fast").simulate(x, ALL))
    finally:
        torch.set_num_threads(before)
    for other in seen[1:]:
        same(other, seen[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1030, 300), (9, 40)])
def test_rows_are_added_where_few_real_numbers_are_not_zero(shape, dtype):
    """Eighths again; a matrix beyond 2^18 weights and a small one."""
    rng = np.random.default_rng(shape[0])
    node = Linear((rng.integers(-99, 99, shape) / 8).astype(dtype), (rng.integers(-9, 9, shape[0]) / 8).astype(dtype))
    x = (rng.integers(-40, 40, (2, 3, shape[1])) / 8 * (rng.random((2, 3, shape[1])) < 0.1)).astype(dtype)
    y = matrix.of_few(node, np.dtype(dtype), refused)(torch.as_tensor(x)).numpy()
    np.testing.assert_array_equal(y, x.astype(np.float64) @ node.weight.T + node.bias)
    with pytest.raises(AssertionError, match="not multiplied"):
        matrix.of_few(node, np.dtype(dtype), refused)(torch.ones(2, 3, shape[1]))
