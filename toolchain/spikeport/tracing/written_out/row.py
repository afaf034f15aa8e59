"""The operators of an ONNX model on their way into a row: bodies are written out, with names of their own."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx.tensor import array
from spikeport.graph import Array
from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.prepared import STANDARD, NamedError
from spikeport.tracing.written_out.sizes import Sizes
from spikeport.tracing.written_out.tidy import MOST_OPERATORS

Named = str | tuple[str, ...]  #: what a name of a body stands for outside of it: a value, or a list of some
Names = ChainMap[str, Named]


class Row:
    """The operators of a model on their way into a row."""

    def __init__(
        self,
        model: onnx.ModelProto,
        inputs: Sequence[onnx.ValueInfoProto],
        arrays: Mapping[str, Array],
        rules: Mapping[str, RowRule],
    ) -> None:
        self.model, self.inputs, self.arrays, self.rules = model, inputs, dict(arrays), rules
        self.opset = next((each.version for each in model.opset_import if each.domain in STANDARD), 17)
        self.sizes = Sizes(inputs, arrays, self.opset)
        self.operators: list[onnx.NodeProto] = []
        taken = [run for name in _names(model.graph) for run in re.findall("@+", name)]
        self.mark = max(taken, default="") + "@"  #: which no name has
        self.made = 0  #: names of our own

    def written(self) -> tuple[onnx.ModelProto, Mapping[str, Array]]:
        """The model, and its arrays."""
        names: Names = ChainMap()
        self.body(self.model.graph.node, names, top=True)
        for info in self.model.graph.output:
            if info.name in names:
                self.append(onnx.NodeProto(op_type="Identity", input=[self.one(info.name, names)], output=[info.name]))
        whole = onnx.ModelProto(opset_import=self.model.opset_import)
        for field, given in (("input", self.inputs), ("output", self.model.graph.output), ("node", self.operators)):
            getattr(whole.graph, field).extend(given)
        return whole, self.arrays

    def body(self, operators: Iterable[onnx.NodeProto], names: Names, *, top: bool = False) -> None:
        """Operators of a body, whose outputs get names of their own; at the ``top`` they keep theirs."""
        for operator in operators:
            if operator.op_type in self.rules and operator.domain in STANDARD:
                self.written_out(operator, names)
                continue
            copy = onnx.NodeProto()
            copy.CopyFrom(operator)
            copy.input[:] = [self.one(name, names) for name in operator.input]
            if not top:
                copy.output[:] = [name and self.free(name) for name in operator.output]
                names.update(zip(operator.output, copy.output, strict=True))
            self.append(copy)

    def written_out(self, operator: onnx.NodeProto, names: Names) -> None:
        """An operator that has a body, or that makes or takes a list."""
        try:
            self.rules[operator.op_type](self, operator, names)
        except NamedError:  # of an operator within
            raise
        except Unsupported as reason:
            raise NamedError(operator, str(reason)) from None

    def append(self, operator: onnx.NodeProto) -> None:
        """One operator more."""
        if len(self.operators) >= MOST_OPERATORS:
            raise Unsupported(f"makes more than {MOST_OPERATORS:,} operators")
        self.operators.append(operator)
        self.sizes.add(operator)

    def op(self, like: onnx.NodeProto, kind: str, inputs: Sequence[str], **said: Any) -> str:
        """One more operator, which an operator of the model is written out as; what it is called."""
        output = self.free(like.output[0])
        self.append(helper.make_node(kind, inputs, [output], like.name, **said))
        return output

    def free(self, name: str) -> str:
        """A name that no value of the model has."""
        self.made += 1
        return f"{self.mark}{self.made} {name}"

    def constant(self, value: Any) -> str:
        """A constant of our own, held once."""
        held = np.asarray(value, np.int64 if not isinstance(value, bool) else np.bool_)
        return self.hold(f"{self.mark} {held.dtype} {held.tolist()}", held)

    def hold(self, name: str, values: Array) -> str:
        """A constant under this name."""
        if name not in self.arrays:
            self.arrays[name] = values
            self.sizes.hold(name, values)
        return name

    def held(self, graph: onnx.GraphProto) -> dict[str, Named]:
        """The initialisers of a body, under their own names where those are free."""
        names: dict[str, Named] = {}
        for tensor in graph.initializer:
            taken = tensor.name in self.arrays or tensor.name in self.sizes.made_by
            name = self.free(tensor.name) if taken else tensor.name
            names[tensor.name] = self.hold(name, array(tensor, f"the constant {tensor.name!r} of a body"))
        return names

    def one(self, name: str, names: Names) -> str:
        """What a name stands for, which is one value."""
        found = names.get(name, name)
        if not isinstance(found, str):
            raise Unsupported(f"takes the list {name!r} for a value")
        return found

    def several(self, name: str, names: Names) -> tuple[str, ...]:
        """What a name stands for, which is a list."""
        found = names.get(name, name)
        if isinstance(found, str):
            raise Unsupported(f"takes {name!r}, which is no list that the model makes")
        return found

    def index(self, name: str, names: Names) -> int:
        """A whole number that follows from sizes."""
        return int(self.sizes.value(self.one(name, names)))

    def stacked(self, like: onnx.NodeProto, parts: Sequence[str], axis: int) -> str:
        """Values beside each other along a new axis."""
        if not parts:
            raise Unsupported("stacks no values: it runs no time")
        return self.op(like, "Concat", [self.op(like, "Unsqueeze", [part], axes=[axis]) for part in parts], axis=axis)


RowRule = Callable[[Row, onnx.NodeProto, Names], None]  #: writes one operator out


def _names(graph: onnx.GraphProto) -> Iterable[str]:
    """Every name of a graph and of the bodies in it."""
    for many in (graph.input, graph.output, graph.initializer):
        yield from (each.name for each in many)
    for operator in graph.node:
        yield from (*operator.input, *operator.output)
        for attribute in operator.attribute:
            yield from _names(attribute.g)
