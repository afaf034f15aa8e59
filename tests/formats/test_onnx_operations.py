"""Operators that join, multiply and move values, of our files without their metadata and as others write them."""

from __future__ import annotations

import numpy as np
import onnx as peer
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from conformance.cases import case
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import onnx
from spikeport.formats.onnx.neuron_functions import function
from spikeport.graph import LIF, OPERATIONS, Operation

f4 = np.float32
T, B = 3, 4


def test_every_operation_of_ours_is_read_from_its_operators(tmp_path):
    """On random graphs, some of several outputs, to the bit; all kinds of operations are among them."""
    lifted = set()
    for seed in (2, 3, 4, 6, 7, 8, 12, 53):
        drawn = case("float32, operations", seed)
        model = onnx.build(drawn.graph)
        del model.metadata_props[:]
        peer.save(model, tmp_path / "a.onnx")
        graph, _ = onnx.read(tmp_path / "a.onnx")
        record, expected = simulate(graph, drawn.samples), simulate(drawn.graph, drawn.samples)
        ends = [[each.outputs, *each.further.values()] for each in (record, expected)]
        assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True)), seed
        lifted |= {type(node) for node in drawn.graph.nodes_of(Operation).values()}
    assert lifted == set(OPERATIONS)


CONSTANTS = {
    "w": (np.random.default_rng(0).integers(-8, 9, (4, 2, 3, 3)) / 8).astype(f4),
    "up": (np.random.default_rng(1).integers(-8, 9, (4, 2, 3, 3)) / 8).astype(f4),
    "decay": f4(0.5),
    "theta": np.full((T, 1, 1, 1, 1), 0.75, f4),
    "one": f4(1),
    "zero": f4(0),
    "row": np.array([0]),
    "time": np.array([T, 1, 1, 1, 1]),
    "flat": np.array([-1, 4, 4, 4]),
    "tokens": np.array([-1, 4, 16]),
    "heads": np.array([0, 2, 2, 16]),
    "twice": np.array([1, 1, 2, 3], f4),
    "nothing": np.zeros(0, f4),
    "size": np.array([7, 4, 8, 8]),
    "from": np.array([1, 0]),
    "to": np.array([3, 2]),
    "axes": np.array([-3, 3]),
    "three": np.array([3, 1]),
    "places": np.array([0, 0, 1, 1, 2, 2, 3, 3]),
    "half": f4(0.5),
}


def op(kind, inputs, outputs, **attributes):
    inputs, outputs = [name.strip("_") for name in inputs.split()], outputs.split()
    return helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes)


LARGEST = op("MaxPool", "s", "m", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
NEAREST = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
#: what lies between the spikes s [T * B, 4, 4, 4] and y, the shape of y, and the operations that it becomes
STEPS = {
    "Concat": ([op("Concat", "s s", "y", axis=-3)], [8, 4, 4], ["Concat"]),
    "Mul": ([LARGEST, op("Mul", "m s", "y")], [4, 4, 4], ["Maximum", "Gate"]),
    "Sub": ([LARGEST, op("Mul", "m s", "g"), op("Sub", "m g", "y")], [4, 4, 4], ["Maximum", "Gate"]),
    "less": ([op("Sub", "s half", "y")], [4, 4, 4], []),
    "MatMul": (
        [
            op("Reshape", "s tokens", "q"),
            op("Transpose", "q", "k", perm=[0, 2, 1]),
            op("MatMul", "q k", "a"),
            op("MatMul", "a q", "y"),
        ],
        [4, 16],
        ["Reshape", "Reshape", "MatMul", "MatMul"],
    ),
    "Transpose": (
        [op("Reshape", "s heads", "h"), op("Transpose", "h", "y", perm=[0, 1, 3, 2])],
        [2, 16, 2],
        ["Reshape", "Reshape"],
    ),
    "Resize": ([op("Resize", "s _ twice", "y", **NEAREST)], [4, 8, 12], ["Repeat"]),
    "Gather": ([op("Gather", "s places", "y", axis=2)], [4, 8, 4], ["Repeat"]),
    "Slice": ([op("Slice", "s from to axes", "y")], [2, 4, 2], ["Slice", "Slice"]),
    "Split": (
        [op("Split", "s three", "a b", axis=1), op("Concat", "b a", "y", axis=1)],
        [4, 4, 4],
        ["Slice", "Slice", "Concat"],
    ),
    "ConvTranspose": (
        [op("ConvTranspose", "s up", "y", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])],
        [2, 8, 8],
        ["Dilate"],
    ),
    "ReduceMean": ([op("ReduceMean", "s", "y", axes=[2, 3], keepdims=0)], [4], ["Sum", "Reshape"]),
}


def model(steps, shape):
    """A convolution, neurons, ``steps`` on their spikes, and the sum over time."""
    lif = function(LIF((4, 4, 4), f4(0.5), np.ones(T, f4)), "scan", np.dtype(f4))
    arrays = CONSTANTS | {"back": np.array([T, -1, *shape])}
    nodes = [
        op("Conv", "image w", "c", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        op("Unsqueeze", "c row", "cr"),
        op("Expand", "cr time", "ct"),
        op("LIF", "ct decay theta one zero zero", "st", domain="spikeport.snn"),
        op("Reshape", "st flat", "s"),
        *steps,
        op("Reshape", "y back", "yt"),
        op("ReduceSum", "yt row", "sums", keepdims=0),
    ]
    ends = (
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 2, 4, 4])],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["n", *shape])],
    )
    used = {name for node in nodes for name in node.input}
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items() if name in used]
    graph = helper.make_graph(nodes, "theirs", *ends, tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("spikeport.snn", 1)]
    return helper.make_model(graph, functions=[lif], opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("what", STEPS)
def test_what_others_write_is_lifted_and_gives_onnxruntimes_sums(what, tmp_path):
    steps, shape, kinds = STEPS[what]
    theirs = model(steps, shape)
    peer.checker.check_model(theirs, full_check=True)
    peer.save(theirs, tmp_path / "a.onnx")
    graph, _ = onnx.read(tmp_path / "a.onnx")
    assert sorted(type(node).__name__ for node in graph.nodes_of(Operation).values()) == sorted(kinds)
    x = (np.random.default_rng(5).integers(-16, 17, (B, 2, 4, 4)) / 8).astype(f4)
    (expected,) = InferenceSession(theirs.SerializeToString()).run(None, {"image": x})
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(simulate(graph, x).outputs, expected, atol=1e-6)


REFUSED = {
    "along time or batch": [op("Concat", "s s", "y", axis=0)],
    "beside values": [op("Concat", "s w", "y", axis=1)],
    "by the nearest": [op("Resize", "s _ twice", "y", mode="linear")],
    "no order": [op("Gather", "s three", "y", axis=1)],
    "axes of time": [op("Transpose", "s", "y", perm=[1, 0, 2, 3])],
    "off a constant": [op("Sub", "half s", "y")],
    "pads values": [op("Pad", "s size", "y")],
}


@pytest.mark.parametrize("why", REFUSED)
def test_other_uses_are_refused_with_their_reason(why, tmp_path):
    peer.save(model(REFUSED[why], [4, 4, 4]), tmp_path / "a.onnx")
    with pytest.raises(SpikeportError, match=why) as caught:
        onnx.read(tmp_path / "a.onnx")
    assert caught.value.code == "SP251"
