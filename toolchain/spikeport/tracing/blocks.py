"""Blocks over time: steps that are one layer's become one sum; steps that are not stay apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.graph import Array
from spikeport.tracing import operations
from spikeport.tracing.algebra import moved, same_sum
from spikeport.tracing.axes import with_time, without_time
from spikeport.tracing.call import Call
from spikeport.tracing.operands import operands
from spikeport.tracing.symbols import ALL, Out, Product, Steps, Symbol, Unsupported, plus


def steps_of(call: Call, x: Symbol | Steps) -> Steps:
    """A block as its steps."""
    call.tracer.timed = True
    if isinstance(x, Steps):
        return x
    axes, where = without_time(x.axes)
    return Steps(tuple(x.at(t, axes) for t in range(call.tracer.timesteps or 1)), where)


def step_of(call: Call, x: Symbol | Steps, step: int) -> tuple[Symbol | None, int]:
    """One step of a block, and where the axis of time lies: of a long one the others need not be made."""
    if isinstance(x, Steps):
        return x.steps[step], x.axis
    call.tracer.timed = True
    axes, where = without_time(x.axes)
    return x.at(step, axes), where


def gathered(call: Call, steps: Steps) -> Symbol | Steps:
    """The block of these steps: one sum where each step is the same sum at its own time, else step by step."""
    known = [s for s in steps.steps if s is not None]
    if len(known) == len(steps.steps):
        axes = with_time(known[0].axes, steps.axis)
        if all(s.steady for s in known) and all(same_sum(s, known[0]) for s in known):
            call.tracer.steps(len(known))
            return replace(known[0].fresh(), axes=axes)
        try:
            blocks = [moved(s, t) for t, s in enumerate(known)]
        except Unsupported:
            return _later(call, steps) or steps
        if all(same_sum(b, blocks[0]) for b in blocks):
            call.tracer.steps(len(known))
            causes = frozenset().union(*(s.causes for s in known))
            return replace(blocks[0].fresh(), axes=axes, causes=causes)
        return steps
    return _later(call, steps) or steps


def _later(call: Call, steps: Steps) -> Symbol | None:
    """A block that is another one some steps later, zeros before: a delay."""
    lag = next((t for t, s in enumerate(steps.steps) if s is not None and (s.terms or s.constant.any())), 0)
    rest = [s for s in steps.steps[lag:] if s is not None]
    if not lag or len(rest) != len(steps.steps) - lag or any(s.constant.any() for s in rest):
        return None
    try:
        blocks = [moved(s, t) for t, s in enumerate(rest)]
    except Unsupported:
        return None
    if not all(same_sum(b, blocks[0]) for b in blocks) or call.tracer.timesteps not in (None, len(steps.steps)):
        return None
    call.tracer.steps(len(steps.steps))
    terms: dict[Product, Array] = {}
    for product, factor in blocks[0].terms.items():
        (out,) = product
        if not isinstance(out, Out):
            return None
        terms[frozenset([Out(call.tracer.draft.delayed(out.node, lag), ALL)])] = factor
    return Symbol(terms, rest[0].shape, with_time(rest[0].axes, steps.axis), causes=steps.causes)


def each(call: Call, x: Symbol | Steps, does: Callable[[Symbol, Array], Symbol], value: Any) -> Symbol | Steps:
    """``does`` with ``x`` and a constant, step by step where the constant or the block says so."""
    if isinstance(x, Symbol):
        x = _as_long(call, x, value)
        constants = operands(call, value, x)
        if len(constants) == 1:
            return does(x, constants[0])
        block = steps_of(call, x)
    else:
        block = x
        first = next((s for s in block.steps if s is not None), None)
        if first is None:
            raise Unsupported("works on a block to which nothing was written yet")
        whole = replace(first, axes=with_time(first.axes, block.axis))
        constants = operands(call, value, whole)
    constants = constants * len(block.steps) if len(constants) == 1 else constants
    parts = []
    for s, c in zip(block.steps, constants, strict=True):
        if s is None:
            raise Unsupported("works on a block of which a part was not written yet")
        parts.append(does(s, c))
    return gathered(call, Steps(tuple(parts), block.axis))


def _as_long(call: Call, x: Symbol, value: Any) -> Symbol:
    """``x``, repeated along axes of features in which it has length 1 and the constant has more."""
    shape = tuple(value.shape) if isinstance(value, Tensor) else ()
    longer = [at for at, size in enumerate(shape, len(x.axes) - len(shape)) if at >= 0 and size > 1]
    longer = [at for at in longer if math.prod(call.tracer.size(x.shape, label) for label in x.axes[at]) == 1]
    if not longer:
        return x
    x = operations.settled(call.tracer, x)
    whole = (1,) * (len(x.axes) - len(shape)) + shape
    return operations.repeated(call.tracer, x, [whole[at] if at in longer else 1 for at in range(len(x.axes))])


def joined(
    call: Call, x: Symbol | Steps, y: Symbol | Steps, does: Callable[[Symbol, Symbol], Symbol]
) -> Symbol | Steps:
    """``does`` with two, step by step where one of them is a block whose steps differ."""
    if isinstance(x, Symbol) and isinstance(y, Symbol):
        return does(x, y)
    for one in (x, y):
        if isinstance(one, Symbol) and not one.timed:
            raise Unsupported("joins values of different time layouts: one step's value with every step's")
    first, second = steps_of(call, x), steps_of(call, y)
    if first.axis != second.axis or len(first.steps) != len(second.steps):
        raise Unsupported("joins blocks whose axes of time lie in other places")
    parts = []
    for s, t in zip(first.steps, second.steps, strict=True):
        if s is None or t is None:
            raise Unsupported("works on a block of which a part was not written yet")
        parts.append(does(s, t))
    return gathered(call, Steps(tuple(parts), first.axis))


def weighed(call: Call, x: Symbol | Steps, weights: list[float]) -> Symbol:
    """The sum over time, with what each step counts."""
    if isinstance(x, Steps) and len(x.steps) == call.tracer.timesteps:
        call.tracer.steps(len(x.steps))
    return weighted(steps_of(call, x), weights, call.tracer.membranes.resolved)


def weighted(block: Steps, weights: list[float], resolved: Callable[[Symbol], Symbol]) -> Symbol:
    """The sum over time of a block, with what each step counts."""
    if len(block.steps) != len(weights):
        raise Unsupported("is over another number of steps than the block has")
    first = next((s for s in block.steps if s is not None), None)
    if first is None:
        raise Unsupported("adds up a block to which nothing was written")
    terms: dict[Product, Array] = {}
    constant = np.zeros(())
    for s, weight in zip(block.steps, weights, strict=True):
        if s is None:
            continue
        s = resolved(s)
        for product, factor in s.terms.items():
            share = np.asarray(factor * weight)
            terms[product] = plus(terms[product], share, s.shape) if product in terms else share
        constant = plus(constant, s.constant * weight, s.shape)
    return Symbol(terms, first.shape, first.axes, constant, block.causes)
