"""ONNX operators as nodes of a Graph, one function an operator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx import lift_shapes, lift_time, neuron_functions
from spikeport.formats.onnx.builder import DOMAIN
from spikeport.formats.onnx.draft import Draft, Lifted, Rule, UnsupportedError, attributes, symmetric
from spikeport.formats.onnx.layout import Form
from spikeport.graph import LIF, Array, Conv, Dilate, Gate, Linear, MatMul, Maximum, Norm, Pool, Scale, StepAffine

MOST_REPEATED = 2**24  #: numbers of a schedule that is written out from fewer


def neuron(work: Draft, call: onnx.NodeProto) -> None:
    """A call to one of our functions, if it still computes what its name says."""
    parts = call.op_type.split("_")
    kind = next((each for each in neuron_functions.STATES if each.__name__ == parts[0]), LIF)
    time = next((part for part in parts if part in ("unroll", "step")), "scan")
    reset = next((part for part in parts if part in ("subtract", "none")), "value")
    if {"loihi", "xylo"} & set(parts) or time == "step":
        raise UnsupportedError("only functions of all timesteps in real numbers can be lifted")
    x = work.x(call)
    names = [*neuron_functions.PARAMETERS, *neuron_functions.further(kind, bounded="bounded" in parts)]
    arrays = {name: work.array(call, index + 1) for index, name in enumerate(names)}
    threshold = arrays.pop("threshold")
    reset_to = work.over_channels(arrays.pop("reset_to"), x)
    values: dict[str, Any] = {name: work.over_channels(value, x) for name, value in arrays.items()}
    if reset == "value" and not np.any(reset_to):
        reset = "zero"
    elif reset == "value":
        values["reset_value"] = reset_to
    total = len(threshold) * int(np.prod(x.shape, dtype=np.int64))
    if threshold.size not in (len(threshold), len(threshold) * x.shape[0]) and threshold.size < total > MOST_REPEATED:
        raise UnsupportedError("a threshold that repeats itself along some axes; give one a channel or one a neuron")
    rows = [work.over_channels(row, x) for row in threshold]
    often = re.search(r"_up_to_(\d+)", call.op_type)
    most = int(often[1]) if often else 1
    values |= {"reset": reset, "compare": ">" if "above" in parts else ">=", "most_spikes": most}
    node = kind(x.shape, threshold=np.stack(rows), **values)
    functions = {function.name: function for function in work.model.functions if function.domain == DOMAIN}
    dtype = np.dtype(np.float64 if work.double else np.float32)
    ours = [neuron_functions.function(node, time, dtype, old=old) for old in (False, True)]
    if functions.get(call.op_type) not in ours:
        raise UnsupportedError("the function of that name is not spikeport's, or was changed")
    name = call.output[0].removeprefix("spikes/").removeprefix("membranes/") or call.name or "neuron"
    call = helper.make_node(call.op_type, call.input, call.output, name=name)
    work.put(call, node, x, "time")


def conv(work: Draft, operator: onnx.NodeProto) -> None:
    """A convolution with the same padding on both sides."""
    x, weight = work.x(operator), work.array(operator, 1)
    axes = weight.ndim - 2
    a = attributes(operator)
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise UnsupportedError("auto_pad is not supported, write the padding as numbers")
    bias = work.array(operator, 2).reshape(-1) if len(operator.input) > 2 and operator.input[2] else None
    padding = symmetric(a.get("pads", [0] * 2 * axes), axes)
    node = Conv(
        weight,
        bias,
        stride=tuple(a.get("strides", [1] * axes)),
        padding=padding,
        dilation=tuple(a.get("dilations", [1] * axes)),
        groups=a.get("group", 1),
    )
    work.put(operator, node, x)


def conv_transpose(work: Draft, operator: onnx.NodeProto) -> None:
    """Zeros between values and a convolution whose kernel is turned round (`Dilate`)."""
    x, weight, a = work.x(operator), work.array(operator, 1), attributes(operator)
    axes, groups = weight.ndim - 2, a.get("group", 1)
    if a.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in a:
        raise UnsupportedError("auto_pad and output_shape are not supported, write the padding as numbers")
    padding, stride = symmetric(a.get("pads", [0] * 2 * axes), axes), tuple(a.get("strides", [1] * axes))
    dilation, after = tuple(a.get("dilations", [1] * axes)), tuple(a.get("output_padding", [0] * axes))
    turned = np.flip(weight.reshape(groups, -1, *weight.shape[1:]), tuple(range(3, axes + 3))).swapaxes(1, 2)
    kernel = turned.reshape(-1, *turned.shape[2:])
    around = tuple(d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], padding, strict=True))
    if min(around) < 0:
        raise UnsupportedError(f"pads {list(padding)}, more than its kernel reaches")
    bias = work.array(operator, 2).reshape(-1) if len(operator.input) > 2 and operator.input[2] else None
    spread = helper.make_node("Dilate", operator.input[:1], [f"{operator.output[0]}/spread"])
    work.put(spread, Dilate(stride, after), x)
    node = Conv(kernel, bias, stride=(1,) * axes, padding=around, dilation=dilation, groups=groups)
    work.put(operator, node, work.values[spread.output[0]])


def gemm(work: Draft, operator: onnx.NodeProto) -> None:
    """A matrix product with a bias."""
    x, weight, a = work.x(operator), work.array(operator, 1), attributes(operator)
    if a.get("transA", 0) or a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0:
        raise UnsupportedError("transA, alpha and beta must be left as they are by default")
    weight = weight if a.get("transB", 0) else weight.T
    bias = work.array(operator, 2) if len(operator.input) > 2 and operator.input[2] else None
    full = None if bias is None else np.broadcast_to(bias.reshape(-1) if bias.size > 1 else bias, (len(weight),))
    work.put(operator, Linear(weight, full), x)


def matmul(work: Draft, operator: onnx.NodeProto) -> None:
    """A matrix product with a constant matrix behind, or of two values."""
    first, second = operator.input
    if first in work.values and second in work.values:
        work.join(operator, lambda names: MatMul(operands=names), [work.values[first], work.values[second]])
        return
    if len(work.x(operator).shape) > 1:
        raise UnsupportedError(f"multiplies values of shape {work.x(operator).shape} by a constant matrix")
    work.put(operator, Linear(work.array(operator, 1).T), work.x(operator))


def add(work: Draft, operator: onnx.NodeProto) -> None:
    """A sum of values, or a bias."""
    first, second = operator.input
    if first in work.values and second in work.values:
        _sum(work, operator, work.values[first], work.values[second])
        return
    name, constant = (first, work.constants[second]) if first in work.values else (second, work.constants[first])
    x = work.values[name]
    if work.scheduled(constant, x):
        _add_schedule(work, operator, name, work.schedule(constant, x))
        return
    bias = work.over_channels(constant, x)
    node = work.nodes[x.sources[0]]
    if (
        len(x.sources) == 1
        and isinstance(node, Linear | Conv)
        and node.bias is None
        and work.consumers(name) == 1
        and bias.shape in ((), (node.channels,))
    ):
        full = np.broadcast_to(bias, (node.channels,))
        work.nodes[x.sources[0]] = node.with_(bias=full)
        work.values[operator.output[0]] = x
        return
    if bias.ndim > 1:
        raise UnsupportedError("a constant that differs within a channel is added")
    zero, one = (np.broadcast_to(np.asarray(value, bias.dtype), x.shape[:1]) for value in (0, 1))
    work.put(operator, Norm(one, np.broadcast_to(bias, x.shape[:1]), zero, one, eps=0.0), x)
    if work.consumers(operator.output[0]) == 1:
        work.biases[work.values[operator.output[0]].sources[0]] = bias


MOST_SOURCES = 256  #: whose sum a value is; sums of themselves double theirs


def _add_schedule(work: Draft, operator: onnx.NodeProto, name: str, bias: Array) -> None:
    """A bias a timestep; of a gain a timestep before it the same node has both."""
    x = work.values[name]
    node = work.nodes[x.sources[0]]
    if len(x.sources) == 1 and isinstance(node, StepAffine) and not node.bias.any() and work.consumers(name) == 1:
        work.nodes[x.sources[0]] = node.with_(bias=bias)
        work.values[operator.output[0]] = x
        return
    work.put(operator, StepAffine(np.ones(work.steps, bias.dtype), bias), x)


def _sum(work: Draft, operator: onnx.NodeProto, a: Lifted, b: Lifted) -> None:
    if a.shape != b.shape:
        raise UnsupportedError(f"adds values of shapes {a.shape} and {b.shape}")
    if len(a.sources) + len(b.sources) > MOST_SOURCES:
        raise UnsupportedError(f"adds up more than {MOST_SOURCES} values")
    form: Form = a.form if a.form == b.form else "time"
    doubled = [source for source in b.sources if source in a.sources]
    extra = []
    for source in doubled:  # x + x: a factor of 2, since an edge counts once
        name = f"{source}.again{len(work.nodes)}"
        work.nodes[name] = Scale(np.asarray(1.0, np.float32))
        work.edges.append((source, name))
        extra.append(name)
    kept = tuple(source for source in b.sources if source not in doubled)
    work.values[operator.output[0]] = Lifted((*a.sources, *kept, *extra), form, a.shape)


def mul(work: Draft, operator: onnx.NodeProto) -> None:
    """A product with a constant, or of two values."""
    first, second = operator.input
    if first in work.values and second in work.values:
        work.join(operator, lambda names: Gate(operands=names), [work.values[first], work.values[second]])
        return
    name, constant = (first, work.constants[second]) if first in work.values else (second, work.constants[first])
    x = work.values[name]
    if not work.scheduled(constant, x):
        work.put(operator, Scale(work.over_channels(constant, x)), x)
        return
    takers = [node for node in work.model.graph.node if operator.output[0] in node.input]
    weighs = len(takers) == 1 and takers[0].op_type == "ReduceSum"
    if weighs and work.integers(takers[0], 1) == [0]:
        work.weights[operator.output[0]] = work.schedule(constant, x)
        work.values[operator.output[0]] = x
        return
    gain = work.schedule(constant, x)
    work.put(operator, StepAffine(gain, np.zeros((work.steps,), gain.dtype)), x)


def sub(work: Draft, operator: onnx.NodeProto) -> None:
    """A difference of two values, or less a constant."""
    first, second = operator.input
    if first not in work.values:
        raise UnsupportedError("takes values off a constant")
    if second in work.constants:
        work.constants[f"{operator.output[0]}/less"] = -work.constants[second]
        add(work, helper.make_node("Add", [first, f"{operator.output[0]}/less"], operator.output, name=operator.name))
        return
    name = work.free(f"{operator.output[0]}/less")
    less = work.values[second]
    work.nodes[name] = Scale(np.asarray(-1.0, np.float32))
    work.edges += [(source, name) for source in less.sources]
    _sum(work, operator, work.values[first], replace(less, sources=(name,)))


def batch_norm(work: Draft, operator: onnx.NodeProto) -> None:
    """Batch normalisation; `passes.fold_norm` merges it into the synapse before."""
    gamma, beta, mean, var = (work.array(operator, index) for index in range(1, 5))
    eps = float(attributes(operator).get("epsilon", 1e-5))
    work.put(operator, Norm(gamma, beta, mean, var, eps=eps), work.x(operator))


def average_pool(work: Draft, operator: onnx.NodeProto) -> None:
    """An average over windows."""
    x, a = work.x(operator), attributes(operator)
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
    work.put(operator, Pool("average", kernel, stride, padding), x)


def max_pool(work: Draft, operator: onnx.NodeProto) -> None:
    """The largest in each window."""
    x, a = work.x(operator), attributes(operator)
    axes = len(x.shape) - 1
    plain = a.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID") and not a.get("storage_order", 0)
    if not plain or a.get("ceil_mode", 0) or any(n != 1 for n in a.get("dilations", [1])) or len(operator.output) > 1:
        raise UnsupportedError("ceil_mode, auto_pad, dilations and indices are not supported")
    stride, padding = tuple(a.get("strides", [1] * axes)), symmetric(a.get("pads", [0] * 2 * axes), axes)
    work.put(operator, Maximum(tuple(a["kernel_shape"]), stride, padding), x)


def same(work: Draft, operator: onnx.NodeProto) -> None:
    """What changes nothing: Identity, Dropout in inference, Cast between floats, Expand over time."""
    x = work.x(operator)
    if operator.op_type == "Cast":
        raise UnsupportedError("changes the type of values")
    if operator.op_type == "Expand":
        target = work.integers(operator, 1)
        if target != [work.steps, *(1,) * (len(x.shape) + 1)] or x.form != "time":
            raise UnsupportedError(f"repeats values to {target}")
    work.values[operator.output[0]] = x


RULES: Mapping[str, Rule] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
    "Add": add,
    "Sub": sub,
    "Mul": mul,
    "BatchNormalization": batch_norm,
    "AveragePool": average_pool,
    "GlobalAveragePool": average_pool,
    "MaxPool": max_pool,
    **dict.fromkeys(("Identity", "Dropout", "Cast", "Expand"), same),
    **lift_shapes.RULES,
    **lift_time.RULES,
}
