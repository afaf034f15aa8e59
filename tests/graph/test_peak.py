"""Output neurons that are read at their highest membrane: by hand, cut into blocks, in integers, and in files."""

from __future__ import annotations

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.engine.endless import Stream
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Peak, Real, Scale, definition
from spikeport.quantisation import quantize
from spikeport.target import Request, registry, target
from spikeport.training.integers import IntegerNet

F4 = np.float32
FRAMES = np.asarray([[[4, -4]], [[1, 0]], [[-8, 1]], [[6, 0]]], F4)  # [T, B, 2]
#: by hand: membranes 4, 3, -6.5, 2.75 and -4, -2, 0, 0; currents that halve, kept; no memory
HIGHEST = {(0.5, 0.0): [4, 0], (1.0, 0.5): [7, -4], (0.0, 0.0): [6, 1]}


def peaked(decay=0.5, current=0.0, integers=False):
    kind, one, never = (np.int64, 4096, 2**17 - 1) if integers else (F4, 1, np.inf)
    options = {"current_decay": kind(current * one), "compare": ">"}
    nodes = {
        "input": Input((2,), "events", low=-8, high=8) if integers else Input((2,), "events"),
        "fc": Linear(np.eye(2, dtype=kind)),
        "peak": Peak((2,), kind(decay * one), np.full(4, never, kind), kind(0), **options),
    }
    return Graph.chain(nodes, timesteps=4, arithmetic=Loihi(LOIHI2) if integers else Real())


@pytest.mark.parametrize(("decay", "current"), HIGHEST)
def test_the_output_is_the_highest_membrane(decay, current):
    graph = peaked(decay, current)
    assert definition.run(graph, FRAMES).outputs.tolist() == [HIGHEST[decay, current]]
    for kernels in ("plain", "fast"):
        for steps in (None, 1, 3):
            record = Engine(graph, kernels=kernels, steps=steps).simulate(FRAMES)
            assert record.outputs.tolist() == [HIGHEST[decay, current]]
            assert record.spike_counts["peak"].tolist() == [0, 0, 0, 0]


def test_integers_are_in_membrane_units_of_a_64th_and_never_fire():
    """-6.5 * 64 is whole; every membrane is above a threshold of 0, and none fires."""
    graph = peaked(integers=True)
    graph = graph.replace({"peak": graph["peak"].with_(threshold=np.zeros(4, np.int64))})
    record = simulate(graph, FRAMES, Request(membranes=True))
    assert record.outputs.tolist() == [[4 * 64, 0]]
    assert record.membranes["peak"][:, 0, 0].tolist() == [256, 192, -416, 176]
    assert record.spike_counts["peak"].tolist() == definition.run(graph, FRAMES).values["peak"].sum((1, 2)).tolist()
    assert not record.spike_counts["peak"].any()


def test_nothing_leaves_them():
    with pytest.raises(SpikeportError, match="highest") as caught:
        Graph.chain({**peaked().nodes, "one": Scale(F4(1))}, 4)
    assert caught.value.code == "SP112"
    with pytest.raises(SpikeportError) as caught:
        peaked()["peak"].with_(reset="zero")
    assert caught.value.code == "SP102"


@pytest.mark.parametrize("name", ["lava", "nengo-loihi", "sanafe", "speck"])
def test_a_chip_whose_outputs_add_up_says_so(name):
    if name not in registry():
        pytest.skip("its entry point is not installed")
    findings = target(name).check(peaked(integers=True))
    assert ("SP133", "node 'peak'") in [(finding.code, finding.where) for finding in findings]


@pytest.mark.parametrize("adding", [lambda: Stream(peaked()), lambda: IntegerNet(peaked(integers=True))])
def test_streams_and_fine_tuning_add_up(adding):
    with pytest.raises(SpikeportError) as caught:
        adding()
    assert caught.value.code == "SP133"


@pytest.mark.parametrize("current", [0.0, 0.4])
def test_quantised_they_are_read_in_their_unit(current):
    """Within one in a hundred of the largest output of random weights, the unit is one for all channels."""
    rng = np.random.default_rng(3)
    layers = {
        "fc": Linear(rng.normal(size=(12, 6)).astype(F4)),
        "lif": LIF((12,), F4(0.5), np.ones(6, F4)),
        "fc2": Linear(rng.normal(size=(4, 12)).astype(F4)),
        "peak": Peak((4,), F4(0.8), np.full(6, np.inf, F4), current_decay=F4(current)),
    }
    graph = Graph.chain({"input": Input((6,)), **layers}, 6)
    x = rng.integers(0, 256, (120, 6)).astype(F4) / F4(255)
    quantised = quantize(graph, x, run=simulate)
    codes = {finding.code for finding in quantised.findings}
    assert not codes & {"SP417", "SP420", "SP414"}  # they need no threshold, and their silence is none
    real, whole = simulate(graph, x).outputs, simulate(quantised.graph, x).outputs
    unit = quantised.graph["peak"].unit
    assert unit.shape == ()
    apart = np.abs(real - whole * float(unit)).mean() / np.abs(real).max()
    assert apart < 0.01
    np.testing.assert_array_equal(definition.run(quantised.graph, x).outputs, whole)


@pytest.mark.parametrize("integers", [False, True])
def test_both_formats_bring_them_back(integers, tmp_path):
    graph = peaked(1.0, 0.5, integers)
    nir.write(graph, tmp_path / "peak.nir")
    assert nir.read(tmp_path / "peak.nir")[0] == graph
    for time in ("scan", "unroll", "step"):
        onnx.write(graph, tmp_path / "peak.onnx", time)
        assert onnx.read(tmp_path / "peak.onnx")[0] == graph


def test_without_metadata_the_largest_over_time_is_one(tmp_path):
    """Behind our function its output; behind anything else membranes without memory."""
    model = onnx.build(peaked(1.0, 0.5))
    del model.metadata_props[:]
    (tmp_path / "bare.onnx").write_bytes(model.SerializeToString())
    assert simulate(onnx.read(tmp_path / "bare.onnx")[0], FRAMES).outputs.tolist() == [[7, -4]]
