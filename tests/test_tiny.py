"""A tour of the whole way in five seconds: a network, both formats, integers, every spike compared, energy."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.comparison import parity
from spikeport.costs import estimate
from spikeport.engine import simulate
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Loihi, Readout
from spikeport.quantisation import quantize
from spikeport.target import Request, target

EVERYTHING = Request(trains=True, events=True)


@pytest.fixture(scope="module")
def network() -> Graph:
    """A convolution, a dense layer, thresholds that change over four timesteps."""
    rng = np.random.default_rng(2026)

    def weight(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    nodes = {
        "input": Input((1, 8, 8)),
        "conv": Conv(weight(6, 1, 3, 3), stride=(2, 2), padding=(1, 1)),
        "lif1": LIF((6, 4, 4), np.float32(0.4), np.float32([0.30, 0.35, 0.28, 0.33])),
        "flatten": Flatten(),
        "fc": Linear(weight(20, 96)),
        "lif2": LIF((20,), np.float32(0.3), np.float32([0.20, 0.25, 0.22, 0.21])),
        "head": Linear(weight(10, 20), np.zeros(10, np.float32)),
        "output": Readout((10,), np.full(4, 0.25, np.float32)),
    }
    return Graph.chain(nodes, timesteps=4)


@pytest.fixture(scope="module")
def images():
    """Images whose values are whole sixteenths, as the digits have."""
    return np.random.default_rng(7).integers(0, 17, size=(24, 1, 8, 8)).astype(np.float32) / 16


@pytest.fixture(scope="module")
def integers(network, images):
    return quantize(network, images, run=simulate).graph


def test_nir_gives_back_the_same_network_to_the_bit(network, integers, tmp_path):
    for name, graph in (("real", network), ("integer", integers)):
        nir.write(graph, tmp_path / f"{name}.nir")
        assert nir.read(tmp_path / f"{name}.nir")[0] == graph


def test_onnx_runs_elsewhere_with_the_same_spikes(network, images, tmp_path):
    onnx.write(network, tmp_path / "model.onnx")
    assert onnx.read(tmp_path / "model.onnx")[0] == network
    ours = simulate(network, images, EVERYTHING)
    theirs = target("onnxruntime").run(network, images, Request(trains=True))
    found = parity(theirs, ours)
    assert found.argmax_agreement == 1.0
    assert np.allclose(theirs.outputs, ours.outputs, atol=1e-6)


def test_integers_keep_the_network(network, integers, images):
    assert isinstance(integers.arithmetic, Loihi)
    real, whole = simulate(network, images, EVERYTHING), simulate(integers, images, EVERYTHING)
    found = parity(whole, real)
    assert found.spikes_compared == 24 * 4 * (6 * 4 * 4 + 20)
    assert found.spike_mismatches < 0.01 * found.spikes_compared
    # where the last spikes agree, only the rounding of weights and bias is left: half a unit for each
    agree = (whole.trains["lif2"].unpack() == real.trains["lif2"].unpack()).all(axis=(0, 2))
    step = 4 * float(integers["output"].unit)  # the mean over T = 4 makes a unit of the output a quarter
    weight_step = step * 2**6 * 2 ** integers["head"].exponent
    difference = np.abs(whole.outputs * integers["output"].unit - real.outputs)[agree]
    assert len(difference) > 12
    assert difference.max() <= 20 * weight_step / 2 + step


def test_results_do_not_depend_on_the_batch(integers, images):
    whole = simulate(integers, images, EVERYTHING)
    single = simulate(integers, images, Request(trains=True, events=True, batch=1))
    assert parity(single, whole).exact
    assert np.array_equal(single.outputs, whole.outputs)


def test_energy_is_what_its_constants_say(integers, images):
    record = simulate(integers, images, EVERYTHING)
    found = estimate(integers, record)
    assert len(found) >= 2
    for name, energy in found.items():
        assert 0 < energy.low <= energy.nominal <= energy.high, name
        assert energy.source, name
