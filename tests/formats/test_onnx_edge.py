"""Membranes of 24 bits stop at 2**23 - 1 on both sides, in ONNX and in every engine, to the last unit."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.formats import onnx
from spikeport.formats.onnx import whole_floats
from spikeport.graph import LIF, LOIHI2, CubaLIF, Graph, Input, Linear, Loihi
from spikeport.graph.ranges import into, ranges
from spikeport.target import Request, target

TOP = 2**23 - 1
MANTISSA = 2**17 - 1  #: the largest: a threshold of 2**23 - 64


def network(bias):
    """Sums in steps of 2**13, membranes in steps of 2**19; the second threshold is zero."""
    neurons = LIF(
        (1,),
        np.int64(4096),
        np.asarray([MANTISSA, 0]),
        bias=np.int64(bias),
        reset="subtract",
        compare=">",
        gain=np.int64(1),
        reset_value=np.int64(0),
    )
    nodes = {
        "in": Input((1,), coding="events", low=-127, high=127),
        "fc": Linear(np.asarray([[64]], np.int8), exponent=7),
        "lif": neurons,
    }
    return Graph.chain(nodes, 2, arithmetic=Loihi(LOIHI2))


def fired(graph, first, second):
    """Spikes of the engine and of onnxruntime at both steps."""
    samples = np.asarray([first, second], np.float32).reshape(2, 1, 1)
    ask = Request(trains=True)
    records = [simulate(graph, samples, ask), target("onnxruntime").run(graph, samples, ask)]
    return [record.trains["lif"].unpack().ravel().tolist() for record in records]


@pytest.mark.parametrize("bias", [-64, -63, -62, -61])
def test_what_a_spike_leaves_of_the_largest_membrane(bias):
    """u = 2**23 - 1 fires and leaves 2**23 - 1 - (2**23 - 64) = 63; the bias decides whether 63 + bias > 0."""
    assert fired(network(bias), 127, 0) == [[True, 63 + bias > 0]] * 2


@pytest.mark.parametrize("bias", [-2, -1, 0, 1])
def test_what_pushes_the_smallest_membrane_above_zero(bias):
    """u = -(2**23 - 1), and 16 x 64 x 2**7 x 64 = 2**23 on top of it: 1 + bias > 0."""
    assert fired(network(bias), -127, 16) == [[False, 1 + bias > 0]] * 2


@pytest.mark.parametrize("time", ["scan", "unroll", "step"])
def test_files_hold_that_edge(time, tmp_path):
    graph = network(-62)
    onnx.write(graph, tmp_path / "m.onnx", time)
    text = (tmp_path / "m.onnx").read_bytes()
    assert onnx.read(tmp_path / "m.onnx")[0] == graph
    for end in (TOP, -TOP):
        assert struct.pack("<q" if time == "step" else "<f", end) in text  # as a tensor of one int64, or of one float32


def far_sums(kind, reset, exponent, seed):
    """Sums of up to 16 x 127 x 127 x 2**exponent, whose 64-fold float32 does not hold; odd biases and membranes."""
    rng = np.random.default_rng(seed)
    shape, steps = (32,), 12
    further = {"current_decay": rng.integers(0, 3 + 1000 * exponent, 32)} if kind is CubaLIF else {}
    neurons = kind(
        shape,
        rng.integers(2000, 4097, 32),
        rng.integers(0, MANTISSA >> 3, steps),
        bias=rng.integers(-(2**18), 2**18 - 64, 32) * 2 + 1,
        reset=reset,
        compare=">",
        reset_value=np.int64(-TOP if reset == "value" else 0),
        **further,
    )
    nodes = {
        "in": Input((16,), coding="events", low=-127, high=127),
        "fc": Linear(rng.integers(-127, 128, (32, 16)).astype(np.int8), exponent=exponent),
        "lif": neurons,
    }
    samples = np.asarray(rng.integers(-127, 128, (steps, 8, 16)) * (rng.random((steps, 8, 16)) < 0.1), np.float32)
    return Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2)), samples


@pytest.mark.parametrize("reset", ["subtract", "value", "none"])
@pytest.mark.parametrize(
    ("kind", "exponent", "dtype"),
    [
        (LIF, 0, np.float32),
        (LIF, 4, np.float32),
        (LIF, 7, np.float32),
        (CubaLIF, 0, np.float32),
        (CubaLIF, 3, np.float64),
    ],
)
def test_sums_beyond_what_floats_hold_are_cut_alike(kind, exponent, dtype, reset):
    """The definition is plain int64; float32 serves wherever its rounding is out of the states' reach."""
    for seed in range(8):
        graph, samples = far_sums(kind, reset, exponent, seed)
        entering = into(graph, "lif", ranges(graph))
        assert whole_floats.floats(graph.nodes["lif"], entering, LOIHI2) == dtype
        ask = Request(trains=True)
        plain, other = simulate(graph, samples, ask, kernels="plain"), target("onnxruntime").run(graph, samples, ask)
        assert np.array_equal(plain.trains["lif"].unpack(), other.trains["lif"].unpack())
        assert exponent == 0 or sum(plain.overflows["lif"].values()) > 50
        assert 0.05 < plain.rates()["lif"].mean() < 0.95
