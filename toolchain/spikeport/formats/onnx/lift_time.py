"""ONNX operators over time as nodes of a Graph: delays, readouts, and how many steps there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx.draft import Draft, Lifted, Rule, UnsupportedError, attributes
from spikeport.formats.onnx.lift_shapes import zeros_between
from spikeport.graph import Delay, Node, Peak, Readout, Reshape, Scale, Sum


def later(work: Draft, operator: onnx.NodeProto) -> None:
    """Zeros in front, with a Slice behind that takes as many steps from the end: a Delay. Else zeros between values."""
    x = work.x(operator)
    if zeros_between(work, operator):
        return
    takers = [node for node in work.model.graph.node if operator.output[0] in node.input]
    if len(takers) != 1 or takers[0].op_type != "Slice" or x.form != "time" or len(operator.input) != 2:
        raise UnsupportedError("pads values; only a shift in time, with a Slice behind, is a Delay")
    steps, *rest = work.integers(operator, 1)
    kept = [work.integers(takers[0], index) for index in range(1, 4)]
    if (
        steps < 1
        or any(rest)
        or attributes(operator).get("mode", b"constant") != b"constant"
        or kept != [[0], [-steps], [0]]
        or len(takers[0].input) != 4
    ):
        raise UnsupportedError("pads values other than for a Delay")
    work.done.add(takers[0].output[0])
    shifted = helper.make_node("Pad", [operator.input[0]], takers[0].output, name=takers[0].name)
    work.put(shifted, Delay(x.shape, steps), x)


def count(work: Draft, operator: onnx.NodeProto) -> None:
    """How many timesteps event frames bring along."""
    a = attributes(operator)
    if work.x(operator).form != "time" or (a.get("start", 0), a.get("end")) != (0, 1):
        raise UnsupportedError("measures something else than the number of timesteps")
    work.constants[operator.output[0]] = np.array([work.steps])


def reduce(work: Draft, operator: onnx.NodeProto) -> None:
    """The sum or mean over time, the readout; or over features."""
    x, a = work.x(operator), attributes(operator)
    axes = list(work.integers(operator, 1) if len(operator.input) > 1 else a.get("axes", []))
    front = 2 if x.form == "time" else 1
    axes = [axis % (len(x.shape) + front) for axis in axes]
    if axes and min(axes) >= front:
        _over_features(work, operator, x, [axis - front for axis in axes])
        return
    if axes != [0] or x.form != "time" or a.get("keepdims", 1):
        raise UnsupportedError(f"reduces axes {axes}; a readout sums over time (axis 0 of [T, B, ...], keepdims 0)")
    scale = 1.0 / work.steps if operator.op_type == "ReduceMean" else 1.0
    weight = work.weights.get(operator.input[0], np.full(work.steps, scale, np.float32))
    bias = np.asarray(0.0, np.float32)
    if len(x.sources) == 1 and x.sources[0] in work.biases:  # a readout has a bias of its own
        (name,) = x.sources
        bias = work.biases[name]
        del work.nodes[name]
        x = replace(x, sources=tuple(a for a, b in work.edges if b == name))
        work.edges = [edge for edge in work.edges if edge[1] != name]
    work.put(operator, Readout(x.shape, weight, bias), x, "still")


def _over_features(work: Draft, operator: onnx.NodeProto, x: Lifted, axes: list[int]) -> None:
    """A sum over axes of the features, for a mean over their number; axes that go are a `Reshape`."""
    keep = bool(attributes(operator).get("keepdims", 1))
    steps: list[Node] = [Sum(tuple(axes))]
    if operator.op_type == "ReduceMean":
        count = int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))
        steps.append(Scale(np.asarray(1 / count, np.float64 if work.double else np.float32)))
    if not keep:
        rest = tuple(size for axis, size in enumerate(x.shape) if axis not in axes) or (1,)
        steps.append(Reshape(tuple(range(len(x.shape))), rest))
    for place, node in enumerate(steps, 1):
        output = operator.output[0] if place == len(steps) else f"{operator.output[0]}/{place}"
        work.put(helper.make_node(operator.op_type, [], [output], name=operator.name), node, x)
        x = work.values[output]


def highest(work: Draft, operator: onnx.NodeProto) -> None:
    """The largest over time: of a `Peak`'s membranes its output, else a `Peak` without memory."""
    x, a = work.x(operator), attributes(operator)
    if list(a.get("axes", [])) != [0] or x.form != "time" or a.get("keepdims", 1) or len(operator.input) > 1:
        raise UnsupportedError("takes a maximum other than over time (axis 0 of [T, B, ...], keepdims 0)")
    if len(x.sources) == 1 and isinstance(work.nodes[x.sources[0]], Peak):
        work.values[operator.output[0]] = replace(x, form="still")
        return
    dtype = np.float64 if work.double else np.float32
    work.put(operator, Peak(x.shape, np.asarray(0, dtype), np.full(work.steps, np.inf, dtype)), x, "still")


RULES: Mapping[str, Rule] = {
    "Pad": later,
    "Shape": count,
    "ReduceSum": reduce,
    "ReduceMean": reduce,
    "ReduceMax": highest,
}
