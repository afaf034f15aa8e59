"""A way to a product is exact wherever the rule takes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equal_records import ALL, same
from random_graphs import random_graph
from spikeport.engine import simulate
from spikeport.engine.cpu import products
from spikeport.graph import Conv, Linear, Range, meaning
from spikeport.graph.bounds import product

BYTES = pytest.mark.skipif(not products.bytes_are_exact(), reason="this processor has no exact byte products")


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
                truth = meaning.products(node, x[None])[0]
                run = products.prepare(node, Range(low, high), x.shape[1:], way=way)
                dtype = torch.uint8 if way == "int8" else torch.int32
                np.testing.assert_array_equal(run(torch.as_tensor(x).to(dtype)[None])[0].numpy(), truth)


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


def test_a_large_layer_lays_its_product_out_only_where_it_is_needed(monkeypatch):
    """A second layout of 10^9 weights is a gigabyte; few events never need it."""
    monkeypatch.setattr(products, "LARGE", 0)
    rng = np.random.default_rng(0)
    node = Linear(rng.integers(-128, 128, (70, 1100)).astype(np.int8))
    ready, x = products.prepare(node, Range(0, 1), (1100,)), torch.zeros(1, 3, 1100, dtype=torch.uint8)
    x[..., ::20] = 1
    np.testing.assert_array_equal(ready(x)[0].numpy(), x[0].numpy() @ node.weight.T.astype(np.int64))
    assert ready.run._run is None
    np.testing.assert_array_equal(ready(x | 1)[0, 0].numpy(), node.weight.sum(1, dtype=np.int64))
    assert ready.run._run is not None


@BYTES
def test_each_piece_of_a_large_matrix_is_tried(monkeypatch):
    """Only the last output comes out wrong, in the second of two pieces."""
    monkeypatch.setattr(products, "PIECE", 8)
    true = products._int8_linear
    wrong = torch.tensor([0.0, 1.0])
    monkeypatch.setattr(products, "_int8_linear", lambda node: lambda x: true(node)(x) + wrong)
    assert products.prepare(Linear(np.full((2, 8), 127, np.int8)), Range(0, 255), (8,)).way == "float32"


@BYTES
def test_weights_are_packed_once_for_each_shape_that_enters_and_few_are_kept(monkeypatch):
    node, pack, made = Conv(np.arange(-96, 96).reshape(6, 8, 2, 2).astype(np.int8)), products.packing(), []
    monkeypatch.setattr(products, "packing", lambda: lambda *given: made.append(given[-1]) or pack(*given))
    x = torch.as_tensor(np.random.default_rng(2).integers(0, 256, (9, 8, 5, 4)), dtype=torch.uint8)
    run = products._int8_conv(node)
    for number in (1, 9, 9, 1, 4, 2, 3):
        truth = meaning.products(node, x[None, :number].numpy())[0]
        np.testing.assert_array_equal(run(x[:number]).numpy(), truth)
    assert [shape[0] for shape in made] == [1, 9, 4, 2, 3]
    run(x[:1]), run(x)
    assert [shape[0] for shape in made[5:]] == [9], "of more than four the one that was not asked for longest has gone"
