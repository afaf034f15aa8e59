"""What layers and arithmetic become: synapses, pools, norms, sums and multiples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.capture.symbols import Symbol, Unsupported
from spikeport.capture.tracer import Call
from spikeport.graph import Array, Conv, Linear, Norm, Pool, Scale, Shape


def pair(value: Any, axes: int) -> tuple[int, ...]:
    """An option of a layer as one whole number an axis."""
    if isinstance(value, int):
        return (value,) * axes
    found = tuple(int(v) for v in value)
    return found * axes if len(found) == 1 else found


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


# -- arithmetic -------------------------------------------------------------------------------------------------------


def add(sign: float = 1.0, swapped: bool = False) -> Callable[[Call], Symbol]:
    """a + sign * alpha * b; ``swapped`` is b's own method (a is the second argument)."""

    def handler(call: Call) -> Symbol:
        a, b = call.get(0, "input"), call.get(1, "other")
        factor = sign * float(call.kwargs.get("alpha", 1))
        first, second = (b, a) if swapped else (a, b)
        x, y = call.symbol(first), call.symbol(second)
        if x is not None and y is not None:
            return summed(call, x, y if factor == 1 else scaled(call, y, call.tracer.draft.number(factor)))
        if x is not None:
            return shifted(call, x, factor * np.asarray(as_array(call, second), dtype=np.float64))
        assert y is not None
        z = y if factor == 1 else scaled(call, y, call.tracer.draft.number(factor))
        return shifted(call, z, np.asarray(as_array(call, first), dtype=np.float64))

    return handler


def multiply(call: Call) -> Symbol:
    """A multiple by a constant."""
    x, y = call.symbol(call.get(0, "input")), call.symbol(call.get(1, "other"))
    if x is not None and y is not None:
        raise Unsupported("multiplies two values that depend on the input (SEW AND and IAND are such products)")
    found = x if x is not None else y
    assert found is not None
    return scaled(call, found, as_array(call, call.get(1, "other") if x is not None else call.get(0, "input")))


def divide(call: Call) -> Symbol:
    """A quotient by a constant."""
    x, y = call.symbol(call.get(0, "input")), call.symbol(call.get(1, "other"))
    if x is None or y is not None or call.kwargs.get("rounding_mode"):
        raise Unsupported("divides by values that depend on the input, or rounds")
    return scaled(call, x, 1 / np.asarray(as_array(call, call.get(1, "other")), dtype=np.float64))


def negate(call: Call) -> Symbol:
    """-x."""
    return scaled(call, call.input(), np.asarray(-1.0))


def as_array(call: Call, value: Any) -> Array:
    """A constant operand; refused where its values have a batch axis of unknown origin."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    return np.array(value.detach().cpu().numpy())


def features(call: Call, value: Array, x: Symbol) -> Array:
    """A constant as [], [C] or [*shape]; it must not vary over time or batch."""
    if value.size == 1:
        return value.reshape(())
    lead = len(x.lead(call.tracer.batch, call.tracer.timesteps))
    wide = value.reshape((1,) * (lead + len(x.shape) - value.ndim) + value.shape)
    if value.ndim > lead + len(x.shape) or any(n != 1 for n in wide.shape[:lead]):
        raise Unsupported(f"combines with a constant of shape {value.shape}, which varies over time or batch")
    wide = wide.reshape(wide.shape[lead:])
    if any(n not in (1, m) for n, m in zip(wide.shape, x.shape, strict=True)):
        raise Unsupported(f"broadcasts features {x.shape} against a constant of shape {value.shape}")
    if all(n == 1 for n in wide.shape[1:]):
        return wide.reshape(-1) if wide.shape[0] > 1 or x.shape[0] == 1 else wide.reshape(())
    return np.broadcast_to(wide, x.shape)


def scaled(call: Call, x: Symbol, factor: Array) -> Symbol:
    """factor * x; one factor a timestep is allowed where a sum over time follows."""
    over_time = _over_time(np.asarray(factor), x, call)
    if over_time is not None:
        return replace(x, weights=over_time)
    factor = features(call, np.asarray(factor), x)
    if factor.ndim == 0 and x.weights is not None:
        return replace(x, weights={t: float(factor) * w for t, w in x.weights.items()})
    if factor.ndim == 0 and float(factor) == 1:
        return x
    return call.apply(Scale(call.tracer.draft.number(factor)), x)


def _over_time(factor: Array, x: Symbol, call: Call) -> dict[int, float] | None:
    """The factors of the steps where ``factor`` is [T, 1, ...] against [T, B, ...]."""
    steps = call.tracer.timesteps
    whole = 2 + len(x.shape)
    if x.layout != "all" or x.weights is not None or factor.shape != (steps, *(1,) * (whole - 1)) or steps == 1:
        return None
    return dict(enumerate(factor.astype(np.float64).reshape(-1).tolist()))


def shifted(call: Call, x: Symbol, value: Array) -> Symbol:
    """x + value, as a norm that only shifts."""
    if not np.any(value):
        if np.broadcast_shapes(value.shape, call.out.shape) != tuple(call.out.shape):
            raise Unsupported("grows by adding zeros")
        return x
    value = features(call, value, x)
    if value.ndim > 1:
        raise Unsupported(f"adds a constant a neuron, of shape {value.shape}; one a channel can be held")
    if x.weights is not None:
        raise Unsupported("adds a constant behind a sum over time; add it before")
    number, channels = call.tracer.draft.number, x.shape[0]
    ones, zeros = number(np.ones(channels)), number(np.zeros(channels))
    beta = number(np.broadcast_to(value, (channels,)))
    return call.apply(Norm(gamma=ones, beta=beta, mean=zeros, var=ones, eps=0.0), x)


def summed(call: Call, x: Symbol, y: Symbol) -> Symbol:
    """x + y: two edges into whatever comes next."""
    if x.shape != y.shape:
        raise Unsupported(f"adds features {x.shape} and {y.shape}, which only broadcasting makes equal")
    x, y = aligned(call, x, y)
    if x.layout == "frame" and ((x.weights, x.step) != (y.weights, y.step)):
        if x.terms != y.terms:
            raise Unsupported("adds different layers at different timesteps")
        weights = dict(weights_of(x))
        for t, w in weights_of(y).items():
            weights[t] = weights.get(t, 0.0) + w
        return replace(x, weights=weights, step=None)
    terms = dict(x.terms)
    for name, count in y.terms.items():
        terms[name] = terms.get(name, 0) + count
    return replace(x, terms=terms)


def aligned(call: Call, x: Symbol, y: Symbol) -> tuple[Symbol, Symbol]:
    """Both in the layout of the one that varies over time; the other must be the same at every step."""
    constant = call.tracer.draft.is_constant

    def free(s: Symbol) -> bool:
        return s.layout in ("frame", "one") and s.weights is None and constant(s)

    if (x.layout, x.step, x.weights) == (y.layout, y.step, y.weights):
        return x, y
    if free(y):
        return x, replace(y, layout=x.layout, step=x.step, weights=x.weights) if x.weights is None else y
    if free(x):
        return replace(x, layout=y.layout, step=y.step), y
    if x.layout != y.layout:
        raise Unsupported("adds values of different time layouts")
    return x, y


def weights_of(x: Symbol) -> dict[int, float]:
    """A frame as a sum over time."""
    if x.weights is not None:
        return dict(x.weights)
    if x.step is None:
        raise Unsupported("adds a sum over time and a value that is the same at every step")
    return {x.step: 1.0}


def same(call: Call) -> Symbol:
    """The values as they are."""
    return call.input()


def dropout(call: Call) -> Symbol:
    """Nothing in evaluation."""
    if call.get(2, "training", False) and float(call.get(1, "p", 0.5)) > 0:
        raise Unsupported("drops values at random; put the module into evaluation mode")
    return call.input()


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "conv1d": conv(1), "conv2d": conv(2), "linear": linear, "matmul": matmul, "__matmul__": matmul, "mm": matmul,
    "addmm": addmm, "batch_norm": batch_norm,
    "avg_pool1d": avg_pool(1), "avg_pool2d": avg_pool(2),
    "adaptive_avg_pool1d": adaptive_avg_pool(1), "adaptive_avg_pool2d": adaptive_avg_pool(2),
    "add": add(), "add_": add(), "__add__": add(), "__iadd__": add(), "__radd__": add(swapped=True),
    "sub": add(-1.0), "sub_": add(-1.0), "subtract": add(-1.0), "__sub__": add(-1.0), "__isub__": add(-1.0),
    "rsub": add(-1.0, swapped=True), "__rsub__": add(-1.0, swapped=True),
    "mul": multiply, "mul_": multiply, "multiply": multiply, "__mul__": multiply, "__imul__": multiply,
    "__rmul__": multiply, "div": divide, "div_": divide, "divide": divide, "true_divide": divide,
    "__truediv__": divide, "__itruediv__": divide, "__div__": divide, "neg": negate, "__neg__": negate,
    "contiguous": same, "clone": same, "detach": same, "get_data": same, "to": same, "float": same, "double": same,
    "type_as": same, "requires_grad_": same, "cpu": same, "cuda": same, "identity": same, "positive": same,
    "dropout": dropout, "dropout1d": dropout, "dropout2d": dropout, "dropout3d": dropout, "feature_dropout": dropout,
    "alpha_dropout": dropout,
}  # fmt: skip
