"""Operators of ONNX that are not run: what would be guessed, what is random, and what claims more than there is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.module import OnnxModule
from spikeport.tracing.written_out.operator import require_room
from spikeport.tracing.written_out.tidy import inlined

f4 = np.float32
IMAGE, ROWS = (2, 3, 7, 6), (2, 3, 4)


def where(places):
    return {"coordinate_transformation_mode": places}


@pytest.mark.parametrize(
    ("operators", "why"),
    [
        ([("Dropout", ["x", "half", "yes"], ["y"], {})], "as in training"),
        (
            [("MaxPool", ["x"], ["y"], {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1], "ceil_mode": 1})],
            "rounds the size",
        ),
        ([("ReduceMean", ["x"], ["m"], {"keepdims": 0}), ("Clip", ["x", "m"], ["y"], {})], "values of the input"),
        (
            [
                ("ReduceSum", ["x"], ["m"], {"keepdims": 0}),
                ("Cast", ["m"], ["n"], {"to": TensorProto.INT64}),
                ("Gather", ["x", "n"], ["y"], {}),
            ],
            "values of the input",
        ),
        ([("GatherND", ["x", "pairs"], ["y"], {"batch_dims": 1})], "of each sample"),
        ([("Resize", ["x", "", "twice"], ["y"], {"mode": "linear", **where("asymmetric")})], "torch would not"),
        ([("Resize", ["x", "", "twice"], ["y"], {"mode": "linear", **where("tf_crop_and_resize")})], "no function"),
        ([("Resize", ["x", "", "thrice"], ["y"], {"nearest_mode": "floor"})], "other nearest values"),
        ([("Resize", ["x", "", "twice"], ["y"], {"mode": "cubic", "cubic_coeff_a": -0.5})], "another coefficient"),
        ([("Resize", ["x", "", "twice"], ["y"], {"mode": "linear", "antialias": 1})], "antialias"),
        ([("Resize", ["x", "", "nothing"], ["y"], {"mode": "linear"})], "axes of places"),
        ([("Resize", ["x", "", "channels"], ["y"], {"mode": "linear"})], "axes of places"),
        ([("Resize", ["x", "", "huge"], ["y"], {"mode": "linear"})], "claims values"),
        ([("ConvTranspose", ["x", "w"], ["y"], {"strides": [2**20, 2**20]})], "claims values"),
        ([("Conv", ["x", "w"], ["y"], {"pads": [0, 2**26, 0, 0]})], "claims values"),
    ],
)
def test_what_is_not_run_says_why(operators, why):
    steps = [helper.make_node(kind, entering, leaving, **said) for kind, entering, leaving, said in operators]
    constants = {"half": np.array(0.5, f4), "yes": np.array(True), "w": np.ones((3, 3, 2, 2), f4)}
    constants["pairs"] = np.zeros((2, 1, 1), np.int64)
    scales = {
        "twice": (1, 1, 2, 2),
        "thrice": (1, 1, 3, 3),
        "channels": (1, 2, 1, 1),
        "nothing": (1, 1, 0.1, 1),
        "huge": (1, 1, 2**14, 2**14),
    }
    constants |= {name: np.array(value, f4) for name, value in scales.items()}
    built = helper.make_model(
        helper.make_graph(
            steps,
            "refused",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, IMAGE)],
            [onnx.ValueInfoProto(name="y")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    with pytest.raises(Unsupported, match=why):
        OnnxModule(built, constants)


def doubled(count, constant):
    """A value, or a constant, that is put beside itself so often."""
    first = ("start", "start") if constant else ("x", "x")
    pairs = [first, *((f"d{n}", f"d{n}") for n in range(count))]
    steps = [helper.make_node("Concat", pair, [f"d{n}"], axis=0) for n, pair in enumerate(pairs)]
    return [*steps, helper.make_node("Add", ["x", f"d{count}"], ["y"])]


@pytest.mark.parametrize("constant", [False, True])
def test_values_that_double_forty_times_are_refused_before_memory_is(constant):
    graph = helper.make_graph(
        doubled(40, constant),
        "doubled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1024])],
        [onnx.ValueInfoProto(name="y")],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(Unsupported, match="claims values"):
        OnnxModule(built, {"start": np.ones((1, 1024), f4)})


def function(name, *calls):
    steps = [helper.make_node(call, ["a"], ["b"], domain="own") for call in calls[:1]]
    steps += [helper.make_node(call, ["b"], [f"b{n}"], domain="own") for n, call in enumerate(calls[1:])]
    last = steps[-1].output[0] if steps else "b"
    steps = steps or [helper.make_node("Neg", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], [last], steps, opsets)


def calling(*functions):
    graph = helper.make_graph(
        [helper.make_node("F0", ["x"], ["y"], domain="own")],
        "calling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ROWS)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ROWS)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8)


def test_functions_of_a_models_own_are_written_out():
    whole = inlined(calling(function("F0", "F1", "F1"), function("F1")))
    x = np.random.default_rng(4).standard_normal(ROWS).astype(f4)
    np.testing.assert_array_equal(OnnxModule(whole, {})(torch.from_numpy(x)).numpy(), x)  # negated twice


def test_functions_that_call_themselves_or_grow_without_end_are_refused():
    with pytest.raises(Unsupported, match="calls itself"):
        inlined(calling(function("F0", "F1"), function("F1", "F0")))
    growing = [function(f"F{n}", *[f"F{n + 1}"] * 2) for n in range(40)]
    with pytest.raises(Unsupported, match="more than"):
        inlined(calling(*growing, function("F40")))


def test_a_shape_that_a_large_input_gets_is_no_operand():
    """[2^26, 1] and [4] would be 2^28 values, were they added; a Reshape makes none."""
    inputs = [torch.empty(2**26, 1, device="meta"), torch.empty(4, device="meta")]
    require_room("Reshape", inputs, broadcasts=False)
    with pytest.raises(Unsupported, match="claims values"):
        require_room("Add", inputs, broadcasts=True)
