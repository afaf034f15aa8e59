"""A .onnx file under the verbs: all defaults work, and one without neurons says so."""

from __future__ import annotations

import numpy as np
import onnx as peer
import pytest
from onnx import TensorProto, helper, numpy_helper

import spikeport
from spikeport.findings import SpikeportError
from spikeport.formats import onnx
from spikeport.graph import LIF, Graph, Input, Linear
from spikeport.record import NeuronEvents

f4 = np.float32


def test_simulate_runs_a_file_with_every_default_and_counts_its_events(tmp_path):
    """By hand: 0.5 v + x with x = 1 for the first neuron, 0 for the second; thresholds 1, 2, 1."""
    nodes = {"in": Input((2,)), "fc": Linear(np.eye(2, dtype=f4)), "lif": LIF((2,), f4(0.5), f4([1, 2, 1]))}
    onnx.write(Graph.chain(nodes, 3), tmp_path / "a.onnx")
    record = spikeport.simulate(tmp_path / "a.onnx", f4([[1, 0]]), out=tmp_path / "run")
    assert record.target == "onnxruntime"
    assert record.trains["lif"].unpack()[:, 0].tolist() == [[True, False], [False, False], [True, False]]
    events = record.events["lif"]
    assert isinstance(events, NeuronEvents)
    assert events.spikes.tolist() == [1, 0, 1]
    assert record.events["fc"].synops.tolist() == [1, 1, 1]  # the identity's one weight, at every step


def network(path, kind):
    """x W and an operator behind it, as another tool would write it."""
    weight = numpy_helper.from_array(np.eye(2, dtype=f4), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node(kind, ["y"], ["z"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("x", "z")]
    graph = helper.make_graph(nodes, "plain", ends[:1], ends[1:], [weight])
    peer.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_model_without_neurons_says_that_nothing_spikes(tmp_path):
    model = spikeport.load_model(network(tmp_path / "linear.onnx", "Flatten"))
    assert [finding.code for finding in model.findings] == ["SP252", "SP258"]
    with pytest.raises(SpikeportError) as caught:
        spikeport.load_model(network(tmp_path / "relu.onnx", "Relu"))
    assert [finding.code for finding in caught.value.findings] == ["SP251", "SP258"]
    assert "nothing in it spikes" in str(caught.value)
