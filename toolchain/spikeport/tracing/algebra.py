"""Sums, multiples and products of what is followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from spikeport.graph import Array
from spikeport.tracing.symbols import ALL, REFRACTORY, THREE, Axes, Out, Product, Symbol, Unsupported, plus, times


def scaled(x: Symbol, factor: Array) -> Symbol:
    """factor * x."""
    terms = {product: times(c, factor, x.shape) for product, c in x.terms.items()}
    constant = times(x.constant, factor, x.shape)
    strange = {each: times(c, factor, x.shape) for each, c in x.strange.items()}
    return replace(x, terms=terms, constant=constant, before=(x, factor, np.zeros(())), place=None, strange=strange)


def shifted(x: Symbol, value: Array) -> Symbol:
    """x + value."""
    if not value.any():
        return x.fresh()
    return replace(x, constant=plus(x.constant, value, x.shape), before=(x, np.ones(()), value), place=None)


def summed(x: Symbol, y: Symbol) -> Symbol:
    """x + y."""
    axes = joint(x, y)
    terms = dict(x.terms)
    for product, factor in y.terms.items():
        terms[product] = plus(terms[product], factor, x.shape) if product in terms else factor
    constant = plus(x.constant, y.constant, x.shape)
    if x.strange or y.strange:
        return _less_strange(x, y, terms, axes, constant)
    return Symbol(terms, x.shape, axes, constant, x.causes | y.causes)


def _less_strange(x: Symbol, y: Symbol, terms: Mapping[Product, Array], axes: Axes, constant: Array) -> Symbol:
    """A sum in which strange values may cancel, and with them what they were taken for and their causes."""
    strange = dict(x.strange)
    for each, factor in y.strange.items():
        strange[each] = plus(strange[each], factor, x.shape) if each in strange else factor
    strange = {each: factor for each, factor in strange.items() if factor.any()}
    sound = (x.sound if x.strange else x.causes) | (y.sound if y.strange else y.causes)
    causes = sound.union(*(each.causes for each in strange))
    left = {product: factor for product, factor in terms.items() if factor.any()}
    return Symbol(left, x.shape, axes, constant, causes, strange=strange, sound=sound)


def product(x: Symbol, y: Symbol, spiking: set[str], never: Callable[[Product], bool] = lambda _: False) -> Symbol:
    """x * y where one of them is made of spikes, whose powers are themselves; ``never``: which products are zero."""
    axes = joint(x, y)
    if not (_binary(x, spiking) or _binary(y, spiking)):
        raise Unsupported("multiplies two values that depend on the input, neither of which is spikes")
    terms: dict[Product, Array] = {}
    one: Product = frozenset()
    for a, c in [*x.terms.items(), (one, x.constant)]:
        for b, d in [*y.terms.items(), (one, y.constant)]:
            whole = times(c, d, x.shape)
            both = a | b
            if len(both) > 1 and never(both):
                continue
            if len(both) > 2:
                raise Unsupported(THREE, mend=REFRACTORY, whole=True)
            if whole.any() or both:
                terms[both] = plus(terms[both], whole, x.shape) if both in terms else whole
    constant = terms.pop(one, np.zeros(()))
    return Symbol(terms, x.shape, axes, constant, x.causes | y.causes)


def _binary(x: Symbol, spiking: set[str]) -> bool:
    return all(len(p) == 1 and all(isinstance(f, Out) and f.node in spiking for f in p) for p in x.terms)


def is_spikes(x: Symbol, spiking: set[str]) -> bool:
    """Whether ``x`` holds 0 and 1 only: one layer's spikes as they are, or where they are not."""
    if len(x.terms) != 1 or not _binary(x, spiking):
        return False
    (factor,) = x.terms.values()
    pair = (float(factor), float(x.constant)) if factor.ndim == 0 and x.constant.ndim == 0 else None
    return pair in ((1.0, 0.0), (-1.0, 1.0))


def joint(x: Symbol, y: Symbol) -> Axes:
    """The axes of a sum or product of two. Raises `Unsupported` where features or time do not lie alike."""
    if x.shape != y.shape:
        raise Unsupported(f"joins features {x.shape} and {y.shape}, which only broadcasting makes equal")
    count = max(len(x.axes), len(y.axes))
    first, second = (((),) * (count - len(s.axes)) + s.axes for s in (x, y))
    axes = []
    for a, b in zip(first, second, strict=True):
        if a != b and a and b:
            raise Unsupported("joins values whose axes lie in another order")
        axes.append(a or b)
    if any("T" in group for group in axes):
        for s in (x, y):
            if not s.timed and not s.steady:
                raise Unsupported("joins values of different time layouts: one step's value with every step's")
    return tuple(axes)


def over_time(x: Symbol, weights: list[float], axes: Axes) -> Symbol:
    """The sum over time of a block, with what each step counts."""
    terms: dict[Product, Array] = {}
    for step, weight in enumerate(weights):
        for p, factor in x.at(step, axes).terms.items():
            terms[p] = plus(terms[p], factor * weight, x.shape) if p in terms else np.asarray(factor * weight)
    return Symbol(terms, x.shape, axes, np.asarray(x.constant * sum(weights)), x.causes)


def moved(x: Symbol, steps: int) -> Symbol:
    """The block that this step belongs to, when it is step number ``steps``: factors of step k run along time."""
    terms: dict[Product, Array] = {}
    for p, factor in x.terms.items():
        later = []
        for f in p:
            if f.step is not None and f.step != steps:
                raise Unsupported("joins values of different steps")
            later.append(f if f.step is None else replace(f, step=ALL))
        terms[frozenset(later)] = factor
    return Symbol(terms, x.shape, x.axes, x.constant, x.causes)


def same_sum(x: Symbol, y: Symbol) -> bool:
    """Whether both are the same sum of the same factors."""
    if x.terms.keys() != y.terms.keys() or x.axes != y.axes:
        return False
    pairs = [*((x.terms[p], y.terms[p]) for p in x.terms), (x.constant, y.constant)]
    return all(a.shape == b.shape and np.array_equal(a, b) for a, b in pairs)
