"""Neurons that fire several times a step, written as a rounded membrane: round(clamp(u, 0, 4)) fires up to four times.

    floor(u) counts the thresholds 1, 2, ... that u reaches, round(u) those at 0.5, 1.5, ...: both are the neurons of
    `LIF` with `most_spikes`, of a membrane that is measured from the first threshold less one.

    floor(a clamp(u, low, high) + b) counts the same of a u + b, from floor(a low + b), which has to be 0, to
    floor(a high + b); so round, truncation and division that rounds down do.

At exactly half a threshold torch rounds to the even number and the node fires once more; the graph's notes say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.graph import Array
from spikeport.tracing.algebra import scaled
from spikeport.tracing.arithmetic import divide
from spikeport.tracing.call import Call
from spikeport.tracing.counts import counted
from spikeport.tracing.ends import held
from spikeport.tracing.operands import operands
from spikeport.tracing.reasons import unknown
from spikeport.tracing.symbols import ALL, Out, Symbol, Unsupported, form_of
from spikeport.tracing.waiting import Waiting

FIRST = {"round": 0.5, "floor": 1.0, "trunc": 1.0, "fix": 1.0}  #: the value at which the count becomes one
ONE = np.ones(())


@dataclass(frozen=True, eq=False)
class Half:
    """One half of a count: a membrane that was clamped between two numbers, or one that was rounded."""

    x: Symbol
    ends: tuple[float, float] | None = None  #: where it was clamped
    first: float = 0.0  #: where it was rounded


def clamp(call: Call) -> Any:
    """clamp(x, low, high), before rounding, or with 0 and a whole number behind it."""
    low, high = call.get(1, "min"), call.get(2, "max")
    if low is not None and high is None:
        return held(call, call.get(0, "input"), low)
    return between(call, low, high)


def between(call: Call, low: Any, high: Any) -> Any:
    """max(low, min(x, high)) of numbers."""
    x = call.input()
    if not (isinstance(low, int | float) and isinstance(high, int | float) and low < high):
        return unknown(call)
    half = form_of(x, Half)
    if half is not None and half.first and x.before is None and low == 0 and high >= 1 and high % 1 == 0:
        return fired(call, half.x, int(high), half.first, even=half.first == FIRST["round"])
    return unknown(call, Half(x, (float(low), float(high))))


def hardtanh(call: Call) -> Any:
    """hardtanh(x, min_val, max_val), a clamp by another name."""
    return between(call, call.get(1, "min_val", -1.0), call.get(2, "max_val", 1.0))


def relu6(call: Call) -> Any:
    """relu6(x), a clamp between 0 and 6."""
    return between(call, 0.0, 6.0)


def rounds(call: Call) -> Any:
    """round(x) and floor(x), before or after clamping; trunc(x) of what was clamped."""
    if call.kwargs.get("decimals"):
        return unknown(call)
    return rounded(call, call.input(), FIRST[call.name.strip("_")], down=call.name.strip("_") in ("trunc", "fix"))


def quotient(call: Call) -> Any:
    """x / y and x // y; where it rounds down it is the floor of a quotient."""
    name, how = call.name.strip("_"), call.kwargs.get("rounding_mode")
    if how is None and name not in ("floordiv", "floor_divide"):
        return divide(call)
    value = call.get(1, "other")
    if call.known(value) is not None or call.known(call.get(0, "input")) is None:
        raise Unsupported("divides by values that depend on the input")
    numbers = operands(call, value, call.input())
    if how not in ("floor", None) or len(numbers) != 1 or not (numbers[0] > 0).all():
        return unknown(call)
    return rounded(call, scaled(call.input(), 1 / numbers[0]), FIRST["floor"])


def rounded(call: Call, x: Symbol, first: float, *, down: bool = False) -> Any:
    """A value rounded, where that begins at ``first`` to be one; ``down``: towards 0, which is down above it."""
    root, slope, offset = _clamped(x)
    half = form_of(root, Half)
    if half is None or half.ends is None:
        return unknown(call, None if down else Half(x, first=first))
    a, b, even = float(slope), float(offset), first == FIRST["round"]
    least, most = ((np.round if even else np.floor)(a * end + b) for end in half.ends)
    if a <= 0 or least != 0 or most < 1:
        return unknown(call)
    return fired(call, half.x if a == 1 else scaled(half.x, slope), int(most), first - b, even=even)


def is_clamped(x: Symbol) -> bool:
    """Whether a value is a multiple of a clamped one and a number."""
    half = form_of(_clamped(x)[0], Half)
    return half is not None and half.ends is not None


def _clamped(x: Symbol) -> tuple[Symbol, Array, Array]:
    """The clamped membrane behind a multiple of it and a number: x = slope * membrane + offset."""
    slope, offset = ONE, np.zeros(())
    at = x
    while at.before is not None and at.strange:
        at, a, b = at.before
        if a.ndim or b.ndim:
            return x, ONE, np.zeros(())
        slope, offset = slope * a, slope * b + offset
    return at, slope, offset


def fired(call: Call, x: Symbol, most: int, first: float, *, even: bool) -> Symbol:
    """The spikes of a step, or of all steps of a block, which then forget each; ``even``: torch.round counts."""
    tracer, draft = call.tracer, call.tracer.draft
    path, alone = tracer.place()
    if x.timed:
        name = draft.name(path, alone, "spikes")
        names, _ = draft.entering(x, path)
        waiting = Waiting(tracer.where(), x.shape, lambda t: counted(x.shape, t, most, first), several=True)
        draft.add(name, waiting, names, x.shape, x.causes)
        out = Out(name, ALL)
    else:
        out = tracer.membranes.count(x, most, first, lambda _root: draft.name(path, alone, "spikes"), tracer.where())
    draft.even |= {out.node} if even else set()
    spikes = Symbol({frozenset([out]): np.ones(())}, x.shape, x.axes, causes=x.causes)
    tracer.trains.of(spikes, call.out, counts=True)
    return spikes


DIVISIONS = ("div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__", "__div__", "__floordiv__")
HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("clamp", "clip", "clamp_", "clip_"), clamp),
    **dict.fromkeys(("round", "round_", "floor", "floor_", "trunc", "trunc_", "fix", "fix_"), rounds),
    **dict.fromkeys((*DIVISIONS, "floor_divide", "floor_divide_"), quotient),
    **dict.fromkeys(("hardtanh", "hardtanh_"), hardtanh),
    "relu6": relu6,
}
