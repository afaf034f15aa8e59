"""What sums, differences, multiples, quotients and products become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.graph import Array
from spikeport.tracing import operations, signs
from spikeport.tracing.algebra import product, scaled, shifted, summed
from spikeport.tracing.blocks import each, joined
from spikeport.tracing.call import FIXED, Call
from spikeport.tracing.ends import held
from spikeport.tracing.functions import tensors
from spikeport.tracing.operands import operand
from spikeport.tracing.symbols import Out, Symbol, Unsupported
from spikeport.tracing.waiting import Waiting

MINUS = np.asarray(-1.0)


def add(sign: float = 1.0, swapped: bool = False) -> Callable[[Call], Any]:
    """a + sign * alpha * b; ``swapped`` is b's own method (a is the second argument)."""

    def handler(call: Call) -> Any:
        a, b = call.get(0, "input"), call.get(1, "other")
        factor = np.asarray(sign * float(call.kwargs.get("alpha", 1)))
        first, second = (b, a) if swapped else (a, b)
        return plus_times(call, first, second, factor)

    return handler


def plus_times(call: Call, a: Any, b: Any, factor: Array) -> Any:
    """a + factor * b."""
    x, y = call.known(a), call.known(b)
    if x is not None and y is not None:
        return joined(call, x, y, lambda s, t: _sum(call, s, t if factor == 1 else scaled(t, factor)))
    if x is not None:
        return each(call, x, lambda s, c: _shifted(call, s, c * factor), b)
    assert y is not None
    return each(call, y, lambda s, c: _shifted(call, s if factor == 1 else scaled(s, factor), c), a)


def _shifted(call: Call, x: Symbol, value: Array) -> Symbol:
    """x + value; where nothing is added to a membrane, what comes is that of the membrane still."""
    known = x if value.any() else call.tracer.membranes.resolved(x)
    return shifted(x, value) if known is x else known


def _sum(call: Call, x: Symbol, y: Symbol) -> Symbol:
    resolved = call.tracer.membranes.resolved
    x, y = resolved(x), resolved(y)
    return summed(x, y) if x.shape == y.shape else summed(*operations.spread(call.tracer, x, y))


def multiply(call: Call) -> Any:
    """A multiple by a constant, or a product with spikes."""
    return times(call, call.get(0, "input"), call.get(1, "other"))


def times(call: Call, a: Any, b: Any) -> Any:
    """a * b."""
    x, y = call.known(a), call.known(b)
    if x is not None and y is not None:
        return joined(call, x, y, lambda s, t: multiplied(call, s, t))
    value, other = (x, b) if x is not None else (y, a)
    assert value is not None
    return each(call, value, scaled, other)


def multiplied(call: Call, x: Symbol, y: Symbol) -> Symbol:
    """The product of two sums, one of which is made of spikes; products within them become neurons of their own.

    Where only broadcasting makes their features equal, or operations moved the spikes, it is a `Gate`.
    """
    if (beyond := signs.times_sign(call, x, y)) is not None:
        return beyond
    if x.shape != y.shape or operations.are_moved_spikes(call.tracer.draft, x, y):
        return operations.gated(call, x, y)
    resolved = call.tracer.membranes.resolved
    first, second = (_plain(call, resolved(s)) for s in (x, y))
    return product(first, second, spiking(call), lambda factors: signs.never(call, factors, x.shape))


def _plain(call: Call, x: Symbol) -> Symbol:
    pairs = [p for p in x.terms if len(p) > 1]
    return call.tracer.draft.gated(x) if pairs and all(isinstance(f, Out) for p in pairs for f in p) else x


def spiking(call: Call) -> set[str]:
    """The names of all neuron layers whose neurons fire once a step at most."""
    nodes = call.tracer.draft.nodes.items()
    return {name for name, node in nodes if isinstance(node, Waiting) and node.binary}


def divide(call: Call) -> Any:
    """A quotient by a constant."""
    x, y = call.known(call.get(0, "input")), call.known(call.get(1, "other"))
    if x is None or y is not None:
        raise Unsupported("divides by values that depend on the input")
    return each(call, x, lambda s, c: scaled(s, 1 / c), call.get(1, "other"))


def negate(call: Call) -> Any:
    """-x."""
    return scaled(call.input(), MINUS)


def addcmul(call: Call) -> Any:
    """input + value * a * b."""
    a, b = call.get(1, "tensor1"), call.get(2, "tensor2")
    value = np.asarray(float(call.kwargs.get("value", 1)))
    if call.known(a) is None and call.known(b) is None:
        return plus_times(call, call.get(0, "input"), a * b, value)
    part = times(call, a, b)
    x = call.known(call.get(0, "input"))
    if not isinstance(part, Symbol):
        raise Unsupported("multiplies blocks whose steps are not one layer's")
    part = part if value == 1 else scaled(part, value)
    if x is None:
        return shifted(part, operand(call, call.get(0, "input"), part))
    return joined(call, x, part, lambda s, t: _sum(call, s, t))


def lerp(call: Call) -> Any:
    """input + weight * (end - input), with a constant weight."""
    x, end, weight = call.get(0, "input"), call.get(1, "end"), call.get(2, "weight")
    if call.known(weight) is not None:
        raise Unsupported("weighs by values that depend on the input")
    a, b = call.known(x), call.known(end)
    if a is not None and b is not None:
        return joined(call, times(call, x, 1 - weight), times(call, end, weight), lambda s, t: _sum(call, s, t))
    constant, factor = (end, float(weight)) if b is None else (x, 1 - float(weight))
    part = times(call, x, 1 - weight) if b is None else times(call, end, weight)
    return each(call, part, lambda s, c: shifted(s, c * np.asarray(factor)) if c.any() else s, constant)


def square(call: Call) -> Any:
    """The square of spikes is the spikes."""
    exponent = call.get(1, "exponent", 2)
    x = call.input()
    if exponent == 1:
        return x
    if exponent != 2:
        raise Unsupported("raises values that depend on the input to a power")
    return multiplied(call, x, x)


def where(call: Call) -> Any:
    """where(spikes, a, b) = spikes * a + (1 - spikes) * b; where all of it is constant, a constant."""
    mask, a, b = call.get(0, "condition"), call.get(1, "input"), call.get(2, "other")
    if call.name == "where" and call.args and not _is_mask(call.args[0]):
        a, mask = call.args[0], call.get(1, "condition")  # Tensor.where(condition, other)
    return chosen(call, mask, a, b)


def _is_mask(value: Any) -> bool:
    return isinstance(value, Tensor) and str(value.dtype) == "torch.bool"


def masked_fill(call: Call) -> Any:
    """masked_fill(x, mask, value)."""
    return chosen(call, call.get(1, "mask"), call.get(2, "value"), call.get(0, "input"))


def chosen(call: Call, mask: Any, a: Any, b: Any) -> Any:
    """a where the mask's spikes are, b elsewhere."""
    m = call.symbol(mask)
    if m is None:
        return _by_constant(call, mask, a, b)
    parts = [_part(call, m, a), _part(call, signs.not_(m), b)]
    known = [p for p in parts if p is not None]
    if not known:
        return FIXED
    return known[0] if len(known) == 1 else _sum(call, known[0], known[1])


def _by_constant(call: Call, mask: Tensor, a: Any, b: Any) -> Any:
    """a and b, each as much as a mask that is the same for every sample says: all, or nothing."""
    parts: list[Any] = []
    for value, mine in ((a, mask.bool()), (b, ~mask.bool())):
        share = mine.to(call.out.dtype)
        parts.append(value * share if call.known(value) is None else share)
        if call.tracer.free(mask) and (call.known(value) is not None or all(map(call.tracer.free, tensors(value)))):
            call.tracer.fix(parts[-1])
    known = [call.known(value) for value in (a, b)]
    followed = [
        times(call, value, share) for value, x, share in zip((a, b), known, parts, strict=True) if x is not None
    ]
    if len(followed) == 2:
        return joined(call, followed[0], followed[1], lambda s, t: _sum(call, s, t))
    (constant,) = (part for x, part in zip(known, parts, strict=True) if x is None)
    return each(call, followed[0], lambda s, c: _shifted(call, s, c), constant)


def _part(call: Call, mask: Symbol, value: Any) -> Symbol | None:
    x = call.symbol(value)
    if x is not None:
        return multiplied(call, mask, x)
    factor = operand(call, value, mask)
    return scaled(mask, factor) if factor.any() else None


def rectified(call: Call) -> Any:
    """relu of spikes, and of sums of spikes that nothing takes away from, is what it was; of a membrane its bound."""
    x = call.input()
    names, numbers = spiking(call), [x.constant, *x.terms.values()]
    spikes = all(isinstance(f, Out) and f.node in names for f in x.factors())
    if spikes and all((number >= 0).all() for number in numbers):
        return x.fresh()
    return held(call, call.get(0, "input"), 0.0)


#: spikes and a constant c: c s, s + c - c s, s + c - 2 c s
CONSTANT: dict[str, Callable[[Symbol, Array], Symbol]] = {
    "and": scaled,
    "or": lambda s, c: shifted(scaled(s, 1 - c), c),
    "xor": lambda s, c: shifted(scaled(s, 1 - 2 * c), c),
}


def _in_numbers(call: Call, mask: Any) -> Any:
    """A constant mask as 0 and 1."""
    if not isinstance(mask, Tensor):
        return float(mask)
    numbers = mask.bool().to(torch.float64)
    if call.tracer.free(mask):
        call.tracer.fix(numbers)
    return numbers


def logical(kind: str) -> Callable[[Call], Any]:
    """and, or, xor of spikes: a b, a + b - a b, a + b - 2 a b."""

    def handler(call: Call) -> Any:
        a, b = call.get(0, "input"), call.get(1, "other")
        x, y = call.symbol(a), call.symbol(b)
        if x is None or y is None:
            spikes, mask = (y, a) if x is None else (x, b)
            assert spikes is not None
            return each(call, spikes, CONSTANT[kind], _in_numbers(call, mask))
        both = multiplied(call, x, y)
        if kind == "and":
            return both
        return _sum(call, _sum(call, x, y), scaled(both, np.asarray(-1.0 if kind == "or" else -2.0)))

    return handler


def logical_not(call: Call) -> Any:
    """1 - spikes; of spikes of two signs where there is none."""
    known = signs.mapped(call, call.input(), lambda values: np.where(values == 0, 1.0, 0.0))
    if known is not None:
        return known
    return signs.not_(call.input())


_ADD, _SUB = add(), add(-1.0)
HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("add", "add_", "__add__", "__iadd__"), _ADD),
    "__radd__": add(swapped=True),
    **dict.fromkeys(("sub", "sub_", "subtract", "__sub__", "__isub__"), _SUB),
    "rsub": add(-1.0, swapped=True),
    "__rsub__": add(-1.0, swapped=True),
    **dict.fromkeys(("mul", "mul_", "multiply", "__mul__", "__imul__", "__rmul__"), multiply),
    "relu": rectified,
    "relu_": rectified,
    "neg": negate,
    "__neg__": negate,
    "addcmul": addcmul,
    "addcmul_": addcmul,
    "lerp": lerp,
    "lerp_": lerp,
    "pow": square,
    "__pow__": square,
    "square": square,
    "where": where,
    "masked_fill": masked_fill,
    "masked_fill_": masked_fill,
    **dict.fromkeys(("logical_and", "bitwise_and", "__and__"), logical("and")),
    **dict.fromkeys(("logical_or", "bitwise_or", "__or__"), logical("or")),
    **dict.fromkeys(("logical_xor", "bitwise_xor", "__xor__"), logical("xor")),
    **dict.fromkeys(("logical_not", "bitwise_not", "__invert__"), logical_not),
}
