"""Membranes stop where the profile's state bits end, in ONNX as everywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.formats import onnx
from spikeport.formats.onnx import file, own_model
from spikeport.formats.onnx.own_model import KEY
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Readout
from spikeport.target import Request, target

T = 8
#: 125 * 8 << 6 = 64,000 is cut to 32,767; each spike takes 100 << 6 = 6,400 of it, and nothing leaks
EXPECTED = [1, 1, 1, 1, 1, 0, 0, 0]


def network(state_bits):
    neurons = LIF(
        (1,), np.int64(4096), np.full(T, 100), bias=np.int64(0), reset="subtract", compare=">", gain=np.int64(1)
    )
    nodes = {
        "in": Input((1,), coding="events", low=0, high=8),
        "fc": Linear(np.array([[125]], np.int8)),
        "lif": neurons,
    }
    return Graph.chain(nodes, T, arithmetic=Loihi(replace(LOIHI2, state_bits=state_bits)))


@pytest.fixture
def pulse():
    samples = np.zeros((T, 1, 1), np.float32)
    samples[0] = 8
    return samples


def test_onnxruntime_saturates_where_the_profile_ends(pulse):
    record = target("onnxruntime").run(network(16), pulse, Request(trains=True))
    assert record.trains["lif"].unpack().ravel().tolist() == EXPECTED
    assert simulate(network(16), pulse, Request(trains=True)).trains["lif"].unpack().ravel().tolist() == EXPECTED


def test_24_bits_hold_the_pulse(pulse):
    """64,000 over 6,400 is ten spikes: all eight steps."""
    record = target("onnxruntime").run(network(24), pulse, Request(trains=True))
    assert record.trains["lif"].unpack().ravel().tolist() == [1] * T


@pytest.mark.parametrize("time", ["scan", "unroll", "step"])
def test_a_file_comes_back_to_the_bit(time, tmp_path):
    onnx.write(network(16), tmp_path / "m.onnx", time)
    graph, findings = onnx.read(tmp_path / "m.onnx")
    assert graph == network(16)
    assert findings == ()


def test_a_file_of_0_1_is_read_and_says_what_its_operators_do(tmp_path, pulse):
    """0.1 wrote 24 bits for every profile: the network is the profile's, and the file is no longer trusted silently."""
    old, new = own_model.build(network(24), "scan", old=True), onnx.build(network(16))
    facts = next(prop.value for prop in new.metadata_props if prop.key == KEY)
    next(prop for prop in old.metadata_props if prop.key == KEY).value = facts
    file.save(old, tmp_path / "old.onnx")
    graph, findings = onnx.read(tmp_path / "old.onnx")
    assert [(finding.code, finding.where) for finding in findings] == [
        (code, str(tmp_path / "old.onnx")) for code in ("SP255", "SP256")
    ]
    assert simulate(graph, pulse, Request(trains=True)).trains["lif"].unpack().ravel().tolist() == EXPECTED


def test_a_file_of_0_1_with_wide_input_is_read_and_says_what_other_runtimes_do(tmp_path):
    """64 weights of 127 on 255: 2,072,640, far more than the 16 bits of a saturating product."""
    nodes = {
        "in": Input((64,), low=0, high=255),
        "fc": Linear(np.full((1, 64), 127, np.int8)),
        "out": Readout((1,), np.ones(1, np.int64), np.asarray(0)),
    }
    graph = Graph.chain(nodes, 1, arithmetic=Loihi(LOIHI2))
    file.save(own_model.build(graph, "scan", old=True), tmp_path / "old.onnx")
    again, (finding,) = onnx.read(tmp_path / "old.onnx")
    assert again == graph
    assert (finding.code, finding.severity) == ("SP256", "note")
    onnx.write(graph, tmp_path / "new.onnx")
    assert onnx.read(tmp_path / "new.onnx") == (graph, ())
    assert target("onnxruntime").run(graph, np.full((1, 64), 255.0), Request()).outputs.item() == 64 * 64 * 127 * 255
