"""What follows from the sizes of an ONNX model's input alone: how often a loop runs, and which branch is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
import torch
from torch import Tensor

from spikeport.graph import Array
from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.operator import sane
from spikeport.tracing.written_out.operators import RULES
from spikeport.tracing.written_out.prepared import constant, known, prepared

Values = dict[str, Tensor]


class OpenAxisError(Exception):
    """What was asked for follows from an axis of the input whose size the file leaves open."""

    def __init__(self, axis: int) -> None:
        super().__init__(axis)
        self.axis = axis


class Sizes:
    """The operators of a model so far, run on zeros for what depends on constants and sizes alone.

    Axes that the file leaves open are 1, and one after another 2: what is not the same then depends on them.
    """

    def __init__(self, inputs: Sequence[onnx.ValueInfoProto], arrays: Mapping[str, Array], opset: int) -> None:
        self.opset = opset
        self.depending = {info.name for info in inputs}  #: values that depend on values of the input
        self.made_by: dict[str, tuple[int, onnx.NodeProto]] = {}
        self.open = [axis for axis, size in enumerate(sizes_of(inputs[0])) if size is None]
        self.runs: list[Values] = []  #: what is known of each choice of open sizes
        for larger in (None, *self.open):
            self.runs.append({info.name: _zeros(info, larger) for info in inputs})
        for name, array in arrays.items():
            self.hold(name, array)

    def hold(self, name: str, array: Array) -> None:
        """A constant."""
        held = torch.from_numpy(np.array(array))
        for values in self.runs:
            values[name] = held

    def add(self, operator: onnx.NodeProto) -> None:
        """One more operator, behind those that make its inputs."""
        place = len(self.made_by)
        self.made_by |= dict.fromkeys(operator.output, (place, operator))
        if operator.op_type != "Shape" and self.depending.intersection(operator.input):
            self.depending.update(operator.output)

    def value(self, name: str) -> Tensor:
        """A value that no value of the input changes. Raises `OpenAxisError`, and `Unsupported` for one that does."""
        if name in self.depending:
            raise Unsupported("goes by values of the input")
        return self._same(self._made(name, values) for values in self.runs)

    def length(self, name: str, axis: int) -> int:
        """The size of a value along an axis. Raises `OpenAxisError`."""
        shapes = (self._made(name, values).shape for values in self.runs)
        return int(self._same(torch.tensor(shape[axis]) for shape in shapes))

    def _same(self, found: Iterable[Tensor]) -> Tensor:
        first, *others = found
        for axis, other in zip(self.open, others, strict=True):
            if not torch.equal(first, other):
                raise OpenAxisError(axis)
        return first

    def _made(self, name: str, values: Values) -> Tensor:
        """Run what a value needs, and keep all of it."""
        needed, waiting = {}, [name]
        while waiting:
            here = waiting.pop()
            if here and here not in values and here in self.made_by:
                place, operator = self.made_by[here]
                if place not in needed:
                    needed[place] = operator
                    waiting += operator.input
        for _, operator in sorted(needed.items(), key=lambda each: each[0]):
            known(operator)
            if operator.op_type == "Constant":
                made = constant(operator)
            else:
                made = RULES[operator.op_type](prepared(operator, values, self.opset, torch.float32))
            parts = made if isinstance(made, tuple | list) else (made,)
            values |= dict(zip(operator.output, parts, strict=False))
        return values[name]


def _zeros(info: onnx.ValueInfoProto, larger: int | None) -> Tensor:
    sizes = [size or 1 + (axis == larger) for axis, size in enumerate(sizes_of(info))]
    kind = torch.float64 if info.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE else torch.float32
    return torch.zeros(sane(sizes), dtype=kind)


def sizes_of(info: onnx.ValueInfoProto) -> list[int | None]:
    """The sizes of an input or output; None where the file leaves one open."""
    dims = info.type.tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims]
