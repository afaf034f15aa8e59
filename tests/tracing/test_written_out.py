"""Each operator of ONNX that is run to be followed, against onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession

from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.batches import Recorded, with_batch
from spikeport.tracing.written_out.module import OnnxModule
from spikeport.tracing.written_out.operators import RULES

f4, i8 = np.float32, np.int64
SEED = 3
RANDOM = np.random.default_rng(4)
IMAGE, ROWS = (2, 3, 7, 6), (2, 3, 4)


@pytest.fixture(autouse=True)
def own_numbers(monkeypatch):
    """Every test draws its own, whatever ran before it."""
    monkeypatch.setattr(f"{__name__}.RANDOM", np.random.default_rng(SEED))


def draw(*shape):
    return RANDOM.standard_normal(shape).astype(f4)


def whole(*numbers):
    return np.array(numbers, i8)


def where(places):
    return {"coordinate_transformation_mode": places}


NONE, FLOOR = np.array([], f4), {**where("asymmetric"), "nearest_mode": "floor"}

#: operator, its constant inputs behind x, attributes, the shape of x
SINGLE = [
    *[(name, [], {}, ROWS) for name in ("Abs", "Ceil", "Exp", "Floor", "Identity", "Neg", "Relu", "Sigmoid", "Sign")],
    *[(name, [], {}, ROWS) for name in ("Tanh", "Shape", "Dropout", "Reciprocal", "Transpose", "Squeeze")],
    *[(name, [draw(3, 4)], {}, ROWS) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum")],
    *[(name, [draw(3, 1)], {}, ROWS) for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")],
    ("Mod", [np.array(0.7, f4)], {"fmod": 1}, ROWS),
    ("Pow", [np.array(2, f4)], {}, ROWS),
    ("Cast", [], {"to": TensorProto.INT64}, ROWS),
    ("Clip", [np.array(-0.5, f4), np.array(0.25, f4)], {}, ROWS),
    ("Transpose", [], {"perm": [1, 2, 0]}, ROWS),
    ("Conv", [draw(4, 3, 3, 2), draw(4)], {"strides": [2, 1], "pads": [1, 0, 2, 1]}, IMAGE),
    ("Conv", [draw(4, 3, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, IMAGE),
    ("Conv", [draw(4, 3, 2, 2)], {"auto_pad": "SAME_LOWER"}, IMAGE),
    ("Conv", [draw(4, 3, 3, 3)], {"auto_pad": "VALID", "dilations": [2, 2]}, IMAGE),
    ("Conv", [draw(6, 1, 3, 3)], {"group": 3, "pads": [1, 1, 1, 1]}, IMAGE),
    ("Conv", [draw(4, 3, 3)], {"pads": [1, 1]}, ROWS),
    ("ConvTranspose", [draw(3, 2, 3, 3), draw(2)], {"strides": [2, 2], "output_padding": [1, 0]}, IMAGE),
    ("Gemm", [draw(6, 5), draw(5)], {"alpha": 0.5, "beta": 2.0}, (3, 6)),
    ("Gemm", [draw(5, 6), draw(1, 5)], {"transB": 1}, (3, 6)),
    ("Gemm", [draw(5, 3)], {"transA": 1, "transB": 1}, (3, 6)),
    ("MatMul", [draw(4, 5)], {}, ROWS),
    ("BatchNormalization", [draw(3), draw(3), draw(3), np.abs(draw(3)) + 0.5], {"epsilon": 1e-3}, IMAGE),
    ("AveragePool", [], {"kernel_shape": [2, 3], "strides": [2, 1]}, IMAGE),
    ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}, IMAGE),
    ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, IMAGE),
    ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, IMAGE),
    ("MaxPool", [], {"kernel_shape": [3, 3], "pads": [0, 1, 1, 0]}, IMAGE),
    ("GlobalAveragePool", [], {}, IMAGE),
    ("GlobalMaxPool", [], {}, IMAGE),
    ("ReduceSum", [whole(-1)], {"keepdims": 0}, ROWS),
    ("ReduceSum", [], {"noop_with_empty_axes": 1}, ROWS),
    ("ReduceMean", [], {"axes": [0, 2]}, ROWS),
    ("ReduceMax", [], {"axes": [1], "keepdims": 0}, ROWS),
    ("Softmax", [], {}, ROWS),
    ("LogSoftmax", [], {"axis": 1}, ROWS),
    ("ArgMax", [], {"axis": 1}, ROWS),
    ("ArgMax", [], {"keepdims": 0}, ROWS),
    ("Flatten", [], {}, IMAGE),
    ("Flatten", [], {"axis": 2}, IMAGE),
    ("Flatten", [], {"axis": 4}, IMAGE),
    ("Flatten", [], {"axis": -1}, IMAGE),
    ("Flatten", [], {}, (5,)),
    ("Reshape", [whole(0, -1)], {}, IMAGE),
    ("Squeeze", [whole(1)], {}, (2, 1, 4)),
    ("Unsqueeze", [whole(0, -1)], {}, ROWS),
    ("Slice", [whole(1, -3), whole(9, -1), whole(1, 2)], {}, ROWS),
    ("Slice", [whole(0), whole(6), whole(-1), whole(2)], {}, IMAGE),
    ("Gather", [np.array(1, i8)], {"axis": 1}, ROWS),
    ("Gather", [whole(2, -3, 0)], {"axis": 1}, ROWS),
    ("Gather", [np.array([[2, -3], [0, 1]], i8)], {"axis": 1}, ROWS),
    ("GatherND", [np.array([[1, 0], [0, 2], [1, -1]], i8)], {}, ROWS),
    ("GatherND", [np.array([[[1], [0]], [[0], [1]]], i8)], {}, ROWS),
    ("Expand", [whole(4, 1, 1, 1)], {}, ROWS),
    ("Tile", [whole(1, 2, 3)], {}, ROWS),
    ("Pad", [whole(0, 0, 1, 2, 0, 0, 0, 1), np.array(0.5, f4)], {}, IMAGE),
    ("Pad", [whole(1, 0, 2, 0), np.array(0, f4), whole(0, 2)], {}, ROWS),
    ("Pad", [whole(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "edge"}, IMAGE),
    ("Pad", [whole(0, 0, 1, 2, 0, 0, 3, 1)], {"mode": "reflect"}, IMAGE),
    ("Pad", [whole(0, 0, 2, 0, 0, 1)], {"mode": "edge"}, ROWS),
    ("Resize", [NONE, np.array([1, 1, 2, 3], f4)], {"mode": "nearest", **FLOOR}, IMAGE),
    ("Resize", [NONE, np.array([1, 1, 2, 3], f4)], {"mode": "nearest"}, IMAGE),
    ("Resize", [NONE, NONE, whole(2, 3, 9, 5)], {"mode": "nearest", **FLOOR}, IMAGE),
    ("Resize", [NONE, np.array([1, 1, 2, 1.5], f4)], {"mode": "linear"}, IMAGE),
    ("Resize", [NONE, NONE, whole(2, 3, 9, 5)], {"mode": "linear", **where("pytorch_half_pixel")}, IMAGE),
    ("Resize", [NONE, NONE, whole(2, 3, 9, 1)], {"mode": "linear", **where("align_corners")}, IMAGE),
    ("Resize", [NONE, NONE, whole(2, 3, 9)], {"mode": "linear"}, ROWS),
    ("Resize", [NONE, np.array([1, 1, 3, 2], f4)], {"mode": "cubic"}, IMAGE),
    ("Slice", [whole(-1), whole(-(2**63) + 1), whole(1), whole(-1)], {}, ROWS),
    ("Slice", [whole(2), whole(0), whole(2), whole(-1)], {}, ROWS),
    ("Upsample", [np.array([1, 1, 2, 3], f4)], {"mode": "nearest"}, IMAGE),
    ("Concat", [draw(2, 1, 4)], {"axis": 1}, ROWS),
]


def model(operators, constants, shape, opset=18):
    """A model of one input x and one output y, whose type onnx infers."""
    graph = helper.make_graph(
        operators,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(built, strict_mode=True)


def both(built, x):
    theirs = InferenceSession(built.SerializeToString()).run(None, {"x": x})[0]
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in built.graph.initializer}
    return OnnxModule(built, arrays)(torch.from_numpy(x)).numpy(), theirs


def same(ours, theirs, atol=2e-6):
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=atol)


@pytest.mark.parametrize(("kind", "constants", "said", "shape"), SINGLE)
def test_an_operator_is_the_one_of_onnxruntime(kind, constants, said, shape):
    names = {f"c{place}": value for place, value in enumerate(constants)}
    operator = helper.make_node(kind, ["x", *names], ["y"], **said)
    # reductions had their axes as an attribute until opset 18, and Upsample went with 10
    opset = {"ReduceMean": 17, "ReduceMax": 17, "Upsample": 9}.get(kind, 18)
    # sixteen taps at fractions in float32: of 300 images torch's are up to 2.5e-6 from float64, onnxruntime's 3.4e-6
    atol = 6e-6 if said.get("mode") == "cubic" else 2e-6
    same(*both(model([operator], names, shape, opset), draw(*shape)), atol)


def test_roots_and_logarithms_are_those_of_positive_numbers():
    for kind in ("Sqrt", "Log"):
        same(*both(model([helper.make_node(kind, ["x"], ["y"])], {}, ROWS), np.abs(draw(*ROWS))))


@pytest.mark.parametrize("kind", ["And", "Or", "Xor"])
def test_masks_are_combined(kind):
    steps = [
        helper.make_node("Greater", ["x", "a"], ["p"]),
        helper.make_node("Less", ["x", "b"], ["q"]),
        helper.make_node(kind, ["p", "q"], ["r"]),
        helper.make_node("Not", ["r"], ["s"]),
        helper.make_node("Where", ["s", "x", "a"], ["t"]),
        helper.make_node("CastLike", ["s", "x"], ["u"]),
        helper.make_node("Add", ["t", "u"], ["y"]),
    ]
    same(*both(model(steps, {"a": np.array(-0.25, f4), "b": np.array(0.5, f4)}, ROWS), draw(*ROWS)))


@pytest.mark.parametrize(("kind", "low", "high"), [("Less", 0, 1), ("Greater", 1, 0)])
@pytest.mark.parametrize("met", [0.0, 1.0, 0.5])
def test_a_step_function_that_was_taken_apart(kind, low, high, met):
    """As torch.export writes heaviside; with another value where both are equal it is no comparison."""
    steps = [
        helper.make_node(kind, ["x", "theta"], ["p"]),
        helper.make_node("Where", ["p", "low", "high"], ["q"]),
        helper.make_node("Equal", ["x", "theta"], ["r"]),
        helper.make_node("Where", ["r", "met", "q"], ["y"]),
    ]
    numbers = {"theta": 0.25, "low": low, "high": high, "met": met}
    built = model(steps, {name: np.array(value, f4) for name, value in numbers.items()}, ROWS)
    x = draw(*ROWS)
    x[0, :2] = 0.25
    same(*both(built, x))
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in built.graph.initializer}
    kinds = [operator.op_type for operator in OnnxModule(built, arrays).operators]
    assert len(kinds) == (4 if met == 0.5 else 2)
    numbered = [*(constant(name, value) for name, value in numbers.items()), constant("again", 0.25), *steps]
    numbered[-2] = helper.make_node("Equal", ["again", "x"], ["r"])  # as the older exporter writes numbers
    built = model(numbered, {}, ROWS)
    same(*both(built, x))
    assert len(OnnxModule(built, {}).operators) == len(kinds)


def constant(name, value):
    """A number as an operator."""
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(value, f4)))


@pytest.mark.parametrize("sizes", [None, [1, 2]])
def test_parts_of_a_split(sizes):
    names = {} if sizes is None else {"sizes": whole(*sizes)}
    said = {"num_outputs": 2} if sizes is None else {}
    steps = [
        helper.make_node("Split", ["x", *names], ["a", "b"], axis=1, **said),
        helper.make_node("ReduceSum", ["a", "axis"], ["p"]),
        helper.make_node("ReduceSum", ["b", "axis"], ["q"]),
        helper.make_node("Sub", ["p", "q"], ["y"]),
    ]
    same(*both(model(steps, {**names, "axis": whole(1)}, ROWS), draw(*ROWS)))


def test_what_depends_on_constants_or_shapes_alone():
    two = helper.make_tensor("two", TensorProto.FLOAT, [1], [2])
    steps = [
        helper.make_node("Shape", ["x"], ["size"], start=0, end=2),
        helper.make_node("Concat", ["size", "one"], ["wide"], axis=0),
        helper.make_node("ConstantOfShape", ["wide"], ["v"], value=two),
        helper.make_node("Constant", [], ["k"], value_float=0.5),
        helper.make_node("Range", ["zero", "four", "step"], ["n"]),
        helper.make_node("Cast", ["n"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["v", "k"], ["w"]),
        helper.make_node("Add", ["w", "m"], ["z"]),
        helper.make_node("Add", ["x", "z"], ["y"]),
    ]
    constants = {"one": whole(1), "zero": np.array(0, i8), "four": np.array(4, i8), "step": np.array(1, i8)}
    same(*both(model(steps, constants, ROWS), draw(*ROWS)))


@pytest.mark.parametrize(
    ("kind", "said", "shape", "opset"),
    [
        ("Pad", {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "value": 1.5}, IMAGE, 10),
        ("Clip", {"min": -0.5, "max": 0.25}, ROWS, 10),
        ("Squeeze", {"axes": [1]}, (2, 1, 4), 11),
        ("Unsqueeze", {"axes": [0, 3]}, ROWS, 11),
        ("ReduceSum", {"axes": [1], "keepdims": 0}, ROWS, 11),
        ("Slice", {"starts": [1], "ends": [3], "axes": [1]}, ROWS, 9),
        ("Dropout", {"ratio": 0.5}, ROWS, 9),
    ],
)
def test_what_older_opsets_say_by_attributes(kind, said, shape, opset):
    operators = [helper.make_node(kind, ["x"], ["y"], **said)]
    same(*both(model(operators, {}, shape, opset), draw(*shape)))


def test_every_rule_is_tried_here():
    tried = {kind for kind, *_ in SINGLE} | {"Sqrt", "Log", "And", "Or", "Xor", "Not", "Where", "CastLike", "Split"}
    assert set(RULES) == tried | {"ConstantOfShape", "Range"}


# -- other sizes of batch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "behind", "batch", "actual", "wanted"),
    [
        ((1, 8, 6, 6), (1, 288), 1, (5, 8, 6, 6), [5, 288]),  # flattened
        ((3, 8, 6, 6), (3, 288), 3, (5, 8, 6, 6), [5, 288]),
        ((4, 1, 20), (4, 20), 1, (4, 5, 20), [20, 20]),  # folded into time
        ((4, 20), (4, 1, 20), 1, (20, 20), [4, 5, 20]),  # and apart again
        ((12, 20), (4, 3, 20), 3, (20, 20), [4, 5, 20]),
        ((4, 3, 20), (12, 20), 3, (4, 5, 20), [20, 20]),
        ((1, 20), (1, 20, 1, 1), 1, (5, 20), [5, 20, 1, 1]),
        ((1, 8, 1, 1), (1, 8), 1, (5, 8, 1, 1), [5, 8]),
        ((1, 12, 7), (1, 3, 4, 7), 1, (5, 12, 7), [5, 3, 4, 7]),  # heads
    ],
)
def test_the_batch_is_found_behind_a_reshape(before, behind, batch, actual, wanted):
    assert with_batch(actual, Recorded(before, behind), batch) == wanted
    assert with_batch(before, Recorded(before, behind), batch) == list(behind)


def test_one_channel_and_one_sample_look_alike():
    """[T, 1, 1, H, W] to [T, 1, H, W]: the channel is left out, or the batch is folded into time."""
    together, apart = Recorded((4, 1, 1, 6, 5), (4, 1, 6, 5)), Recorded((4, 3, 6, 5), (4, 1, 3, 6, 5))
    assert with_batch((4, 7, 1, 6, 5), together, 1) == [4, 7, 6, 5]
    assert with_batch((4, 7, 1, 6, 5), together, 1, folds=True) == [28, 1, 6, 5]
    assert with_batch((28, 3, 6, 5), apart, 1) == [4, 7, 3, 6, 5]


def test_a_batch_that_is_folded_across_is_refused():
    with pytest.raises(Unsupported, match="cannot be found"):
        with_batch((5, 4), Recorded((3, 4), (2, 6)), 3)
    with pytest.raises(Unsupported, match="cannot be found"):
        with_batch((5, 7), Recorded((3, 4), (12,)), 3)  # two sizes are others
