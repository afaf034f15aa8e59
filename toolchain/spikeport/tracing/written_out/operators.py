"""ONNX operators as the torch functions that they are, so that a model of another tool runs, and can be followed.

A rule gets an operator's inputs, None where one is left out, and its attributes, and gives its outputs. Shapes and axes
are tensors of whole numbers, as in the model. Source: the operators' reference of ONNX, opsets 11 to 21.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out import forms, layers, resizing
from spikeport.tracing.written_out.operator import Operator, Rule


def _both(function: Callable[[Any, Any], Any]) -> Rule:
    return lambda op: function(op.at(0), op.at(1))


def _alone(function: Callable[[Any], Any]) -> Rule:
    return lambda op: function(op.x)


def _several(function: Callable[[Any, Any], Any]) -> Rule:
    def rule(op: Operator) -> Tensor:
        total = op.x
        for place in range(1, len(op.inputs)):
            total = function(total, op.at(place))
        return total

    return rule


def _cast(op: Operator) -> Tensor:
    kinds = {1: op.real, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
    if op.get("to") not in kinds:
        raise Unsupported(f"casts to ONNX's type {op.get('to')}")
    return op.x.to(kinds[op.get("to")])


def _clip(op: Operator) -> Tensor:
    low, high = (op.optional(place) if op.opset >= 11 else op.get(name) for place, name in ((1, "min"), (2, "max")))
    bounds = [None if bound is None else float(bound) for bound in (low, high)]
    return op.x if bounds == [None, None] else torch.clamp(op.x, *bounds)


def _dropout(op: Operator) -> Tensor:
    training = op.optional(2)
    if training is not None and bool(training):
        raise Unsupported("drops values at random, as in training")
    return op.x


def _over_classes(function: Callable[..., Tensor]) -> Rule:
    def rule(op: Operator) -> Tensor:
        axis = op.get("axis", 1 if op.opset < 13 else -1)
        if op.opset < 13 and axis not in (-1, op.x.ndim - 1):
            raise Unsupported(f"runs over all axes from {axis} on, as opsets before 13 have it")
        return function(op.x, axis)

    return rule


def _argmax(op: Operator) -> Tensor:
    if op.get("select_last_index", 0):
        raise Unsupported("takes the last of several that are largest")
    return torch.argmax(op.x, op.get("axis", 0), bool(op.get("keepdims", 1)))


def _reduce(function: Callable[..., Tensor]) -> Rule:
    def rule(op: Operator) -> Tensor:
        axes = op.whole(1, "axes")
        if not axes and op.get("noop_with_empty_axes", 0):
            return op.x
        return function(op.x, dim=tuple(axes or range(op.x.ndim)), keepdim=bool(op.get("keepdims", 1)))

    return rule


def _divided(a: Tensor, b: Tensor) -> Tensor:
    """Whole numbers are divided towards zero."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


#: operators whose output has the shape of their largest input
ELEMENTWISE = frozenset(
    ["Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mul", "Or", "Sub"]
) | {"Sum", "Where", "Xor"}

RULES: Mapping[str, Rule] = {
    **layers.RULES,
    **forms.RULES,
    **resizing.RULES,
    "Abs": _alone(torch.abs),
    "Add": _both(torch.add),
    "And": _both(torch.logical_and),
    "ArgMax": _argmax,
    "Cast": _cast,
    "CastLike": lambda op: op.x.to(op.at(1).dtype),
    "Ceil": _alone(torch.ceil),
    "Clip": _clip,
    "Concat": lambda op: torch.cat([op.at(place) for place in range(len(op.inputs))], op.get("axis")),
    "Div": _both(_divided),
    "Dropout": _dropout,
    "Equal": _both(torch.eq),
    "Exp": _alone(torch.exp),
    "Floor": _alone(torch.floor),
    "Greater": _both(torch.gt),
    "GreaterOrEqual": _both(torch.ge),
    "Identity": _alone(lambda x: x),
    "Less": _both(torch.lt),
    "LessOrEqual": _both(torch.le),
    "Log": _alone(torch.log),
    "LogSoftmax": _over_classes(torch.log_softmax),
    "MatMul": _both(torch.matmul),
    "Max": _several(torch.maximum),
    "Min": _several(torch.minimum),
    "Mul": _both(torch.mul),
    "Neg": _alone(torch.neg),
    "Not": _alone(torch.logical_not),
    "Or": _both(torch.logical_or),
    "Pow": _both(torch.pow),
    "Reciprocal": _alone(torch.reciprocal),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _alone(torch.relu),
    "Sigmoid": _alone(torch.sigmoid),
    "Sign": _alone(torch.sign),
    "Softmax": _over_classes(torch.softmax),
    "Sqrt": _alone(torch.sqrt),
    "Mod": lambda op: (torch.fmod if op.get("fmod", 0) else torch.remainder)(op.x, op.at(1)),
    "Sub": _both(torch.sub),
    "Sum": _several(torch.add),
    "Tanh": _alone(torch.tanh),
    "Transpose": lambda op: op.x.permute(*op.get("perm", list(reversed(range(op.x.ndim))))),
    "Where": lambda op: torch.where(op.at(0), op.at(1), op.at(2)),
    "Xor": _both(torch.logical_xor),
}
