"""The rows of a matrix, added for what enters it: against products of whole numbers, which nothing rounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equal_records import ALL, same
from spikeport.engine import simulate
from spikeport.engine.cpu.gather import events
from spikeport.engine.cpu.listing import MARGIN
from spikeport.engine.cpu.matrix import laid_out, of_spikes
from spikeport.engine.run import Engine
from spikeport.graph import LIF, Graph, Input, Linear, Readout, Real
from spikeport.graph.definition import run
from spikeport.machine import compiled

LENGTHS = [1, 7, 8, 9, 16, 31, 32, 33, 63, 64, 65, 96, 130]


@compiled
def _listed(x, begin, size, who):
    return events(x, begin, size, who)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("size", LENGTHS)
def test_what_is_not_zero_is_listed_in_order(dtype, size):
    rng = np.random.default_rng(size)
    for share in (0.0, 0.1, 0.6, 1.0):
        x = (rng.integers(1, 200, size + 5) * (rng.random(size + 5) < share)).astype(dtype)
        who = np.full(size + MARGIN, -1, np.int32)
        count = _listed(x, 3, size, who)
        np.testing.assert_array_equal(who[:count], np.flatnonzero(x[3 : 3 + size]))


def test_a_number_that_is_none_and_the_least_ones_are_not_zero():
    """NaN differs from zero; what is too small for a float32 of full precision does, too, and -0.0 does not."""
    x = np.array([np.nan, 0, -0.0, 1e-45, -1e-45, np.inf, 0, 0, -1], np.float32)
    who = np.zeros(len(x) + MARGIN, np.int32)
    assert who[: _listed(x, 0, len(x), who)].tolist() == [0, 3, 4, 5, 8]


@pytest.mark.parametrize("most", [1, 255])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outputs", LENGTHS)
def test_sums_of_bytes_are_the_product(outputs, dtype, most):
    rng = np.random.default_rng(outputs)
    weight, bias = (rng.integers(-500, 500, shape) / 64 for shape in ((outputs, 45), outputs))
    x = rng.integers(0, most + 1, (3, 4, 45)) * (rng.random((3, 4, 45)) < 0.3)
    sums = of_spikes(Linear(weight.astype(dtype), bias.astype(dtype)), np.dtype(dtype), most=most)
    y = sums(torch.as_tensor(x.astype(np.uint8))).numpy()
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x @ weight.T + bias)


def test_sums_that_32_bits_do_not_hold_are_left_to_others():
    """Weights are laid out in 16 bits where they fit; 2**31 is one too many of them, or of what enters."""
    row = np.full((1, 1 << 16), 1 << 14)
    assert laid_out(Linear(row), np.dtype(np.int32), 1).weight.dtype == np.int16
    assert laid_out(Linear(row), np.dtype(np.int32), 2) is None
    assert laid_out(Linear(np.full((1, 2), 1 << 20)), np.dtype(np.int32), 1).weight.dtype == np.int32
    assert laid_out(Linear(row), np.dtype(np.int32), None) is None


@pytest.mark.parametrize("several", [1, 3, 300])
def test_a_network_of_matrices_is_the_definition_in_every_bit(several):
    """Weights are multiples of 1/64, decays and thresholds of 1/4: nothing rounds. Beyond 255 spikes come in int32."""
    rng, steps = np.random.default_rng(several), 3

    def weight(outputs, inputs):
        return (rng.integers(-60, 100, (outputs, inputs)) / 64).astype(np.float32)

    theta = np.full(steps, 1 / 16 if several > 1 else 1, np.float32)
    neurons = LIF((33,), np.float32(0.75), theta, compare=">", reset="subtract", most_spikes=several)
    nodes = {"in": Input((5,)), "fc": Linear(weight(33, 5)), "lif": neurons}
    nodes |= {"last": Linear(weight(3, 33), weight(3, 1)[:, 0]), "out": Readout((3,), np.ones(steps, np.float32))}
    graph = Graph.chain(nodes, steps, arithmetic=Real())
    x = rng.integers(0, 12, (7, 5)).astype(np.float32) / 4
    engine, truth = Engine(graph, kernels="fast"), run(graph, x)
    record = engine.simulate(x, ALL)
    np.testing.assert_array_equal(record.outputs, truth.outputs)
    np.testing.assert_array_equal(record.membranes["lif"], truth.after["lif"])
    assert several / 2 < record.trains["lif"].unpack().max() <= several
    same(record, simulate(graph, x, ALL, kernels="plain"))
