"""What modules make of spikes that say where one membrane lies: -1, 0 and 1, their size, whether there are any.

A sum of such spikes has one value between each two thresholds, so that every function of it is such a sum again, of the
same spikes: what it changes by from one threshold to the next is the factor there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cmp_to_key
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from spikeport.graph import Array, Shape
from spikeport.tracing.algebra import scaled, shifted
from spikeport.tracing.sides import Side
from spikeport.tracing.symbols import ALL, Factor, Out, Product, Symbol, Unsupported, form_of, plus
from spikeport.tracing.waiting import Waiting

if TYPE_CHECKING:
    from spikeport.tracing.call import Call

ELSEWHERE = "takes the sign of a membrane at other places than beyond its thresholds"
ONE, MINUS = np.ones(()), np.asarray(-1.0)


@dataclass(frozen=True, eq=False)
class Half:
    """One half of spikes of two signs: the size of a membrane, or its sign."""

    kind: Literal["abs", "sign"]
    x: Symbol
    values: Tensor


def mapped(call: Call, x: Symbol, function: Callable[[Array], Array]) -> Symbol | None:
    """A function of each value of a sum of spikes; None where it is a constant, or ``x`` no sum of one membrane's."""
    order = _in_order(call, x)
    if order is None:
        return None
    value = x.constant
    for out, low in order:
        value = plus(value, x.terms[frozenset([out])], x.shape) if low else value
    here = constant = function(value)
    terms: dict[Product, Array] = {}
    for out, low in order:
        factor = x.terms[frozenset([out])]
        value = plus(value, -factor if low else factor, x.shape)
        there = function(value)
        jump = plus(there, -here, x.shape)
        constant = plus(constant, jump, x.shape) if low else constant
        terms[frozenset[Factor]([out])] = -jump if low else jump
        here = there
    terms = {product: factor for product, factor in terms.items() if factor.any()}
    return replace(x, terms=terms, constant=constant, before=None, place=None) if terms else None


def _in_order(call: Call, x: Symbol) -> list[tuple[Out, bool]] | None:
    """The spikes of a sum from the lowest threshold to the highest, and which of them say that nothing is beyond."""
    outs = [out for product in x.terms for out in product if isinstance(out, Out)]
    if x.strange or not outs or len(outs) < len(x.terms) or any(len(product) != 1 for product in x.terms):
        return None
    nodes = [call.tracer.draft.nodes[out.node] for out in outs]
    if not all(isinstance(node, Waiting) and node.binary for node in nodes):
        return None
    if len(outs) == 1:
        return [(outs[0], False)]
    sides = {out: side for out in outs if (side := side_of(call, out)) is not None}
    if len(sides) < len(outs) or len({(side.root, out.step) for out, side in sides.items()}) > 1:
        return None
    if not all(a.before(b, x.shape) or b.before(a, x.shape) for a, b in combinations(sides.values(), 2)):
        return None

    def compared(a: Out, b: Out) -> int:
        return -1 if sides[a].before(sides[b], x.shape) else 1

    return [(out, sides[out].low) for out in sorted(outs, key=cmp_to_key(compared))]


def side_of(call: Call, out: Out) -> Side | None:
    """Where the membrane lies if a layer fires."""
    known = call.tracer.membranes.sides
    return known.get(out) or known.get(Out(out.node, ALL))


def never(call: Call, product: Product, shape: Shape) -> bool:
    """Whether two of some factors are spikes that are never there at once: one not beyond what the other is beyond."""
    outs = sorted(f for f in product if isinstance(f, Out))
    return any(_apart(call, *pair, shape) or _apart(call, *pair[::-1], shape) for pair in combinations(outs, 2))


def _apart(call: Call, below: Out, beyond: Out, shape: Shape) -> bool:
    low, high = side_of(call, below), side_of(call, beyond)
    if low is None or high is None or below.step != beyond.step or low.root != high.root:
        return False
    return low.low and not high.low and low.before(high, shape)


def times_sign(call: Call, x: Symbol, y: Symbol) -> Symbol | None:
    """sign(u) times the spikes that say that u lies beyond thresholds; None where neither is a sign.

    Raises `Unsupported` for a sign at other places.
    """
    halves = [
        (half, other) for half, other in ((form_of(x, Half), y), (form_of(y, Half), x)) if half and half.kind == "sign"
    ]
    if not halves:
        return None
    half, spikes = halves[0]
    root, zero, turned = call.tracer.membranes.root_of(half.x)
    strict, wide = (Side(id(root), True, zero, compare) for compare in (">", ">="))
    terms: dict[Product, Array] = {}
    for out, factor in _factors(spikes).items():
        side = side_of(call, out)
        if side is None or side.root != id(root):
            raise Unsupported(ELSEWHERE)
        high = not side.low and strict.before(side, x.shape)
        if not high and not (side.low and side.before(wide, x.shape)):
            raise Unsupported(ELSEWHERE)
        terms[frozenset[Factor]([out])] = factor if high != turned else -factor
    return replace(spikes, terms=terms, before=None, place=None)


def _factors(x: Symbol) -> dict[Out, Array]:
    """The factor of each layer's spikes in a sum of nothing else. Raises `Unsupported` for other sums."""
    outs = {next(iter(product)): factor for product, factor in x.terms.items() if len(product) == 1}
    factors = {out: factor for out, factor in outs.items() if isinstance(out, Out)}
    if len(factors) < len(x.terms) or x.constant.any():
        raise Unsupported(ELSEWHERE)
    return factors


def not_(x: Symbol) -> Symbol:
    """1 - spikes."""
    return shifted(scaled(x, MINUS), ONE)
