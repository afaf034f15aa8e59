"""Portable models: standard operators that most tools know, valid, and with the engine's spikes in onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx as peer
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnxruntime import InferenceSession, SessionOptions

from spikeport.engine import simulate
from spikeport.formats import onnx
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Readout
from spikeport.graph.shifts import shift_each
from spikeport.target import Request
from strategies import graphs, samples

#: what onnx2torch 1.5.15 lists, of that which models hold
KNOWN = {
    *("Add", "AveragePool", "BatchNormalization", "Cast", "Concat", "Constant", "ConstantOfShape", "Conv", "Div"),
    *("Equal", "Expand", "Flatten", "Floor", "Gather", "Gemm", "Greater", "Identity", "Less", "MatMul", "Mod", "Mul"),
    *("Or", "Pad", "ReduceSum", "Reshape", "Round", "Shape", "Slice", "Sub", "Transpose", "Unsqueeze", "Where"),
}


@pytest.mark.parametrize("arithmetic", ["float32", "loihi"])
@settings(max_examples=12)
@given(data=st.data())
def test_onnxruntime_fires_the_engines_spikes_from_operators_that_are_well_known(arithmetic, data, tmp_path_factory):
    graph = data.draw(graphs(arithmetic=arithmetic))
    path = tmp_path_factory.getbasetemp() / "portable.onnx"
    findings = onnx.write(graph, path, portable=True)
    model = peer.load(path)
    peer.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert not model.functions
    assert onnx.read(path)[0] == shift_each(graph)  # the weights that a chip of few bits adds up
    used = {node.op_type for node in model.graph.node}
    rare = {finding.what.split()[1].rstrip(",") for finding in findings if finding.code == "SP257"}
    assert used - KNOWN <= rare
    x, options = samples(graph, data.draw(st.integers(0, 99))), SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    names = [output.name for output in model.graph.output]
    outputs = InferenceSession(model.SerializeToString(), options).run(names, {"input": x})
    record = simulate(graph, x, Request(trains=True))
    truth = [record.outputs, *(record.trains[name].unpack() for name in graph.nodes_of(LIF))]
    for output, expected in zip(outputs, truth, strict=True):
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize(("inputs", "named"), [(1024, []), (1056, ["SP257"])])
def test_sums_beyond_float32_keep_their_integer_operator_and_it_is_named(tmp_path, inputs, named):
    """1024 * 127 * 128 is below 2^24 = 16,777,216, 1056 * 127 * 128 is above; both models sum exactly."""
    nodes = {
        "in": Input((inputs,), low=0, high=128),
        "fc": Linear(np.full((1, inputs), 127, np.int8)),
        "out": Readout((1,), np.ones(1, int), np.asarray(0)),
    }
    graph = Graph.chain(nodes, 1, arithmetic=Loihi(LOIHI2))
    findings = onnx.write(graph, tmp_path / "a.onnx", portable=True)
    assert [finding.code for finding in findings if finding.code != "SP253"] == named
    run = InferenceSession(str(tmp_path / "a.onnx")).run
    (output,) = run(["output"], {"input": np.full((1, inputs), 128, np.float32)})
    assert output.tolist() == [[inputs * 127 * 128 * 64]]


@pytest.mark.parametrize("time", ["scan", "unroll", "step"])
@settings(max_examples=8)
@given(graph=graphs())
def test_what_is_written_out_for_others_is_read_back_to_the_bit(graph, time, tmp_path_factory):
    assume(time != "unroll" or not graph.recurrent)
    path = tmp_path_factory.getbasetemp() / "inline.onnx"
    onnx.write(graph, path, time, inline=True)
    assert not peer.load(path).functions
    assert onnx.read(path)[0] == graph
