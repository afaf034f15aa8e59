"""Comparisons with a threshold: the spikes of neurons that are written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.graph import Array
from spikeport.graph.neurons import Compare
from spikeport.tracing import signs
from spikeport.tracing.algebra import is_spikes, scaled, summed
from spikeport.tracing.arithmetic import spiking
from spikeport.tracing.axes import with_time
from spikeport.tracing.blocks import gathered
from spikeport.tracing.call import FIXED, Call
from spikeport.tracing.operands import operands
from spikeport.tracing.reasons import unknown
from spikeport.tracing.roots import rooted
from spikeport.tracing.sides import STRICT, Side
from spikeport.tracing.symbols import ALL, Out, Steps, Symbol, Unsupported, form_of, plus

ONE, MINUS, NOTHING = np.ones(()), np.asarray(-1.0), np.zeros(())


def compared(compare: Compare, turned: bool = False) -> Callable[[Call], Any]:
    """x > y or x >= y; ``turned`` for x < y, which is not x >= y, and x <= y, which is not x > y."""

    def handler(call: Call) -> Any:
        return between(call, call.get(0, "input"), call.get(1, "other"), compare, turned)

    return handler


def heaviside(call: Call) -> Any:
    """heaviside(x, values): values says what happens at the threshold."""
    at_zero = call.get(1, "values")
    value = float(at_zero) if not isinstance(at_zero, Tensor) else float(at_zero.detach().reshape(-1)[0])
    if value not in (0.0, 1.0):
        raise Unsupported(f"gives {value:g} at the threshold")
    return between(call, call.get(0, "input"), 0.0, ">=" if value else ">", False)


def equal(turned: bool) -> Callable[[Call], Any]:
    """spikes == 0 and spikes == 1; ``turned`` for spikes != 0 and spikes != 1."""

    def handler(call: Call) -> Any:
        x, value = call.symbol(call.get(0, "input")), call.get(1, "other")
        numbers = [] if x is None or call.known(value) is not None else operands(call, value, x)
        one = [float(number) for number in numbers if number.ndim == 0]
        if x is not None and one:
            known = signs.mapped(call, x, lambda values: np.where((values == one[0]) != turned, 1.0, 0.0))
            if known is not None:
                return known
        if x is None or one not in ([0.0], [1.0]) or not is_spikes(x, spiking(call)):
            raise Unsupported("asks whether values are equal, which only spikes can be asked, of 0 and 1")
        return signs.not_(x) if (one == [0.0]) != turned else x.fresh()

    return handler


def finite(call: Call) -> Any:
    """Whether values are numbers: those of a graph are, so that it is known beforehand."""
    return FIXED


def between(call: Call, a: Any, b: Any, compare: Compare, turned: bool) -> Any:
    """Where a > b (or >=), or where not."""
    x, y = call.known(a), call.known(b)
    if x is None:  # constant > y is y < constant
        assert y is not None
        return fired(call, y, operands_of(call, a, y), STRICT[compare], not turned)
    if y is None:
        return fired(call, x, operands_of(call, b, x), compare, turned)
    if isinstance(x, Steps) or isinstance(y, Steps):
        raise Unsupported("compares blocks whose steps are not one layer's")
    resolved = call.tracer.membranes.resolved
    return fired(call, summed(resolved(x), scaled(resolved(y), MINUS)), [NOTHING], compare, turned)


def operands_of(call: Call, value: Any, x: Symbol | Steps) -> list[Array]:
    """The threshold, one or one a step."""
    if isinstance(x, Steps):
        first = next((s for s in x.steps if s is not None), None)
        if first is None:
            raise Unsupported("compares a block to which nothing was written")
        return operands(call, value, replace(first, axes=with_time(first.axes, x.axis)))
    return operands(call, value, x)


def fired(call: Call, x: Symbol | Steps, thresholds: list[Array], compare: Compare, turned: bool) -> Any:
    """The spikes of a step, or of every step of a block, which then are neurons without memory."""
    if isinstance(x, Symbol) and (known := _known(call, x, thresholds, compare, turned)) is not None:
        return known
    if isinstance(x, Steps):
        whole = thresholds * len(x.steps) if len(thresholds) == 1 else thresholds
        parts = []
        for t, (s, theta) in enumerate(zip(x.steps, whole, strict=True)):
            if s is None:
                raise Unsupported("compares a block of which a part was not written yet")
            parts.append(_step(call, s, theta, compare, turned, call.out.select(x.axis, t)))
        return gathered(call, Steps(tuple(parts), x.axis))
    if not x.timed:
        if not x.terms:
            raise Unsupported("compares a value that does not depend on the network's input")
        return _step(call, x, thresholds[0], compare, turned, call.out)
    return _block(call, x, thresholds, compare, turned)


def _known(call: Call, x: Symbol, thresholds: list[Array], compare: Compare, turned: bool) -> Symbol | None:
    """Spikes, of one or of two signs, that are asked again, and the size of a membrane, which has two thresholds."""
    if _between_0_and_1(call, x, thresholds, compare):
        return signs.not_(x) if turned else x.fresh()
    if len(x.terms) > 1 and all(not theta.any() for theta in thresholds):
        beyond = np.greater_equal if compare == ">=" else np.greater
        known = signs.mapped(call, x, lambda values: np.where(beyond(values, 0) != turned, 1.0, 0.0))
        if known is not None:
            return known
    roots = [rooted(x, theta) for theta in thresholds]
    half = form_of(roots[0][0], signs.Half)
    return _both(call, half, roots, compare, turned) if half is not None and half.kind == "abs" else None


def _both(
    call: Call, half: signs.Half, roots: list[tuple[Symbol, Array, bool, int]], compare: Compare, turned: bool
) -> Symbol:
    """|u| >= theta: where u >= theta, and where -u >= theta."""
    thresholds, around = [theta for _, theta, _, _ in roots], roots[0][2]
    if not all((theta > 0).all() for theta in thresholds):
        raise Unsupported("compares the size of a value with thresholds that are not above 0")
    inverse = turned != around
    with torch._C.DisableTorchFunction():
        beyond = call.out.bool() != inverse
        outs = [beyond & (half.values > 0), beyond & (half.values < 0)]
    compare = STRICT[compare] if around else compare
    xs = (half.x, scaled(half.x, MINUS))
    high, low = (fired(replace(call, out=out), x, thresholds, compare, False) for x, out in zip(xs, outs, strict=True))
    whole = summed(high, low)
    return signs.not_(whole) if inverse else whole


def _between_0_and_1(call: Call, x: Symbol, thresholds: list[Array], compare: Compare) -> bool:
    """Whether spikes are asked whether they are spikes: z > 0, z >= 1, z > 0.5."""
    if not all(theta.ndim == 0 for theta in thresholds) or not is_spikes(x, spiking(call)):
        return False
    return all(0 <= theta < 1 if compare == ">" else 0 < theta <= 1 for theta in map(float, thresholds))


def _step(call: Call, x: Symbol, theta: Array, compare: Compare, turned: bool, values: Tensor) -> Symbol:
    def name(root: Symbol) -> str:
        path, alone, _ = root.place or (*call.tracer.place(), "")
        return call.tracer.draft.name(path, alone, "spikes")

    out, inverse = call.tracer.membranes.fire(x, theta, compare, turned, name, call.tracer.where())
    return _spikes(call, out, x, inverse, values)


def _block(call: Call, x: Symbol, thresholds: list[Array], compare: Compare, turned: bool) -> Symbol:
    tracer = call.tracer
    roots = [rooted(x, theta) for theta in thresholds]
    root, flipped = roots[0][0], roots[0][2]
    if flipped:
        compare = STRICT[compare]
    plain = [_without(theta, root) for _, theta, _, _ in roots]
    low = tracer.membranes.is_low(id(root), turned != flipped, plain)
    key = ("fired", id(root), compare, *(t.tobytes() for t in plain))
    draft = tracer.draft
    if key not in draft.keys:
        path, alone, _ = root.place or (*tracer.place(), "")
        draft.keys[key] = name = draft.name(path, alone, "spikes")
        entering, values, own = root, plain, compare
        if low:
            entering, values, own = scaled(root, MINUS), [-theta for theta in plain], STRICT[compare]
        tracer.membranes.fire_all(entering, values, own, name, tracer.where(), path)
        draft.kept.append(root)
        if len(plain) == 1:
            tracer.membranes.sides[Out(name, ALL)] = Side(id(root), low, plain[0], compare)
    side = tracer.membranes.sides.get(Out(draft.keys[key], ALL))
    low = side.low if side is not None else low
    return _spikes(call, Out(draft.keys[key], ALL), x, (turned != flipped) != low, call.out)


def _without(theta: Array, root: Symbol) -> Array:
    """The threshold of what enters, where a constant is added to it."""
    return plus(theta, -root.constant, root.shape)


def _spikes(call: Call, out: Out, x: Symbol, turned: bool, values: Tensor) -> Symbol:
    causes = call.tracer.membranes.causes(x)
    spikes = Symbol({frozenset([out]): ONE}, x.shape, x.axes, causes=causes)
    call.tracer.trains.of(spikes, values, turned)
    return signs.not_(spikes) if turned else spikes


def size(call: Call) -> Any:
    """|x|: of spikes, or of a membrane that is compared next."""
    x = call.input()
    known = signs.mapped(call, x, np.abs)
    return known if known is not None else unknown(call, signs.Half("abs", x, call.get(0, "input")))


def sign(call: Call) -> Any:
    """sign(x): of spikes, or of a membrane, to be taken where that lies beyond thresholds."""
    x = call.input()
    known = signs.mapped(call, x, np.sign)
    return known if known is not None else unknown(call, signs.Half("sign", x, call.get(0, "input")))


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("abs", "absolute", "__abs__"), size),
    **dict.fromkeys(("sign", "sgn"), sign),
    **dict.fromkeys(("gt", "__gt__", "greater"), compared(">")),
    **dict.fromkeys(("ge", "__ge__", "greater_equal"), compared(">=")),
    **dict.fromkeys(("lt", "__lt__", "less"), compared(">=", turned=True)),
    **dict.fromkeys(("le", "__le__", "less_equal"), compared(">", turned=True)),
    **dict.fromkeys(("eq", "__eq__"), equal(turned=False)),
    **dict.fromkeys(("ne", "__ne__", "not_equal"), equal(turned=True)),
    "heaviside": heaviside,
    **dict.fromkeys(("isnan", "isinf", "isneginf", "isposinf", "isfinite"), finite),
}
