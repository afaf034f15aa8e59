"""ONNX's layers as torch's functions: convolutions, products, pools, batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.operator import Operator, Rule, sane


def _pads(op: Operator, axes: int, kernel: Sequence[int]) -> list[int]:
    """Begins and ends of the padding, [before..., behind...]."""
    auto = op.get("auto_pad", b"NOTSET").decode()
    if auto in ("NOTSET", "VALID"):
        pads = list(op.get("pads", [0] * 2 * axes)) if auto == "NOTSET" else [0] * 2 * axes
        sizes = [size + sum(pads[at::axes]) for at, size in enumerate(op.x.shape[-axes:])]
        sane([*op.x.shape[:-axes], *sizes])
        return sane(pads)
    strides, dilations = op.get("strides", [1] * axes), op.get("dilations", [1] * axes)
    before, behind = [], []
    for size, k, stride, dilation in zip(op.x.shape[-axes:], kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size)
        halves = [total // 2, total - total // 2]
        before.append(halves[auto == "SAME_LOWER"])
        behind.append(halves[auto != "SAME_LOWER"])
    return before + behind


def _padded(x: Tensor, pads: Sequence[int], axes: int, value: float = 0.0) -> tuple[Tensor, tuple[int, ...]]:
    """What torch's own padding can do is left to the layer; an uneven one comes before it."""
    if list(pads[:axes]) == list(pads[axes:]):
        return x, tuple(pads[:axes])
    order = [n for axis in reversed(range(axes)) for n in (pads[axis], pads[axes + axis])]
    return functional.pad(x, order, value=value), (0,) * axes


def _conv(op: Operator) -> Tensor:
    weight, bias = op.at(1), op.optional(2)
    axes = weight.ndim - 2
    run = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[axes]
    x, padding = _padded(op.x, _pads(op, axes, weight.shape[2:]), axes)
    strides, dilations = (tuple(op.get(name, [1] * axes)) for name in ("strides", "dilations"))
    return run(x, weight, bias, strides, padding, dilations, op.get("group", 1))


def _transposed_conv(op: Operator) -> Tensor:
    weight, bias = op.at(1), op.optional(2)
    axes = weight.ndim - 2
    pads = sane(list(op.get("pads", [0] * 2 * axes)))
    if op.get("output_shape") or op.get("auto_pad", b"NOTSET") != b"NOTSET" or pads[:axes] != pads[axes:]:
        raise Unsupported("says its output's shape, or pads unevenly")
    run = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}[axes]
    more = sane(list(op.get("output_padding", [0] * axes)))
    strides, dilations = (sane(list(op.get(name, [1] * axes))) for name in ("strides", "dilations"))
    reach = [d * (k - 1) + 1 + extra for d, k, extra in zip(dilations, weight.shape[2:], more, strict=True)]
    sizes = [(n - 1) * s + r for n, s, r in zip(op.x.shape[2:], strides, reach, strict=True)]
    sane([len(op.x), weight.shape[1] * op.get("group", 1), *sizes])
    return run(op.x, weight, bias, strides, pads[:axes], more, op.get("group", 1), dilations)


def _gemm(op: Operator) -> Tensor:
    a = op.x.t() if op.get("transA", 0) else op.x
    weight = op.at(1) if op.get("transB", 0) else op.at(1).t()
    alpha, beta, bias = op.get("alpha", 1.0), op.get("beta", 1.0), op.optional(2)
    weight = weight if alpha == 1 else weight * alpha
    if bias is None:
        return functional.linear(a, weight)
    bias = bias if beta == 1 else bias * beta
    whole = bias.ndim == 1 and len(bias) == len(weight)
    return functional.linear(a, weight, bias) if whole else functional.linear(a, weight) + bias


def _batch_norm(op: Operator) -> Tensor:
    if op.get("training_mode", 0):
        raise Unsupported("normalises as in training")
    scale, bias, mean, variance = (op.at(place) for place in (1, 2, 3, 4))
    return functional.batch_norm(op.x, mean, variance, scale, bias, eps=op.get("epsilon", 1e-5))


def _pool(kind: str) -> Rule:
    def rule(op: Operator) -> Tensor:
        kernel = list(op.get("kernel_shape"))
        axes = len(kernel)
        pads, strides = _pads(op, axes, kernel), tuple(op.get("strides", [1] * axes))
        ceil, counted = bool(op.get("ceil_mode", 0)), bool(op.get("count_include_pad", 0))
        if op.outputs > 1:
            raise Unsupported("gives the places of its largest values too")
        if ceil and pads[:axes] != pads[axes:]:
            raise Unsupported("pads unevenly, and rounds the size of its output up")
        if kind == "max":
            x, padding = _padded(op.x, pads, axes, -math.inf)
            run = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[axes]
            return run(x, kernel, strides, padding, tuple(op.get("dilations", [1] * axes)), ceil)
        if pads[:axes] != pads[axes:] or any(n != 1 for n in op.get("dilations", [1] * axes)):
            raise Unsupported("averages windows that are dilated or padded unevenly")
        average = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}[axes]
        return average(op.x, kernel, strides, tuple(pads[:axes]), ceil, counted)

    return rule


def _over_space(function: Callable[..., Tensor]) -> Rule:
    return lambda op: function(op.x, dim=tuple(range(2, op.x.ndim)), keepdim=True)


RULES: Mapping[str, Rule] = {
    "AveragePool": _pool("average"),
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _transposed_conv,
    "Gemm": _gemm,
    "GlobalAveragePool": _over_space(torch.mean),
    "GlobalMaxPool": _over_space(torch.amax),
    "MaxPool": _pool("max"),
}
