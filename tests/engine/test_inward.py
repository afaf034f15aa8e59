"""Matrices by which alone something enters neurons that feed back: their sums are made in the loop of the cycle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equal_records import ALL, same
from spikeport.engine import simulate
from spikeport.engine.cpu.matrix import OF_SPIKES, SMALL
from spikeport.engine.run import Engine
from spikeport.graph import LIF, LOIHI2, Delay, Graph, Input, Linear, Loihi, Readout, Real
from spikeport.graph.definition import run

STEPS, INPUTS, FIRST, SECOND = 4, 13, 37, 21


def two_layers(integers, *, coding="events", high=1, exponents=(0, 0), wide=1, inputs=INPUTS):
    """Input, matrix, neurons that feed back, matrix, neurons that feed back, readout: reals are multiples of 1/64."""
    rng = np.random.default_rng(5)
    number = (lambda value: np.int64(value)) if integers else (lambda value: np.float32(value / 64))

    def weight(outputs, entering):
        numbers = rng.integers(-60, 80, (outputs, entering))
        return (numbers * wide).astype(np.int32 if wide > 1 else np.int8) if integers else numbers / np.float32(64)

    def layer(size, exponent):
        theta = np.array([number(value) for value in (rng.integers(90, 300, STEPS) * wide * 2.0**exponent)])
        decay = np.int64(3072) if integers else np.float32(0.5)
        return LIF((size,), decay, theta, bias=number(2), compare=">", reset="subtract")

    edges, nodes = [], {"in": Input((inputs,), coding, low=0, high=high) if integers else Input((inputs,), coding)}
    for k, (size, before, exponent) in enumerate(zip((FIRST, SECOND), ("in", "n0"), exponents, strict=True)):
        entering = inputs if k == 0 else FIRST
        extra = {} if integers else {"bias": weight(size, 1)[:, 0]}
        nodes |= {
            f"w{k}": Linear(weight(size, entering), exponent=exponent, **extra),
            f"n{k}": layer(size, min(exponent, 0)),
        }
        nodes |= {f"d{k}": Delay((size,), 1), f"b{k}": Linear(weight(size, size))}
        edges += [(before, f"w{k}"), (f"w{k}", f"n{k}"), (f"n{k}", f"d{k}"), (f"d{k}", f"b{k}"), (f"b{k}", f"n{k}")]
    nodes["out"] = Readout((SECOND,), np.ones(STEPS, np.int64 if integers else np.float32))
    profile = LOIHI2 if wide == 1 and high < 256 else replace(LOIHI2, weight_bits=20, message_bits=12)
    return Graph(nodes, (*edges, ("n1", "out")), STEPS, arithmetic=Loihi(profile) if integers else Real())


def samples(integers, high=1, inputs=INPUTS):
    rng = np.random.default_rng(1)
    x = rng.integers(1, high + 1, (STEPS, 9, inputs)) * (rng.random((STEPS, 9, inputs)) < 0.3)
    return x.astype(np.float32) if integers else (x / 4).astype(np.float32)


def joined(graph, x):
    """What the engine does with samples, and which matrices its cycles take in."""
    engine = Engine(graph, kernels="fast")
    record = engine.simulate(x, ALL)
    assert set(engine._program.cycles) == {"n0", "n1"}
    return record, dict(engine._program.joined)


@pytest.mark.parametrize("high", [1, 3, 255])
@pytest.mark.parametrize("exponents", [(0, 0), (-3, 1)])
@pytest.mark.parametrize("integers", [True, False])
def test_every_bit_is_the_definitions(integers, exponents, high):
    """Numbers between 0 and ``high`` enter the first layer, and spikes the second."""
    graph = two_layers(integers, high=high, exponents=exponents if integers else (0, 0))
    x = samples(integers, high)
    (record, taken), truth = joined(graph, x), run(graph, x)
    assert taken == {"n0": "w0", "n1": "w1"}
    np.testing.assert_array_equal(record.outputs, truth.outputs)
    for name in ("n0", "n1"):
        np.testing.assert_array_equal(record.trains[name].unpack(), truth.spikes(name))
        np.testing.assert_array_equal(record.membranes[name], truth.after[name])
        assert 0.02 < truth.spikes(name).mean() < 0.98
    same(record, simulate(graph, x, ALL, kernels="plain"))


@pytest.mark.parametrize("blocks", [{"batch": 2}, {"memory": 1 << 12}])
def test_blocks_of_samples_and_steps_go_on_where_the_last_one_was(blocks):
    for integers in (True, False):
        graph, x = two_layers(integers), samples(integers)
        same(simulate(graph, x, replace(ALL, **blocks), kernels="fast"), simulate(graph, x, ALL, kernels="plain"))


def test_numbers_below_zero_and_weights_of_more_than_16_bits():
    graph, x = two_layers(False), samples(False, 9) - 1
    record, taken = joined(graph, x)
    assert taken["n0"] == "w0"
    same(record, simulate(graph, x, ALL, kernels="plain"))
    graph, x = two_layers(True, wide=430), samples(True)
    record, taken = joined(graph, x)
    assert taken == {"n0": "w0", "n1": "w1"}
    same(record, simulate(graph, x, ALL, kernels="plain"))


def test_what_is_the_same_at_every_step_or_large_is_multiplied_once():
    """A frame that stands still, integers that bytes do not hold, and more weights than repay rows of any number."""
    still = two_layers(True, coding="direct")
    assert joined(still, samples(True)[0])[1] == {"n1": "w1"}
    graph, x = two_layers(True, high=256), samples(True, 256)
    record, taken = joined(graph, x)
    assert taken == {"n1": "w1"}
    same(record, simulate(graph, x, ALL, kernels="plain"))
    many = SMALL // FIRST + 1
    assert joined(two_layers(False, inputs=many), samples(False, inputs=many))[1] == {"n1": "w1"}
    assert joined(two_layers(True, inputs=many), samples(True, inputs=many))[1] == {"n0": "w0", "n1": "w1"}
    many = OF_SPIKES // FIRST + 1
    assert joined(two_layers(True, inputs=many), samples(True, inputs=many))[1] == {"n1": "w1"}


def test_a_matrix_that_something_else_reads_keeps_its_sums():
    graph = two_layers(True)
    nodes = {**graph.nodes, "sums": Readout((FIRST,), np.ones(STEPS, np.int64))}
    other, x = (
        graph.with_(nodes=nodes, edges=(*graph.edges, ("w0", "sums")), named_outputs=("out", "sums")),
        samples(True),
    )
    record, taken = joined(other, x)
    assert taken == {"n1": "w1"}
    same(record, simulate(other, x, ALL, kernels="plain"))


def test_thresholds_that_are_the_same_at_all_steps_are_kept_once():
    """A layer of 100 neurons and 100,000 steps: 2,116 numbers laid out instead of 211 million."""
    nodes = {"in": Input((3,)), "fc": Linear(np.ones((100, 3), np.float32))}
    nodes["n"] = LIF((100,), np.float32(0.5), np.full(100_000, 1, np.float32), compare=">")
    program = Engine(Graph.chain(nodes, 100_000, arithmetic=Real()), kernels="fast").ready(None)
    assert program.neurons["n"].parameters.threshold.shape == (1, 21 * 100 + 16)
