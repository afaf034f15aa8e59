"""A sum pool merged into what follows changes no spike; where that would not be exact, it stays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Pool, Real
from spikeport.passes.merge_pool import merge_pool
from spikeport.targets import Request

T = 3


def chain(**nodes):
    return Graph(nodes, tuple(pairwise(nodes)), T, Real("float64"))


def neurons(graph, shape):
    """Neurons behind the last node, whatever its shape is."""
    name = graph.output
    lif = LIF(shape, np.asarray(0.5), np.asarray([1.0, 0.5, 1.5]))
    return Graph({**graph.nodes, "lif": lif}, (*graph.edges, (name, "lif")), T, Real("float64"))


def same(before, after, seed):
    shape = before.shapes["input"]
    x = np.random.default_rng(seed).integers(-8, 9, (4, *shape)) / 4
    a, b = (simulate(graph, x, Request(trains=True)) for graph in (before, after))
    np.testing.assert_array_equal(a.trains["lif"].unpack(), b.trains["lif"].unpack())


two = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(6, 9), st.integers(6, 9)), k=two, s=two,
    p=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    kernel=two, stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)), dilation=st.integers(1, 2), groups=st.sampled_from([1, 2]),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_before_a_convolution(size, k, s, p, kernel, stride, padding, dilation, groups, seed):
    assume(all(2 * b <= a for a, b in zip(k, p, strict=True)))  # torch pools with no more padding
    rng = np.random.default_rng(seed)
    conv = Conv(rng.integers(-8, 9, (4, 2 // groups, *kernel)) / 8, rng.integers(-2, 3, 4) / 4, stride=stride,
                padding=padding, dilation=(dilation, dilation), groups=groups)  # fmt: skip
    try:
        graph = chain(input=Input((2, *size)), pool=Pool("sum", k, s, p), conv=conv)
    except SpikeportError:  # the kernel does not fit on the pooled map
        return
    graph = neurons(graph, graph.shapes["conv"])
    merged = merge_pool(graph)
    if not any(padding):
        exact = graph.shapes["conv"]
        assert merged.shapes["conv"] == exact
    same(graph, merged, seed)


@settings(max_examples=30)
@given(
    size=st.tuples(st.integers(4, 7), st.integers(4, 7)), k=two, s=two, p=st.integers(0, 1), seed=st.integers(0, 999)
)
def test_before_a_linear_layer(size, k, s, p, seed):
    assume(2 * p <= min(k))
    rng = np.random.default_rng(seed)
    pool = Pool("sum", k, s, (p, p))
    features = int(np.prod(pool.output_shape((2, *size))))
    fc = Linear(rng.integers(-8, 9, (5, features)) / 8)
    graph = neurons(chain(input=Input((2, *size)), pool=pool, flat=Flatten(), fc=fc), (5,))
    merged = merge_pool(graph)
    assert not merged.nodes_of(Pool)
    same(graph, merged, seed)


def test_pools_in_a_row_merge_one_after_the_other():
    pool = Pool("sum", (2, 2), (2, 2))
    fc = Linear(np.arange(8.0).reshape(2, 4) / 8)
    graph = neurons(chain(input=Input((1, 8, 8)), a=pool, b=pool, flat=Flatten(), fc=fc), (2,))
    merged = merge_pool(graph)
    assert merge_pool(merged).nodes_of(Pool) == {}
    same(graph, merged, 1)


@pytest.mark.parametrize("size", [7, 8])
def test_a_rest_at_the_border_keeps_the_pool_of_a_padded_convolution(size):
    """On 7 pixels the last one belongs to no window; a padded convolution over the image would read it."""
    conv = Conv(np.ones((1, 1, 3, 3)) / 8, padding=(1, 1))
    graph = chain(input=Input((1, size, size)), pool=Pool("sum", (2, 2), (2, 2)), conv=conv)
    graph = neurons(graph, graph.shapes["conv"])
    merged = merge_pool(graph)
    assert bool(merged.nodes_of(Pool)) == (size == 7)
    same(graph, merged, 2)


def test_integers_are_not_merged():
    nodes = {
        "input": Input((1, 4, 4)),
        "pool": Pool("sum", (2, 2), (2, 2)),
        "conv": Conv(np.ones((1, 1, 2, 2), np.int8)),
    }
    graph = Graph(nodes, tuple(pairwise(nodes)), T, Loihi(LOIHI2))
    with pytest.raises(SpikeportError) as caught:
        merge_pool(graph)
    assert caught.value.code == "SP354"
