"""What lifting an ONNX model needs at every operator: the values so far, constants, and how to add a node."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx.layout import Form
from spikeport.graph import Array, Node, Operation, Scale, Shape


@dataclass(frozen=True)
class Lifted:
    """A value: the nodes whose sum it is, and how it lies in its tensor."""

    sources: tuple[str, ...]
    form: Form
    shape: Shape


LARGEST_LAYER = 2**26  #: values that leave an operator at one step, of one sample


def attributes(operator: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of an operator."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in operator.attribute}


class UnsupportedError(Exception):
    """An operator, or a use of one, that has no place in a Graph."""


def symmetric(pads: list[int], axes: int) -> tuple[int, ...]:
    """ONNX's padding [begins, ends] as one number an axis."""
    if list(pads[:axes]) != list(pads[axes:]):
        raise UnsupportedError(f"pads {list(pads)} unevenly")
    return tuple(pads[:axes])


def sane(shape: Shape) -> None:
    """Refuse a layer of a size that only a damaged or hostile model claims."""
    if not shape or min(shape) < 1 or math.prod(shape) > LARGEST_LAYER:
        raise UnsupportedError(f"claims values of shape {list(shape)}")


@dataclass
class Draft:
    """One model on its way to a Graph."""

    model: onnx.ModelProto
    constants: dict[str, Array]
    values: dict[str, Lifted] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    lengths: set[int] = field(default_factory=set)  #: lengths of all schedules
    done: set[str] = field(default_factory=set)  #: operators that were taken together with another
    weights: dict[str, Array] = field(default_factory=dict)  #: what a readout weighs values by, step by step
    padded: dict[str, tuple[Lifted, tuple[tuple[int, int], ...]]] = field(default_factory=dict)  #: before `Dilate`
    biases: dict[str, Array] = field(default_factory=dict)  #: nodes that only add a constant
    double: bool = False  #: whether the values are float64
    after_end: Literal["error", "hold", "cycle"] = "error"  #: how schedules go on where the model runs more steps

    @property
    def steps(self) -> int:
        """Number of timesteps; 1 where there is no schedule."""
        return next(iter(self.lengths), 1)

    def x(self, operator: onnx.NodeProto) -> Lifted:
        """The first input, which must be a value."""
        if operator.input[0] not in self.values:
            raise UnsupportedError("its first input is a constant")
        return self.values[operator.input[0]]

    def array(self, operator: onnx.NodeProto, index: int) -> Array:
        """An input that must be a constant."""
        if operator.input[index] not in self.constants:
            raise UnsupportedError(f"input {index} is not a constant")
        return self.constants[operator.input[index]]

    def integers(self, operator: onnx.NodeProto, index: int) -> list[int]:
        """An input that must be a constant list of whole numbers."""
        value = self.array(operator, index)
        if value.ndim > 1 or value.dtype.kind not in "iu":
            raise UnsupportedError(f"input {index} is no list of whole numbers")
        return [int(n) for n in value.reshape(-1)]

    def put(self, operator: onnx.NodeProto, node: Node, x: Lifted, form: Form | None = None) -> None:
        """One node, fed by all sources of ``x``."""
        name = self.free(operator.name or operator.output[0])
        shape = node.output_shape(x.shape)
        sane(shape)
        self.nodes[name] = node
        self.edges += [(source, name) for source in x.sources]
        self.values[operator.output[0]] = Lifted((name,), form or x.form, shape)

    def join(self, operator: onnx.NodeProto, build: Callable[[tuple[str, ...]], Operation], x: list[Lifted]) -> None:
        """One node of several operands, each the sum of its sources."""
        if len({value.form for value in x}) > 1:
            raise UnsupportedError("joins values of different layouts of time")
        name = self.free(operator.name or operator.output[0])
        operands = tuple(self._one(value, f"{name}/{place}") for place, value in enumerate(x))
        node = build(operands)
        shape = node.output_shape(*(value.shape for value in x))
        sane(shape)
        self.nodes[name] = node
        self.edges += [(operand, name) for operand in dict.fromkeys(operands)]
        self.values[operator.output[0]] = Lifted((name,), x[0].form, shape)

    def _one(self, x: Lifted, wish: str) -> str:
        """The node that a value is; a factor of 1 where several add up to it."""
        if len(x.sources) == 1:
            return x.sources[0]
        name = self.free(wish)
        self.nodes[name] = Scale(np.asarray(1.0, np.float32))
        self.edges += [(source, name) for source in x.sources]
        return name

    def free(self, wish: str) -> str:
        """A name that no node has."""
        while wish in self.nodes:
            wish += "_"
        return wish

    def front(self, operator: onnx.NodeProto) -> int:
        """How many axes stand before the features of an operator's first input: batch, or time and batch."""
        return 2 if self.x(operator).form == "time" else 1

    def scheduled(self, constant: Array, x: Lifted) -> bool:
        """Whether a constant has an entry for each step of ``x``, [T, 1, ...]."""
        rank = len(x.shape) + 2
        return x.form == "time" and constant.ndim == rank and constant.shape[:2] == (self.steps, 1) and self.steps > 1

    def schedule(self, constant: Array, x: Lifted) -> Array:
        """Such a constant as [T], [T, C] or [T, *shape]."""
        rows = [self.over_channels(row, x) for row in constant]
        return np.stack(rows)

    def consumers(self, name: str) -> int:
        """How many operators and outputs take a value."""
        graph = self.model.graph
        return int(sum(list(node.input).count(name) for node in graph.node) + sum(o.name == name for o in graph.output))

    def over_channels(self, value: Array, x: Lifted) -> Array:
        """A constant that broadcasts over a value's tensor, as [], [C] or one a neuron."""
        value = np.asarray(value)
        if value.size == 1:
            return value.reshape(())
        trimmed = (
            value.reshape(value.shape[max(0, value.ndim - len(x.shape)) :]) if value.ndim > len(x.shape) else value
        )
        lead = value.shape[: value.ndim - trimmed.ndim]
        full = (1,) * (len(x.shape) - trimmed.ndim) + trimmed.shape
        if any(n != 1 for n in lead):
            raise UnsupportedError(f"a constant of shape {value.shape} varies over time or batch")
        if x.shape and full == (x.shape[0], *(1,) * (len(x.shape) - 1)):
            return trimmed.reshape(x.shape[0])
        return np.broadcast_to(trimmed, x.shape)


Rule = Callable[[Draft, onnx.NodeProto], None]  #: one operator on values as nodes of a graph
