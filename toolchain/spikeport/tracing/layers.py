"""What layers become: synapses, pools and norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from spikeport.graph import Array, Conv, Linear, Norm, Pool, Shape
from spikeport.tracing.arithmetic import scaled
from spikeport.tracing.symbols import Symbol, Unsupported
from spikeport.tracing.tracer import Call


def pair(value: Any, axes: int) -> tuple[int, ...]:
    """An option of a layer as one whole number an axis."""
    if isinstance(value, int):
        return (value,) * axes
    numbers = tuple(int(v) for v in value)
    return numbers * axes if len(numbers) == 1 else numbers


def spatial(x: Symbol, axes: int) -> None:
    """Torch counts axes from the left: a block of time must be folded into the batch before a spatial layer."""
    if x.layout not in ("frame", "merged") or len(x.shape) != axes + 1:
        raise Unsupported(f"needs [batch, C{', size' * axes}] with time folded into the batch, gets features {x.shape}")


def bias_of(call: Call, value: Any, x: Symbol) -> Array | None:
    """A bias; behind a sum over time it was added once, in the graph it is added at each step."""
    bias = call.constant(value)
    if bias is None or x.weights is None:
        return bias
    total = math.fsum(x.weights.values())
    if total == 0:
        raise Unsupported("adds a constant to a sum over time whose weights cancel")
    return call.tracer.draft.number(bias / total)


def conv(axes: int) -> Callable[[Call], Symbol]:
    """conv1d, conv2d(input, weight, bias, stride, padding, dilation, groups)."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        spatial(x, axes)
        weight = call.constant(call.get(1, "weight"))
        assert weight is not None
        stride, dilation = (pair(call.get(i, n, 1), axes) for i, n in ((3, "stride"), (5, "dilation")))
        padding = call.get(4, "padding", 0)
        if padding == "valid":
            padding = 0
        if padding == "same":
            total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
            if any(n % 2 for n in total):
                raise Unsupported("pads one side more than the other (padding='same' with an even kernel)")
            padding = tuple(n // 2 for n in total)
        bias = bias_of(call, call.get(2, "bias"), x)
        groups = int(call.get(6, "groups", 1))
        node = Conv(weight, bias, stride=stride, padding=pair(padding, axes), dilation=dilation, groups=groups)
        return call.apply(node, x)

    return handler


def linear(call: Call) -> Symbol:
    """linear(input, weight, bias)."""
    x = call.input()
    if len(x.shape) != 1:
        raise Unsupported(f"is linear over the last of the axes {x.shape}; flatten the features first")
    weight = call.constant(call.get(1, "weight"))
    assert weight is not None
    return call.apply(Linear(weight, bias_of(call, call.get(2, "bias"), x)), x)


def matmul(call: Call) -> Symbol:
    """x @ weight with a constant weight [in, out]."""
    x = call.input()
    weight = call.constant(call.get(1, "other", call.get(1, "mat2")))
    if len(x.shape) != 1 or weight is None or weight.ndim != 2:
        raise Unsupported("is a product that is not x @ weight with features [in] and weight [in, out]")
    return call.apply(Linear(np.ascontiguousarray(weight.T)), x)


def addmm(call: Call) -> Symbol:
    """addmm(bias, x, weight) with alpha and beta 1."""
    x, weight = call.symbol(call.get(1, "mat1")), call.constant(call.get(2, "mat2"))
    if x is None or weight is None or call.kwargs.get("alpha", 1) != 1 or call.kwargs.get("beta", 1) != 1:
        raise Unsupported("is not bias + x @ weight")
    bias = bias_of(call, call.get(0, "input"), x)
    return call.apply(Linear(np.ascontiguousarray(weight.T), bias), x)


def batch_norm(call: Call) -> Symbol:
    """F.batch_norm(input, mean, var, weight, bias, training, momentum, eps), or torch.batch_norm with its own order."""
    x = call.input()
    inner = call.name == "batch_norm" and len(call.args) == 9  # torch.batch_norm(input, weight, bias, mean, var, ...)
    order = (3, 4, 1, 2, 5, 7) if inner else (1, 2, 3, 4, 5, 7)
    names = ("running_mean", "running_var", "weight", "bias", "training", "eps")
    default = (None, None, None, None, False, 1e-5)
    mean, var, gamma, beta, training, eps = (call.get(i, n, d) for i, n, d in zip(order, names, default, strict=True))
    if training or mean is None or var is None:
        raise Unsupported("normalises with the statistics of the batch; a deployed network has running statistics")
    if x.layout not in ("frame", "merged"):
        raise Unsupported("normalises over the wrong axis: fold time into the batch first")
    if x.weights is not None:
        raise Unsupported("normalises a sum over time; normalise before the sum")
    number, channels = call.tracer.draft.number, x.shape[0]
    node = Norm(
        gamma=number(np.ones(channels)) if gamma is None else call.constant(gamma),  # type: ignore[arg-type]
        beta=number(np.zeros(channels)) if beta is None else call.constant(beta),  # type: ignore[arg-type]
        mean=call.constant(mean),  # type: ignore[arg-type]
        var=call.constant(var),  # type: ignore[arg-type]
        eps=float(eps),
    )
    return call.apply(node, x)


def avg_pool(axes: int) -> Callable[[Call], Symbol]:
    """avg_pool(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        spatial(x, axes)
        kernel = pair(call.get(1, "kernel_size"), axes)
        stride = call.get(2, "stride") or kernel
        padding = pair(call.get(3, "padding", 0), axes)
        if any(padding) and not call.get(5, "count_include_pad", True):
            raise Unsupported("divides by fewer at the border (count_include_pad=False)")
        divisor = call.get(6, "divisor_override")
        node = Pool("average" if divisor is None else "sum", kernel, pair(stride, axes), padding)
        if call.get(4, "ceil_mode", False) and tuple(call.out.shape[-axes:]) != node.output_shape(x.shape)[1:]:
            raise Unsupported("has windows that reach over the border (ceil_mode)")
        y = call.apply(node, x)
        return y if divisor is None else scaled(call, y, call.tracer.draft.number(1 / divisor))

    return handler


def adaptive_avg_pool(axes: int) -> Callable[[Call], Symbol]:
    """adaptive_avg_pool(input, output_size) where all windows have one size."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        spatial(x, axes)
        return whole_pool(call, x, tuple(call.out.shape[-axes:]), "average")

    return handler


def whole_pool(call: Call, x: Symbol, size: Shape, kind: Any) -> Symbol:
    """A pool whose windows divide the map evenly into ``size``."""
    if any(n % m for n, m in zip(x.shape[1:], size, strict=True)):
        raise Unsupported(f"pools {x.shape[1:]} to {size}, which does not divide evenly")
    kernel = tuple(n // m for n, m in zip(x.shape[1:], size, strict=True))
    return call.apply(Pool(kind, kernel, kernel, (0,) * len(kernel)), x)


def same(call: Call) -> Symbol:
    """The values as they are."""
    return call.input()


def dropout(call: Call) -> Symbol:
    """Nothing in evaluation."""
    if call.get(2, "training", False) and float(call.get(1, "p", 0.5)) > 0:
        raise Unsupported("drops values at random; put the module into evaluation mode")
    return call.input()


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "conv1d": conv(1),
    "conv2d": conv(2),
    "linear": linear,
    "matmul": matmul,
    "__matmul__": matmul,
    "mm": matmul,
    "addmm": addmm,
    "batch_norm": batch_norm,
    "avg_pool1d": avg_pool(1),
    "avg_pool2d": avg_pool(2),
    "adaptive_avg_pool1d": adaptive_avg_pool(1),
    "adaptive_avg_pool2d": adaptive_avg_pool(2),
    "contiguous": same,
    "clone": same,
    "detach": same,
    "get_data": same,
    "to": same,
    "float": same,
    "double": same,
    "type_as": same,
    "requires_grad_": same,
    "cpu": same,
    "cuda": same,
    "identity": same,
    "positive": same,
    "dropout": dropout,
    "dropout1d": dropout,
    "dropout2d": dropout,
    "dropout3d": dropout,
    "feature_dropout": dropout,
    "alpha_dropout": dropout,
}
