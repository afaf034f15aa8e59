"""ONNX operators as nodes of a Graph, one function an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx import neuron_functions
from spikeport.formats.onnx.builder import DOMAIN
from spikeport.formats.onnx.draft import Draft, Lifted, UnsupportedError, attributes
from spikeport.formats.onnx.layout import Form
from spikeport.graph import LIF, Conv, Delay, Flatten, Linear, Norm, Peak, Pool, Readout, Scale

MOST_REPEATED = 2**24  #: numbers of a schedule that is written out from fewer


def neuron(work: Draft, call: onnx.NodeProto) -> None:
    """A call to one of our functions, if it still computes what its name says."""
    parts = call.op_type.split("_")
    kind = next((each for each in neuron_functions.STATES if each.__name__ == parts[0]), LIF)
    time = next((part for part in parts if part in ("unroll", "step")), "scan")
    reset = next((part for part in parts if part in ("subtract", "none")), "value")
    if "loihi" in parts or time == "step":
        raise UnsupportedError("only functions of all timesteps in real numbers can be lifted")
    x = work.x(call)
    names = [*neuron_functions.PARAMETERS, *neuron_functions.MORE[kind]]
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
    values |= {"reset": reset, "compare": ">" if "above" in parts else ">="}
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
    """A matrix product with a constant matrix behind."""
    work.put(operator, Linear(work.array(operator, 1).T), work.x(operator))


def add(work: Draft, operator: onnx.NodeProto) -> None:
    """A sum of values, or a bias."""
    first, second = operator.input
    if first in work.values and second in work.values:
        _sum(work, operator, work.values[first], work.values[second])
        return
    name, constant = (first, work.constants[second]) if first in work.values else (second, work.constants[first])
    x = work.values[name]
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


def _sum(work: Draft, operator: onnx.NodeProto, a: Lifted, b: Lifted) -> None:
    if a.shape != b.shape:
        raise UnsupportedError(f"adds values of shapes {a.shape} and {b.shape}")
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
    """A product with a constant."""
    first, second = operator.input
    if first in work.values and second in work.values:
        raise UnsupportedError("multiplies two values; a Graph adds only")
    name, constant = (first, work.constants[second]) if first in work.values else (second, work.constants[first])
    x = work.values[name]
    if x.form == "time" and constant.shape == (work.steps, *(1,) * (len(x.shape) + 1)) and work.steps > 1:
        (taker,) = [node for node in work.model.graph.node if operator.output[0] in node.input] or [operator]
        if taker.op_type != "ReduceSum":
            raise UnsupportedError("weights over time; only a readout does")
        work.weights[operator.output[0]] = constant.reshape(-1)
        work.values[operator.output[0]] = x
        return
    work.put(operator, Scale(work.over_channels(constant, x)), x)


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


def flatten(work: Draft, operator: onnx.NodeProto) -> None:
    """All axes but the batch into one."""
    x = work.x(operator)
    if attributes(operator).get("axis", 1) != 1 or x.form == "time":
        raise UnsupportedError("flattens the batch, too")
    work.put(operator, Flatten(), x)


def reshape(work: Draft, operator: onnx.NodeProto) -> None:
    """Between forms of time, or all axes into one."""
    x = work.x(operator)
    target = work.integers(operator, 1)
    flat = int(np.prod(x.shape, dtype=np.int64))
    steps, own = work.steps, list(x.shape)
    forms: dict[Form, list[list[int]]] = {
        "time": [[steps, -1, *own], [0, 0, *own]],
        x.form if x.form != "time" else "flat": [[-1, *own], [0, *own]] if x.form != "time" else [[-1, *own]],
    }
    for form, shapes in forms.items():
        allowed = form != "time" or x.form in ("flat", "time")
        if target in shapes and allowed:
            work.values[operator.output[0]] = replace(x, form=form)
            return
    if target in ([0, -1], [-1, flat], [0, flat]) and x.form != "time":
        work.put(operator, Flatten(), x)
        return
    raise UnsupportedError(f"gives the shape {target} to values of shape {x.shape}")


def unsqueeze(work: Draft, operator: onnx.NodeProto) -> None:
    """A time axis in front of a still value."""
    axes = work.integers(operator, 1) if len(operator.input) > 1 else attributes(operator).get("axes", [])
    if axes != [0] or work.x(operator).form != "still":
        raise UnsupportedError(f"inserts axes {axes}")
    work.values[operator.output[0]] = replace(work.x(operator), form="time")


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


def later(work: Draft, operator: onnx.NodeProto) -> None:
    """Zeros in front, with a Slice behind that takes as many steps from the end: a Delay."""
    x = work.x(operator)
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
    """The sum or mean over time: the readout."""
    x, a = work.x(operator), attributes(operator)
    axes = work.integers(operator, 1) if len(operator.input) > 1 else a.get("axes", [])
    if list(axes) != [0] or x.form != "time" or a.get("keepdims", 1):
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


def symmetric(pads: list[int], axes: int) -> tuple[int, ...]:
    """ONNX's padding [begins, ends] as one number an axis."""
    if list(pads[:axes]) != list(pads[axes:]):
        raise UnsupportedError(f"pads {list(pads)} unevenly")
    return tuple(pads[:axes])


RULES: Mapping[str, Callable[[Draft, onnx.NodeProto], None]] = {
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": matmul,
    "Add": add,
    "Mul": mul,
    "BatchNormalization": batch_norm,
    "AveragePool": average_pool,
    "GlobalAveragePool": average_pool,
    "Flatten": flatten,
    "Reshape": reshape,
    "Unsqueeze": unsqueeze,
    "Identity": same,
    "Dropout": same,
    "Cast": same,
    "Expand": same,
    "Pad": later,
    "Shape": count,
    "ReduceSum": reduce,
    "ReduceMean": reduce,
    "ReduceMax": highest,
}
