"""Neurons that compare one membrane at several thresholds: those of two signs fire 1 where it is high, -1 where low.

Each threshold is a layer of its own. The layer that is compared first says how the membrane goes on; the others have
the same letters with another threshold, and one that fires where the membrane is low has them mirrored, u' = -u. Where
each of them can so be a node with a membrane of its own, into which the spikes of the others enter, it is; else the
membrane is a sum of its own (`unfolded`) that all of them compare without memory. What a module makes of the spikes of
both signs, such as their difference and its size, is known as long as never two fire at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from spikeport.graph import LIF, Array, Shape
from spikeport.graph.neurons import Compare
from spikeport.tracing.algebra import scaled, shifted
from spikeport.tracing.charges import Charge, Layer, entering_again, one_unit
from spikeport.tracing.draft import Drawn
from spikeport.tracing.registry import Cells
from spikeport.tracing.schedules import schedule
from spikeport.tracing.symbols import ALL, Factor, Membrane, Out, Symbol, Unsupported

if TYPE_CHECKING:
    from spikeport.tracing.call import Call

ONE, MINUS, NOTHING = np.ones(()), np.asarray(-1.0), np.zeros(())
STRICT: dict[Compare, Compare] = {">=": ">", ">": ">="}  #: u >= a says the same as not -u > -a


@dataclass(frozen=True)
class Side:
    """Where some spikes' membrane lies."""

    root: int  #: which tensor was compared
    low: bool  #: whether they say that it lies below their threshold
    threshold: Array


@dataclass(frozen=True, eq=False)
class Half:
    """One half of spikes of two signs: the size of a membrane, or its sign."""

    kind: Literal["abs", "sign"]
    x: Symbol
    values: Tensor


# -- layers -----------------------------------------------------------------------------------------------------------


def of_base(name: str, layer: Layer, base: list[Charge], shape: Shape) -> list[Charge]:
    """The charges of a layer that compares the membrane of another one."""
    own = [replace(b, threshold=c.threshold, compare=c.compare) for b, c in zip(base, layer.charges, strict=True)]
    own = entering_again(layer.base, shape, [charge.without_nothing(layer.base) for charge in own])
    return [_renamed(name, layer, charge) for charge in one_unit(layer.base, shape, own)]


def memoryless(shape: Shape, layer: Layer, charges: list[Charge]) -> Drawn:
    """The neurons of a layer that compares the sum that is another one's membrane; ``charges``: `of_base`."""
    thresholds = schedule([charge.threshold for charge in charges], shape)
    node = LIF(shape, np.zeros(()), thresholds, compare=charges[0].compare)
    return Drawn(Cells(node), membrane=(layer.base, MINUS if layer.mirrored else ONE))


def _renamed(name: str, layer: Layer, charge: Charge) -> Charge:
    """A step in which the layer's own membrane, mirrored or not, takes the place of the other one's."""
    sign = -1.0 if layer.mirrored else 1.0

    def own(factor: Factor) -> Factor:
        return replace(factor, node=name) if isinstance(factor, Membrane) and factor.node == layer.base else factor

    terms = {
        frozenset(map(own, product)): c * sign ** (1 + sum(isinstance(f, Membrane) for f in product))
        for product, c in charge.terms.items()
    }
    compare = STRICT[charge.compare] if layer.mirrored else charge.compare
    return replace(
        charge, terms=terms, constant=sign * charge.constant, threshold=sign * charge.threshold, compare=compare, hops=0
    )


# -- what both are together -------------------------------------------------------------------------------------------


def signed(call: Call, x: Symbol) -> dict[Out, Array] | None:
    """The factor of each layer's spikes, where ``x`` is a sum of spikes of which never two are there at once."""
    outs = [out for product in x.terms for out in product if isinstance(out, Out)]
    if x.strange or x.constant.any() or len(outs) < 2 or any(len(product) != 1 for product in x.terms):
        return None
    if len(outs) < len(x.terms) or not all(apart(call, a, b) for a, b in combinations(outs, 2)):
        return None
    return {out: x.terms[frozenset([out])] for out in outs}


def apart(call: Call, a: Out, b: Out) -> bool:
    """Whether two layers never fire at once: no membrane lies above one threshold and below a lower one."""
    if a.step != b.step:
        return False
    one, two = (side_of(call, out) for out in (a, b))
    if one is None or two is None or one.root != two.root or one.low == two.low:
        return False
    low, high = (one, two) if one.low else (two, one)
    return bool((np.min(high.threshold) > np.max(low.threshold)).all())


def side_of(call: Call, out: Out) -> Side | None:
    """Where the membrane lies if a layer fires."""
    known = call.tracer.membranes.sides
    return known.get(out) or known.get(Out(out.node, ALL))


def where(call: Call, x: Symbol, holds: Callable[[float], bool]) -> Symbol | None:
    """Where the value of spikes of two signs is one for which something holds; None for other sums."""
    factors = signed(call, x)
    if factors is None or any(factor.ndim for factor in factors.values()):
        return None
    zero = holds(0.0)
    chosen = {out for out, factor in factors.items() if holds(float(factor)) != zero}
    terms = {frozenset[Factor]([out]): MINUS if zero else ONE for out in factors if out in chosen}
    return replace(x, terms=terms, constant=ONE if zero else NOTHING, before=None, place=None)


def without_both(call: Call, x: Symbol) -> Symbol:
    """``x`` without products of spikes that are never there at once."""
    pairs = {p: [f for f in p if isinstance(f, Out)] for p in x.terms if len(p) > 1}
    never = [p for p, outs in pairs.items() if any(apart(call, a, b) for a, b in combinations(outs, 2))]
    return replace(x, terms={p: c for p, c in x.terms.items() if p not in never}) if never else x


def half_of(x: Symbol) -> Half | None:
    """The half that a symbol is; None where it is anything else."""
    forms = [strange.form for strange, factor in x.strange.items() if factor.ndim == 0 and factor == 1]
    return forms[0] if len(x.strange) == len(forms) == 1 and isinstance(forms[0], Half) else None


def times_sign(call: Call, x: Symbol, y: Symbol) -> Symbol | None:
    """sign(u) times the spikes that say that u lies beyond thresholds; None where neither is a sign.

    Raises `Unsupported` for a sign at other places.
    """
    halves = [(half, other) for half, other in ((half_of(x), y), (half_of(y), x)) if half and half.kind == "sign"]
    if not halves:
        return None
    half, spikes = halves[0]
    root, turned = call.tracer.membranes.root_of(half.x)
    factors = signed(call, spikes) or {}
    sides = {out: side_of(call, out) for out in factors}
    if not factors or any(side is None or side.root != id(root) for side in sides.values()):
        raise Unsupported("takes the sign of a membrane at other places than beyond its thresholds")
    if any(side and (side.threshold > 0).all() == side.low for side in sides.values()):
        raise Unsupported("takes the sign of a membrane on both sides of 0")
    terms = {
        frozenset[Factor]([out]): factor * (1.0 if side and side.low == turned else -1.0)
        for (out, factor), side in zip(factors.items(), sides.values(), strict=True)
    }
    return replace(spikes, terms=terms, before=None, place=None)


def where_signed(call: Call, x: Symbol) -> Symbol | None:
    """sign(x) of spikes of two signs."""
    factors = signed(call, x)
    if factors is None:
        return None
    return replace(
        x, terms={frozenset[Factor]([out]): np.sign(c) for out, c in factors.items()}, before=None, place=None
    )


def size(call: Call, x: Symbol) -> Symbol | None:
    """|x| of spikes of two signs."""
    factors = signed(call, x)
    if factors is None:
        return None
    return replace(
        x, terms={frozenset[Factor]([out]): np.abs(c) for out, c in factors.items()}, before=None, place=None
    )


def not_(x: Symbol) -> Symbol:
    """1 - spikes."""
    return shifted(scaled(x, MINUS), ONE)
