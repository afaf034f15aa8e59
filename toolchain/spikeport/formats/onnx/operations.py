"""What operations are in ONNX: standard operators, of int32 or of floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.formats.onnx.layout import Layout, Value
from spikeport.formats.onnx.stateless import EXACT
from spikeport.graph import (
    Concat,
    Dilate,
    Gate,
    MatMul,
    Maximum,
    Operation,
    Repeat,
    Reshape,
    Slice,
    StepAffine,
    Sum,
    schedule_over_neurons,
)


def operation(self: Layout, name: str, node: Operation, operands: list[Value]) -> Value:
    """One operation. Raises SP206 for one without a rule."""
    if type(node) not in RULES:
        fail("SP206", f"ONNX export does not know nodes of type {type(node).__name__}", where=f"node {name!r}")
    forms = {value.form for value in operands}
    values = operands if len(forms) == 1 else [self.as_time(value) for value in operands]
    if not node.operands:
        values = [self.stepwise(operands[0]) if node.schedules else self.as_batch(operands[0])]
    front = 2 if values[0].form == "time" else 1
    output = RULES[type(node)](self, name, node, [value.name for value in values], front)
    return Value(output, values[0].form, self.graph.shapes[name])


def _concat(self: Layout, name: str, node: Concat, x: list[str], front: int) -> str:
    return self.builder.op("Concat", x, name, axis=node.axis + front)


def _dilate(self: Layout, name: str, node: Dilate, x: list[str], front: int) -> str:
    """Axis by axis: each index once, zeros (an index behind the last) between."""
    (value,) = x
    source = self.graph.input_shape(name)
    axes = len(node.stride)
    pads = self.builder.constant([0] * (2 * front + axes + 2) + [1] * axes, np.int64)
    value = self.builder.op("Pad", [value, pads], f"{name}/zero")
    for axis, (stride, after) in enumerate(zip(node.stride, node.after, strict=True), 1):
        places = np.full(stride * (source[axis] - 1) + 1 + after, source[axis])
        places[: stride * (source[axis] - 1) + 1 : stride] = np.arange(source[axis])
        wish = name if axis == axes else f"{name}/spread"
        value = self.builder.op("Gather", [value, self.builder.constant(places, np.int64)], wish, axis=axis + front)
    return value


def _gate(self: Layout, name: str, node: Gate, x: list[str], front: int) -> str:
    return self.builder.op("Mul", x, name)


def _matmul(self: Layout, name: str, node: MatMul, x: list[str], front: int) -> str:
    """Of int32 a runtime's own; where most tools are to know it, of floats that hold every sum."""
    if not (self.integers and self.portable):
        return self.builder.op("MatMul", x, name)
    return _in_floats(self, name, x, lambda values, wish: self.builder.op("MatMul", values, wish))


def _in_floats(self: Layout, name: str, x: list[str], does: Callable[[list[str], str], str]) -> str:
    """Whole numbers through an operator that knows floats only; float64 holds every int32."""
    dtype = np.float32 if self.ranges[name].size <= EXACT else np.float64
    return self.builder.cast(
        does([self.builder.cast(value, dtype, f"{name}/entering") for value in x], f"{name}/floats"),
        self.builder.dtype,
        name,
    )


def _maximum(self: Layout, name: str, node: Maximum, x: list[str], front: int) -> str:
    window: dict[str, Any] = {"kernel_shape": node.kernel, "strides": node.stride, "pads": [*node.padding] * 2}

    def largest(values: list[str], wish: str) -> str:
        return self.builder.op("MaxPool", values, wish, **window)

    return _in_floats(self, name, x, largest) if self.integers else largest(x, name)


def _repeat(self: Layout, name: str, node: Repeat, x: list[str], front: int) -> str:
    """Copies side by side, axis by axis: each index as often as it counts."""
    (value,) = x
    source = self.graph.input_shape(name)
    axes = [axis for axis, count in enumerate(node.counts) if count > 1]
    for axis in axes:
        places = self.builder.constant(np.repeat(np.arange(source[axis]), node.counts[axis]), np.int64, "places")
        wish = name if axis == axes[-1] else f"{name}/repeated"
        value = self.builder.op("Gather", [value, places], wish, axis=axis + front)
    return value if axes else self.builder.op("Identity", x, name)


def _reshape(self: Layout, name: str, node: Reshape, x: list[str], front: int) -> str:
    """The axes of time and batch stay (a 0 in ONNX's shape copies an axis)."""
    (value,) = x
    if node.order != tuple(range(len(node.order))):
        order = [*range(front), *(axis + front for axis in node.order)]
        value = self.builder.op("Transpose", [value], f"{name}/ordered", perm=order)
    shape = self.builder.constant([*(0,) * front, *node.shape], np.int64, "shape")
    return self.builder.op("Reshape", [value, shape], name)


def _slice(self: Layout, name: str, node: Slice, x: list[str], front: int) -> str:
    ends = (self.builder.constant([n], np.int64, "index") for n in (node.start, node.stop, node.axis + front))
    return self.builder.op("Slice", [*x, *ends], name)


def _step_affine(self: Layout, name: str, node: StepAffine, x: list[str], front: int) -> str:
    shape = self.graph.shapes[name]
    rows = {key: schedule_over_neurons(getattr(node, key), shape)[:, None] for key in node.schedules}
    gain, bias = (self.at(self.array(name, key, value)) for key, value in rows.items())
    return self.builder.op("Add", [self.builder.op("Mul", [*x, gain], f"{name}/times"), bias], name)


def _sum(self: Layout, name: str, node: Sum, x: list[str], front: int) -> str:
    axes = self.builder.constant([axis + front for axis in node.axes], np.int64, "axes")
    return self.builder.op("ReduceSum", [*x, axes], name, keepdims=1)


#: of an operation with the values ``x``, whose features begin behind ``front`` axes, the name of what leaves it
RULES: dict[type[Operation], Callable[[Layout, str, Any, list[str], int], str]] = {
    Concat: _concat,
    Dilate: _dilate,
    Gate: _gate,
    MatMul: _matmul,
    Maximum: _maximum,
    Repeat: _repeat,
    Reshape: _reshape,
    Slice: _slice,
    StepAffine: _step_affine,
    Sum: _sum,
}
