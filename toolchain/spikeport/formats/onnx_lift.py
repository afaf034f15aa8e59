"""ONNX models that are not ours any more, or never were: ordinary operators around our neuron functions, as a Graph.

A value is followed with its sample's shape and its place for time: still [B, ...], flat [T * B, ...] or [T, B, ...].
What only moves between these leaves no node. Every operator that has no place in a Graph is named at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.formats import onnx_neuron
from spikeport.formats.onnx_build import DOMAIN
from spikeport.formats.onnx_values import Form
from spikeport.graph import (
    LIF,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    Norm,
    Pool,
    Readout,
    Real,
    Scale,
    Shape,
)


@dataclass(frozen=True)
class Lifted:
    """A value: the nodes whose sum it is, and how it lies in its tensor."""

    sources: tuple[str, ...]
    form: Form
    shape: Shape


class UnsupportedError(Exception):
    """An operator, or a use of one, that has no place in a Graph."""


def lift(model: onnx.ModelProto, arrays: Mapping[str, Array], where: str) -> Graph:
    """The graph of a model. Raises SP251 with every operator that it cannot hold, SP250 for what makes no sense."""
    work = Lifting(model, dict(arrays))
    try:
        graph = work.run()
    except SpikeportError as error:
        if error.code == "SP251":
            raise SpikeportError(replace(found, where=f"{where}, {found.where}") for found in error.findings) from None
        fail("SP250", f"its operators do not make a network ({error.findings[0].what})", where=where)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        fail("SP250", f"its operators do not fit together ({type(error).__name__}: {error})", where=where)
    return graph


@dataclass
class Lifting:
    """One model on its way to a Graph."""

    model: onnx.ModelProto
    constants: dict[str, Array]
    values: dict[str, Lifted] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    lengths: set[int] = field(default_factory=set)  #: lengths of all schedules
    done: set[str] = field(default_factory=set)  #: operators that were taken together with another
    weights: dict[str, Array] = field(default_factory=dict)  #: values that a readout weights over time, [T]
    biases: dict[str, Array] = field(default_factory=dict)  #: nodes that only add a constant

    def run(self) -> Graph:
        """Lift every operator in order."""
        self._enter()
        calls = [node for node in self.model.graph.node if node.domain == DOMAIN and len(node.input) > 2]
        self.lengths |= {len(self.constants[call.input[2]]) for call in calls if call.input[2] in self.constants}
        if len(self.lengths) > 1:
            fail("SP250", f"its schedules have different lengths: {sorted(self.lengths)}")
        findings = []
        for operator in self.model.graph.node:
            try:
                self._lift(operator)
            except UnsupportedError as error:
                kind = f"{operator.domain}.{operator.op_type}" if operator.domain else operator.op_type
                where = f"operator {operator.name or operator.output[0]!r}"
                mend = f"use spikeport.snn functions and {', '.join(sorted(RULES))}"
                findings.append(Finding("SP251", f"{kind}: {error}", where, mend=mend))
        if findings:
            raise SpikeportError(findings)
        return self._graph()

    def _graph(self) -> Graph:
        kinds = {np.dtype(helper.tensor_dtype_to_np_dtype(self.model.graph.input[0].type.tensor_type.elem_type))}
        double = kinds == {np.dtype(np.float64)}
        end = self.values[self.model.graph.output[0].name]
        if len(end.sources) > 1 or any(a == end.sources[0] for a, _ in self.edges):
            self.nodes["output"] = Scale(np.asarray(1.0, np.float32))
            self.edges += [(source, "output") for source in end.sources]
        return Graph(self.nodes, tuple(self.edges), self.steps, Real("float64" if double else "float32"),
                     provenance={"format": "onnx", "producer": self.model.producer_name})  # fmt: skip

    @property
    def steps(self) -> int:
        """Number of timesteps; 1 where there is no schedule."""
        return next(iter(self.lengths), 1)

    def _enter(self) -> None:
        inputs = [info for info in self.model.graph.input if info.name not in self.constants]
        if len(inputs) != 1:
            fail("SP250", f"the model has {len(inputs)} inputs, a network has one")
        dims = inputs[0].type.tensor_type.shape.dim
        fixed = [d.dim_value if d.HasField("dim_value") else None for d in dims]
        if len(fixed) < 2 or None in fixed[2:]:
            fail("SP250", f"the input's shape {fixed} is not known but for the batch")
        events = fixed[0] is not None and fixed[1] is None
        if events:
            self.lengths.add(int(fixed[0] or 0))
        shape = tuple(int(n or 0) for n in fixed[2 if events else 1 :])
        self.nodes["input"] = Input(shape, "events" if events else "direct")
        self.values[inputs[0].name] = Lifted(("input",), "time" if events else "still", shape)

    # -- operators ------------------------------------------------------------------------------------------------

    def _lift(self, operator: onnx.NodeProto) -> None:
        if operator.output[0] in self.done:
            return
        if operator.domain == DOMAIN:
            self._neuron(operator)
            return
        constant = all(name in self.constants for name in operator.input if name)
        table = FOLDED if constant else RULES
        if operator.domain not in ("", "ai.onnx") or operator.op_type not in table:
            raise UnsupportedError("has no place in a spiking graph")
        missing = [name for name in operator.input if name and name not in self.constants and name not in self.values]
        if missing:
            if any(name not in self.done for name in missing):
                return  # behind an operator that was reported already
            raise UnsupportedError(f"needs {missing[0]!r}, which belongs to the readout")
        if constant:
            self.constants[operator.output[0]] = FOLDED[operator.op_type](self, operator)
        else:
            RULES[operator.op_type](self, operator)

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

    def put(self, operator: onnx.NodeProto, node: Node, x: Lifted, form: Form | None = None) -> None:
        """One node, fed by all sources of ``x``."""
        name = operator.name or operator.output[0]
        while name in self.nodes:
            name += "_"
        self.nodes[name] = node
        self.edges += [(source, name) for source in x.sources]
        self.values[operator.output[0]] = Lifted((name,), form or x.form, node.output_shape(x.shape))

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

    def _neuron(self, call: onnx.NodeProto) -> None:
        kind = CubaLIF if call.op_type.startswith("CubaLIF") else LIF
        parts = call.op_type.split("_")
        time = next((part for part in parts if part in ("unroll", "step")), "scan")
        reset = next((part for part in parts if part in ("subtract", "none")), "value")
        if "loihi" in parts or time == "step":
            raise UnsupportedError("only functions of all timesteps in real numbers can be lifted")
        x = self.x(call)
        names = [*onnx_neuron.PARAMETERS, *(["current_decay"] if kind is CubaLIF else [])]
        given = {name: self.array(call, index + 1) for index, name in enumerate(names)}
        threshold = given.pop("threshold")
        reset_to = self.over_channels(given.pop("reset_to"), x)
        values: dict[str, Any] = {name: self.over_channels(value, x) for name, value in given.items()}
        if reset == "value" and not np.any(reset_to):
            reset = "zero"
        elif reset == "value":
            values["reset_value"] = reset_to
        rows = [self.over_channels(row, x) for row in threshold]
        values |= {"reset": reset, "compare": ">" if "above" in parts else ">="}
        node = kind(x.shape, threshold=np.stack(rows), **values)
        found = {function.name: function for function in self.model.functions if function.domain == DOMAIN}
        if found.get(call.op_type) != onnx_neuron.function(node, time):
            raise UnsupportedError("the function of that name is not spikeport's, or was changed")
        name = call.output[0].removeprefix("spikes/") or call.name or "neuron"
        call = helper.make_node(call.op_type, call.input, call.output, name=name)
        self.put(call, node, x, "time")

    def conv(self, operator: onnx.NodeProto) -> None:
        """A convolution with the same padding on both sides."""
        x, weight = self.x(operator), self.array(operator, 1)
        axes = weight.ndim - 2
        a = attributes(operator)
        if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise UnsupportedError("auto_pad is not supported, write the padding as numbers")
        bias = self.array(operator, 2).reshape(-1) if len(operator.input) > 2 and operator.input[2] else None
        padding = symmetric(a.get("pads", [0] * 2 * axes), axes)
        node = Conv(weight, bias, stride=tuple(a.get("strides", [1] * axes)), padding=padding,
                    dilation=tuple(a.get("dilations", [1] * axes)), groups=a.get("group", 1))  # fmt: skip
        self.put(operator, node, x)

    def gemm(self, operator: onnx.NodeProto) -> None:
        """A matrix product with a bias."""
        x, weight, a = self.x(operator), self.array(operator, 1), attributes(operator)
        if a.get("transA", 0) or a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0:
            raise UnsupportedError("transA, alpha and beta must be left as they are by default")
        weight = weight if a.get("transB", 0) else weight.T
        bias = self.array(operator, 2) if len(operator.input) > 2 and operator.input[2] else None
        full = None if bias is None else np.broadcast_to(bias.reshape(-1) if bias.size > 1 else bias, (len(weight),))
        self.put(operator, Linear(weight, full), x)

    def matmul(self, operator: onnx.NodeProto) -> None:
        """A matrix product with a constant matrix behind."""
        self.put(operator, Linear(self.array(operator, 1).T), self.x(operator))

    def add(self, operator: onnx.NodeProto) -> None:
        """A sum of values, or a bias."""
        first, second = operator.input
        if first in self.values and second in self.values:
            self._sum(operator, self.values[first], self.values[second])
            return
        name, constant = (first, self.constants[second]) if first in self.values else (second, self.constants[first])
        x = self.values[name]
        bias = self.over_channels(constant, x)
        node = self.nodes[x.sources[0]]
        if len(x.sources) == 1 and isinstance(node, Linear | Conv) and node.bias is None and self.consumers(name) == 1 \
                and bias.shape in ((), (node.channels,)):  # fmt: skip
            full = np.broadcast_to(bias, (node.channels,))
            self.nodes[x.sources[0]] = node.with_(bias=full)
            self.values[operator.output[0]] = x
            return
        if bias.ndim > 1:
            raise UnsupportedError("a constant that differs within a channel is added")
        ones = np.ones(x.shape[:1], bias.dtype)
        self.put(operator, Norm(ones, np.broadcast_to(bias, x.shape[:1]), 0 * ones, ones, eps=0.0), x)
        if self.consumers(operator.output[0]) == 1:
            self.biases[self.values[operator.output[0]].sources[0]] = bias

    def _sum(self, operator: onnx.NodeProto, a: Lifted, b: Lifted) -> None:
        if a.shape != b.shape:
            raise UnsupportedError(f"adds values of shapes {a.shape} and {b.shape}")
        form: Form = a.form if a.form == b.form else "time"
        doubled = [source for source in b.sources if source in a.sources]
        extra = []
        for source in doubled:  # x + x: a factor of 2, since an edge counts once
            name = f"{source}.again{len(self.nodes)}"
            self.nodes[name] = Scale(np.asarray(1.0, np.float32))
            self.edges.append((source, name))
            extra.append(name)
        kept = tuple(source for source in b.sources if source not in doubled)
        self.values[operator.output[0]] = Lifted((*a.sources, *kept, *extra), form, a.shape)

    def mul(self, operator: onnx.NodeProto) -> None:
        """A product with a constant."""
        first, second = operator.input
        if first in self.values and second in self.values:
            raise UnsupportedError("multiplies two values; a Graph adds only")
        name, constant = (first, self.constants[second]) if first in self.values else (second, self.constants[first])
        x = self.values[name]
        if x.form == "time" and constant.shape == (self.steps, *(1,) * (len(x.shape) + 1)) and self.steps > 1:
            (taker,) = [node for node in self.model.graph.node if operator.output[0] in node.input] or [operator]
            if taker.op_type != "ReduceSum":
                raise UnsupportedError("weights over time; only a readout does")
            self.weights[operator.output[0]] = constant.reshape(-1)
            self.values[operator.output[0]] = x
            return
        self.put(operator, Scale(self.over_channels(constant, x)), x)

    def batch_norm(self, operator: onnx.NodeProto) -> None:
        """Batch normalisation; `passes.fold_norm` merges it into the synapse before."""
        gamma, beta, mean, var = (self.array(operator, index) for index in range(1, 5))
        eps = float(attributes(operator).get("epsilon", 1e-5))
        self.put(operator, Norm(gamma, beta, mean, var, eps=eps), self.x(operator))

    def average_pool(self, operator: onnx.NodeProto) -> None:
        """An average over windows."""
        x, a = self.x(operator), attributes(operator)
        axes = len(x.shape) - 1
        kernel = tuple(x.shape[1:]) if operator.op_type == "GlobalAveragePool" else tuple(a["kernel_shape"])
        padding = symmetric(a.get("pads", [0] * 2 * axes), axes)
        if any(padding) and not a.get("count_include_pad", 0):
            raise UnsupportedError("leaves the padding out of the average")
        if a.get("ceil_mode", 0) or a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise UnsupportedError("ceil_mode and auto_pad are not supported")
        if any(n != 1 for n in a.get("dilations", [1])):
            raise UnsupportedError("a pool with dilation")
        stride = tuple(a.get("strides", [1] * axes)) if operator.op_type != "GlobalAveragePool" else (1,) * axes
        self.put(operator, Pool("average", kernel, stride, padding), x)

    def flatten(self, operator: onnx.NodeProto) -> None:
        """All axes but the batch into one."""
        x = self.x(operator)
        if attributes(operator).get("axis", 1) != 1 or x.form == "time":
            raise UnsupportedError("flattens the batch, too")
        self.put(operator, Flatten(), x)

    def reshape(self, operator: onnx.NodeProto) -> None:
        """Between forms of time, or all axes into one."""
        x = self.x(operator)
        target = [int(n) for n in self.array(operator, 1)]
        flat = int(np.prod(x.shape, dtype=np.int64))
        steps, own = self.steps, list(x.shape)
        forms: dict[Form, list[list[int]]] = {
            "time": [[steps, -1, *own], [0, 0, *own]],
            x.form if x.form != "time" else "flat": [[-1, *own], [0, *own]] if x.form != "time" else [[-1, *own]],
        }
        for form, shapes in forms.items():
            allowed = form != "time" or x.form in ("flat", "time")
            if target in shapes and allowed:
                self.values[operator.output[0]] = replace(x, form=form)
                return
        if target in ([0, -1], [-1, flat], [0, flat]) and x.form != "time":
            self.put(operator, Flatten(), x)
            return
        raise UnsupportedError(f"gives the shape {target} to values of shape {x.shape}")

    def unsqueeze(self, operator: onnx.NodeProto) -> None:
        """A time axis in front of a still value."""
        axes = self.array(operator, 1).tolist() if len(operator.input) > 1 else attributes(operator).get("axes", [])
        if axes != [0] or self.x(operator).form != "still":
            raise UnsupportedError(f"inserts axes {axes}")
        self.values[operator.output[0]] = replace(self.x(operator), form="time")

    def same(self, operator: onnx.NodeProto) -> None:
        """What changes nothing: Identity, Dropout in inference, Cast between floats, Expand over time."""
        x = self.x(operator)
        if operator.op_type == "Cast":
            raise UnsupportedError("changes the type of values")
        if operator.op_type == "Expand":
            target = [int(n) for n in self.array(operator, 1)]
            if target != [self.steps, *(1,) * (len(x.shape) + 1)] or x.form != "time":
                raise UnsupportedError(f"repeats values to {target}")
        self.values[operator.output[0]] = x

    def slice(self, operator: onnx.NodeProto) -> None:
        """Together with a Pad behind it, a Delay."""
        x = self.x(operator)
        takers = [node for node in self.model.graph.node if operator.output[0] in node.input]
        if len(takers) != 1 or takers[0].op_type != "Pad" or x.form != "time":
            raise UnsupportedError("cuts values; only a shift in time, with a Pad behind, is a Delay")
        pads = [int(n) for n in self.array(takers[0], 1)]
        kept = [self.array(operator, index).tolist() for index in range(1, 4)]
        steps = pads[0]
        rest = [0] * (len(pads) - 1)
        if steps < 1 or pads[1:] != rest or kept != [[0], [self.steps - steps], [0]]:
            raise UnsupportedError("cuts values other than for a Delay")
        self.done.add(takers[0].output[0])
        shifted = helper.make_node("Pad", [operator.input[0]], takers[0].output, name=takers[0].name)
        self.put(shifted, Delay(x.shape, steps), x)

    def reduce(self, operator: onnx.NodeProto) -> None:
        """The sum or mean over time: the readout."""
        x, a = self.x(operator), attributes(operator)
        axes = self.array(operator, 1).tolist() if len(operator.input) > 1 else a.get("axes", [])
        if list(axes) != [0] or x.form != "time" or a.get("keepdims", 1):
            raise UnsupportedError(f"reduces axes {axes}; a readout sums over time (axis 0 of [T, B, ...], keepdims 0)")
        scale = 1.0 / self.steps if operator.op_type == "ReduceMean" else 1.0
        weight = self.weights.get(operator.input[0], np.full(self.steps, scale, np.float32))
        bias = np.asarray(0.0, np.float32)
        if len(x.sources) == 1 and x.sources[0] in self.biases:  # a readout has a bias of its own
            (name,) = x.sources
            bias = self.biases[name]
            del self.nodes[name]
            x = replace(x, sources=tuple(a for a, b in self.edges if b == name))
            self.edges = [edge for edge in self.edges if edge[1] != name]
        self.put(operator, Readout(x.shape, weight, bias), x, "still")


def attributes(operator: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of an operator."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in operator.attribute}


def symmetric(pads: list[int], axes: int) -> tuple[int, ...]:
    """ONNX's padding [begins, ends] as one number an axis."""
    if list(pads[:axes]) != list(pads[axes:]):
        raise UnsupportedError(f"pads {list(pads)} unevenly")
    return tuple(pads[:axes])


RULES: Mapping[str, Callable[[Lifting, onnx.NodeProto], None]] = {
    "Conv": Lifting.conv, "Gemm": Lifting.gemm, "MatMul": Lifting.matmul, "Add": Lifting.add, "Mul": Lifting.mul,
    "BatchNormalization": Lifting.batch_norm, "AveragePool": Lifting.average_pool,
    "GlobalAveragePool": Lifting.average_pool, "Flatten": Lifting.flatten, "Reshape": Lifting.reshape,
    "Unsqueeze": Lifting.unsqueeze, "Identity": Lifting.same, "Dropout": Lifting.same, "Cast": Lifting.same,
    "Expand": Lifting.same, "Slice": Lifting.slice, "ReduceSum": Lifting.reduce, "ReduceMean": Lifting.reduce,
}  # fmt: skip


def _constant(self: Lifting, operator: onnx.NodeProto) -> Array:
    (value,) = attributes(operator).values()
    return np.asarray(onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value)


def _cast(self: Lifting, operator: onnx.NodeProto) -> Array:
    return self.array(operator, 0).astype(helper.tensor_dtype_to_np_dtype(attributes(operator)["to"]))


def _transpose(self: Lifting, operator: onnx.NodeProto) -> Array:
    return np.transpose(self.array(operator, 0), attributes(operator).get("perm"))


def _reshape(self: Lifting, operator: onnx.NodeProto) -> Array:
    return self.array(operator, 0).reshape([int(n) for n in self.array(operator, 1)])


def _identity(self: Lifting, operator: onnx.NodeProto) -> Array:
    return self.array(operator, 0)


def _product(self: Lifting, operator: onnx.NodeProto) -> Array:
    a, b = self.array(operator, 0), self.array(operator, 1)
    if 1 not in (a.size, b.size) and a.shape != b.shape:
        raise UnsupportedError("multiplies constants of different shapes")
    return np.asarray(a * b)


#: operators on constants alone; none makes more data than it takes
FOLDED: Mapping[str, Callable[[Lifting, onnx.NodeProto], Array]] = {
    "Constant": _constant, "Cast": _cast, "Transpose": _transpose, "Reshape": _reshape, "Identity": _identity,
    "Mul": _product,
}  # fmt: skip
