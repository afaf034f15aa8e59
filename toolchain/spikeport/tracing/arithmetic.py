"""What sums, differences, multiples and quotients become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.graph import Array, Norm, Scale
from spikeport.tracing.symbols import Symbol, Unsupported
from spikeport.tracing.tracer import Call


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
            return shifted(call, x, factor * operand(call, second, x))
        assert y is not None
        z = y if factor == 1 else scaled(call, y, call.tracer.draft.number(factor))
        return shifted(call, z, operand(call, first, z))

    return handler


def multiply(call: Call) -> Symbol:
    """A multiple by a constant."""
    x, y = call.symbol(call.get(0, "input")), call.symbol(call.get(1, "other"))
    if x is not None and y is not None:
        raise Unsupported("multiplies two values that depend on the input (SEW AND and IAND are such products)")
    value = x if x is not None else y
    assert value is not None
    other = call.get(1, "other") if x is not None else call.get(0, "input")
    if (over_time := _over_time(call, other, value)) is not None:
        return replace(value, weights=over_time)
    return scaled(call, value, operand(call, other, value))


def divide(call: Call) -> Symbol:
    """A quotient by a constant."""
    x, y = call.symbol(call.get(0, "input")), call.symbol(call.get(1, "other"))
    if x is None or y is not None or call.kwargs.get("rounding_mode"):
        raise Unsupported("divides by values that depend on the input, or rounds")
    return scaled(call, x, 1 / operand(call, call.get(1, "other"), x))


def negate(call: Call) -> Symbol:
    """-x."""
    return scaled(call, call.input(), np.asarray(-1.0))


def operand(call: Call, value: Any, x: Symbol) -> Array:
    """A constant beside ``x``, float64 as [], [C] or [*shape].

    It must not vary over time or batch. One with a batch axis must come straight from a factory such as torch.zeros:
    any other may hide values that depend on the input.
    """
    constant = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=np.float64)
    if constant.size == 1:
        return constant.reshape(())
    lead = len(x.lead(call.tracer.batch, call.tracer.timesteps))
    missing = lead + len(x.shape) - constant.ndim
    if missing < 0:
        raise Unsupported(f"grows by a constant of shape {constant.shape}")
    aligned = constant.reshape((1,) * missing + constant.shape)
    flat = aligned.reshape(-1, *aligned.shape[lead:])
    if len(flat) > 1 and not (call.tracer.is_fixed(value) and (flat == flat[:1]).all()):
        raise Unsupported(f"combines with a constant of shape {constant.shape}, which varies over time or batch")
    if any(n not in (1, m) for n, m in zip(flat.shape[1:], x.shape, strict=True)):
        raise Unsupported(f"broadcasts features {x.shape} against a constant of shape {constant.shape}")
    return compact(np.broadcast_to(flat[0], x.shape))


def compact(value: Array) -> Array:
    """[] or [C] where that says it all."""
    if (value == value.flat[0]).all():
        return np.asarray(value.flat[0])
    flat = value.reshape(value.shape[0], -1)
    return flat[:, 0] if (flat == flat[:, :1]).all() else value


def scaled(call: Call, x: Symbol, factor: Array) -> Symbol:
    """factor * x, factor [], [C] or [*shape]."""
    if factor.ndim == 0 and x.weights is not None:
        return replace(x, weights={t: float(factor) * w for t, w in x.weights.items()})
    if factor.ndim == 0 and float(factor) == 1:
        return x
    return call.apply(Scale(call.tracer.draft.number(factor)), x)


def _over_time(call: Call, value: Any, x: Symbol) -> dict[int, float] | None:
    """The factors of the steps where ``value`` is [T, 1, ...] against [T, B, ...]: a sum over time must follow."""
    steps = call.tracer.timesteps
    if x.layout != "all" or x.weights is not None or not isinstance(value, Tensor) or steps == 1:
        return None
    if tuple(value.shape) != (steps, *(1,) * (1 + len(x.shape))):
        return None
    return dict(enumerate(value.detach().double().reshape(-1).tolist()))


def shifted(call: Call, x: Symbol, value: Array) -> Symbol:
    """x + value, as a norm that only shifts."""
    if not value.any():
        return x
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


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "add": add(),
    "add_": add(),
    "__add__": add(),
    "__iadd__": add(),
    "__radd__": add(swapped=True),
    "sub": add(-1.0),
    "sub_": add(-1.0),
    "subtract": add(-1.0),
    "__sub__": add(-1.0),
    "__isub__": add(-1.0),
    "rsub": add(-1.0, swapped=True),
    "__rsub__": add(-1.0, swapped=True),
    "mul": multiply,
    "mul_": multiply,
    "multiply": multiply,
    "__mul__": multiply,
    "__imul__": multiply,
    "__rmul__": multiply,
    "div": divide,
    "div_": divide,
    "divide": divide,
    "true_divide": divide,
    "__truediv__": divide,
    "__itruediv__": divide,
    "__div__": divide,
    "neg": negate,
    "__neg__": negate,
}
