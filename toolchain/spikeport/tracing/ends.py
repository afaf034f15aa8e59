"""Membranes that a module holds from below, as clamp(v, min=-1), maximum(v, low) or relu(v - low) + low.

What was held stands for itself, with a mark that says so, until the layer's next comparison:

    u[k] = f max(g V[k-1], low) + inputs + b    "kept": V is the membrane after the reset, its bound low / g
    u[k] = max(d V[k-1] + inputs + b, low)      "whole": held before the comparison. A bound behind the reset does the
                                                same where low is below the thresholds and no reset goes below low

What is neither, or goes elsewhere than into its own layer's next step, is refused for what held it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeport.graph import LIF, Array, Shape
from spikeport.tracing import reasons
from spikeport.tracing.algebra import same_sum, scaled, summed
from spikeport.tracing.call import Call
from spikeport.tracing.charges import Charge
from spikeport.tracing.operands import operand
from spikeport.tracing.recurrence import Solution, steady
from spikeport.tracing.symbols import Bound, Membrane, Strange, Symbol, Unsupported, plus, times

ONE, MINUS = np.ones(()), np.asarray(-1.0)


@dataclass(frozen=True, eq=False)
class End:
    """What was held from below, in terms of membranes, and where."""

    x: Symbol
    low: Array


def held(call: Call, value: Any, low: Any) -> Any:
    """max(value, low) with a constant low, of one step: ``value`` with a mark. Raises `Unsupported` for others."""
    x = call.known(value)
    if not isinstance(x, Symbol) or call.known(low) is not None or x.timed or x.strange or not x.terms:
        return reasons.unknown(call)
    x = call.tracer.membranes.resolved(x)
    try:
        return reasons.unknown(call)
    except Unsupported as reason:
        number = call.tracer.report(f"{call.name.strip('_')}: {reason}", mend=reason.mend, code=reason.code)
    mark = Strange(frozenset([number]), End(x, operand(call, low, x)))
    causes = x.causes | {number}
    return replace(x, causes=causes, before=None, place=None, strange={mark: ONE}, sound=x.causes)


def bound_of(root: Symbol, plain: Symbol) -> Bound | None:
    """How a step that compares ``root``, in terms of membranes ``plain``, is held; None where no mark is in it.

    Raises `Unsupported` for a part of a membrane that is not held.
    """
    if len(root.strange) != 1:
        return None
    ((strange, factor),) = root.strange.items()
    end = strange.form
    if not isinstance(end, End):
        return None
    if (factor == 1).all() and same_sum(plain, end.x):
        return Bound("whole", end.low, ONE)
    rest = summed(plain, scaled(end.x, factor * MINUS))
    layers = {f.node for f in end.x.factors() if isinstance(f, Membrane)}
    own = any(f.node in layers for p, c in rest.terms.items() if not _nothing(c, factor) for f in p)
    alone = all(f.node in layers for f in end.x.factors())
    if len(layers) != 1 or own or not alone:
        raise Unsupported("holds a part of its membrane from below, or more than it")
    return Bound("kept", plus(end.low, -end.x.constant, root.shape), factor)


def _nothing(left: Array, beside: Array) -> bool:
    """Whether a coefficient is what float64 leaves of two that cancel."""
    return bool((np.abs(left) <= 1e-12 * np.abs(beside).max()).all())


def bounded(solution: Solution, charges: list[Charge], shape: Shape) -> LIF:
    """The neurons of a solution with the lower bound of their steps. Raises `Unsupported` where that is not one."""
    node, ends = solution.node, [charge.end for charge in charges]
    if not any(ends):
        return node
    first, *others = (end.kind if end else "" for end in ends)
    whole = first == "whole"
    if any(kind != ("whole" if whole else "kept") for kind in others):
        raise Unsupported("is held from below at some steps, or differs from step to step in how")
    decay = np.asarray(node.decay, np.float64)
    if whole and not decay.any():
        return node  # nothing is kept of what was held
    if not whole and (solution.back or not (decay > 0).all()):
        raise Unsupported("is held from below together with what its own spikes add, or keeps nothing")
    if charges[0].hops != charges[-1].hops and whole:
        raise Unsupported("is held from below in another unit at its first step")
    lows = [end.low if whole else times(times(end.low, end.factor, shape), 1 / decay, shape) for end in ends if end]
    low = plus(steady(lows, "lower bound", shape), -solution.start, shape)
    if (low > 0).any():
        raise Unsupported(f"is held from below at {float(low.max()):g}, above where it starts")
    lowest_reset = np.asarray(node.reset_value).min() if node.reset == "value" else 0.0
    if whole and (np.min(node.threshold) <= low.max() or lowest_reset < low.max()):
        raise Unsupported("is held from below at its threshold, or above where a spike resets it")
    return node.with_(lower_bound=low)


def clamp_low(call: Call) -> Any:
    """clamp_min(x, low)."""
    return held(call, call.get(0, "input"), call.get(1, "min"))


def larger(call: Call) -> Any:
    """maximum(x, low) with a constant on either side."""
    a, b = call.get(0, "input"), call.get(1, "other")
    return held(call, a, b) if call.known(a) is not None else held(call, b, a)


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("clamp_min", "clamp_min_"), clamp_low),
    "maximum": larger,
}
