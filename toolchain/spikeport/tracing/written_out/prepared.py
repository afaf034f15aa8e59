"""An operator of an ONNX model made ready for the rule that it runs by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from torch import Tensor

from spikeport.formats.onnx.draft import attributes
from spikeport.formats.onnx.tensor import array
from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.names import label
from spikeport.tracing.written_out.operator import Operator, require_room
from spikeport.tracing.written_out.operators import ELEMENTWISE, RULES

STANDARD = ("", "ai.onnx")


class NamedError(Unsupported):
    """What is wrong with an operator, which it names."""

    def __init__(self, operator: onnx.NodeProto, what: str, kind: str = "") -> None:
        super().__init__(f"operator {label(operator)!r}: {kind or operator.op_type} {what}")


def prepared(operator: onnx.NodeProto, values: Mapping[str, Tensor], opset: int, real: torch.dtype) -> Operator:
    """Its inputs out of ``values``, and its attributes. Raises `Unsupported` where it would make too many values."""
    said = attributes(operator)
    if isinstance(said.get("value"), onnx.TensorProto):  # of ConstantOfShape
        said["value"] = torch.from_numpy(np.array(array(said["value"], "a constant")).reshape(-1)[:1])
    inputs = [values[name] if name else None for name in operator.input]
    require_room(operator.op_type, inputs, broadcasts=operator.op_type in {*ELEMENTWISE, "Pow"})
    return Operator(inputs, said, len(operator.output), opset, real)


def constant(operator: onnx.NodeProto) -> Tensor:
    """The values of a Constant."""
    (value,) = attributes(operator).values()
    if isinstance(value, onnx.TensorProto):
        return torch.from_numpy(np.array(array(value, f"the value of the constant {operator.output[0]!r}")))
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "if":
        raise Unsupported(f"the constant {operator.output[0]!r} holds no numbers")
    return torch.from_numpy(numbers.astype(np.float32 if numbers.dtype.kind == "f" else np.int64))


def known(operator: onnx.NodeProto) -> None:
    """Raise `Unsupported` for an operator without a rule."""
    if operator.domain not in STANDARD or operator.op_type not in (*RULES, "Constant"):
        kind = operator.op_type if operator.domain in STANDARD else f"{operator.domain}.{operator.op_type}"
        raise NamedError(operator, "has no place in a spiking graph", kind)
