"""Collects the parts of an ONNX graph: nodes, initialisers, functions, and names that nobody else has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from spikeport.graph import Array

OPSET = 17  #: the newest that IR version 8 carries; everything used here is older
IR_VERSION = 8  #: the first with model-local functions
DOMAIN = "spikeport.snn"
DOMAIN_VERSION = 1


@dataclass
class Builder:
    """One graph in the making."""

    dtype: np.dtype[Any]  #: of the values between the nodes
    hollow: bool = False  #: leave out the data of the network's own arrays, to compare structures
    apart: dict[str, Array] | None = None  #: or put them here by initialiser, for `file.save`: a copy less
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    model: onnx.ModelProto = field(default_factory=onnx.ModelProto)  #: filled in place: a copy would double the weights
    functions: dict[str, onnx.FunctionProto] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    constants: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def name(self, wish: str) -> str:
        """``wish``, or with a number where that is taken."""
        choice, count = wish or "_", 1
        while choice in self.names:
            count += 1
            choice = f"{wish or '_'}_{count}"
        self.names.add(choice)
        return choice

    def op(
        self, kind: str, inputs: Sequence[str], output: str, *, domain: str = "", exact: bool = False, **attributes: Any
    ) -> str:
        """Append a node and return its output: called ``output`` itself where ``exact`` (a reserved name)."""
        name = output if exact else self.name(output)
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, value: Any, dtype: Any = None, wish: str = "constant") -> str:
        """A small constant, stored once."""
        array = np.asarray(value, dtype or self.dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = self._store(array, wish)
        return self.constants[key]

    def default(self, name: str, value: Array) -> str:
        """An input of the model that has a value where nobody gives one."""
        self.names.add(name)
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def array(self, value: Array, wish: str, dtype: np.dtype[Any]) -> tuple[str, str]:
        """An array of the network, to the bit: its initialiser, and the same in another type."""
        stored = self._store(value, wish, hollow=self.hollow or self.apart is not None)
        if self.apart is not None:
            self.apart[stored] = value
        return stored, stored if value.dtype == dtype else self.cast(stored, dtype, f"{wish}/cast")

    def cast(self, name: str, dtype: Any, wish: str) -> str:
        """The same values in another type."""
        return self.op("Cast", [name], wish, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _store(self, array: Array, wish: str, *, hollow: bool = False) -> str:
        tensor = self.model.graph.initializer.add(name=self.name(wish), dims=array.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        if not hollow:
            tensor.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return str(tensor.name)
