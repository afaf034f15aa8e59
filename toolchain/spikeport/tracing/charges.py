"""The steps of a hand-written neuron: what is compared with what, in one unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikeport.graph import Array, Shape
from spikeport.graph.neurons import Compare
from spikeport.tracing.symbols import Bound, Membrane, Out, Product, Symbol, plus, times

ZERO = np.zeros(())


@dataclass(frozen=True)
class Charge:
    """One step: what is compared, and with what."""

    terms: Mapping[Product, Array]
    constant: Array
    threshold: Array
    compare: Compare
    asked: Symbol  #: what was compared
    hops: int  #: factors and constants between what was compared and the membrane
    most: int = 1  #: how often the neurons may fire a step
    spacing: Array = field(default_factory=lambda: ZERO)  #: where that is more: between one threshold and the next
    end: Bound | None = None  #: how the membrane is held from below

    def without_nothing(self, name: str) -> Charge:
        """Without what of the layer itself counts nothing: an adaptation of strength 0, say."""
        terms = {p: c for p, c in self.terms.items() if c.any() or not any(f.node == name for f in p)}
        return replace(self, terms=terms)


@dataclass
class Layer:
    """One hand-written neuron layer."""

    place: str  #: the line of the comparison
    charges: list[Charge] = field(default_factory=list)
    base: str = ""  #: the layer whose membrane it compares with another threshold; the charges then hold that alone
    mirrored: bool = False  #: whether it fires where that membrane is low
    silent: bool = False  #: whether it only says how a membrane goes on, which layers beside it compare

    @property
    def forgets(self) -> bool:
        """Whether no step takes in the membrane of the step before."""
        return not any(isinstance(f, Membrane) for charge in self.charges for p in charge.terms for f in p)

    def next_to(self, other: Layer, step: int) -> bool:
        """Whether another layer compares the same membrane on the same side, and this is its step."""
        return (other.base, other.mirrored, len(other.charges)) == (self.base, self.mirrored, step)


@dataclass(frozen=True)
class Asked:
    """A comparison: of what, how many factors and constants from the membrane, with what."""

    symbol: Symbol
    hops: int
    threshold: Array
    compare: Compare
    most: int = 1  #: how often the neurons may fire a step
    spacing: Array = field(default_factory=lambda: ZERO)  #: where that is more: between thresholds
    low: bool = False  #: whether it asks where the membrane is not beyond the threshold

    def charge(self, terms: Mapping[Product, Array], constant: Array, end: Bound | None = None) -> Charge:
        """The step of a layer whose membrane these are."""
        several = self.most, self.spacing, end
        return Charge(terms, constant, self.threshold, self.compare, self.symbol, self.hops, *several)


def entering_again(name: str, shape: Shape, charges: list[Charge]) -> list[Charge]:
    """The charges with the first membrane apart from the current, where one tensor is both.

    A loop over the same frame, ``v = i`` at its first step and then ``v = d * v + i``, compares the current itself.
    What later steps hold of that tensor is the current again; at the second step it is as much as at the third, and
    all of it where there is no third and nothing else enters.
    """
    first = Membrane(name, 0)
    alone, entering = frozenset([first]), charges[0]
    if any(first in product for charge in charges[2:] for product in charge.terms):
        share = charges[2].terms.get(alone, ZERO)
    elif len(charges) == 2 and alone in charges[1].terms and not _entered(name, charges[1]):
        share = np.ones(())
    else:
        return charges
    terms = {**charges[1].terms, alone: plus(charges[1].terms.get(alone, ZERO), -share, shape)}
    second = replace(charges[1], terms=terms)
    return [
        entering,
        _with(second, frozenset(), share, entering, shape),
        *(_apart(charge, first, entering, shape) for charge in charges[2:]),
    ]


def _entered(name: str, charge: Charge) -> bool:
    """Whether anything enters a step but the layer's own spikes and membranes."""
    return any(isinstance(f, Out) and f.node != name for product in charge.terms for f in product)


def _apart(charge: Charge, first: Membrane, entering: Charge, shape: Shape) -> Charge:
    """A later step, with what entered at the first one in place of the first membrane."""
    held = {product: factor for product, factor in charge.terms.items() if first in product}
    charge = replace(charge, terms={product: c for product, c in charge.terms.items() if product not in held})
    for product, factor in held.items():
        charge = _with(charge, product - {first}, factor, entering, shape)
    return charge


def _with(charge: Charge, rest: Product, factor: Array, entering: Charge, shape: Shape) -> Charge:
    """A charge and ``factor`` times what entered, times ``rest``."""
    terms, constant = dict(charge.terms), charge.constant
    for product, share in entering.terms.items():
        terms[product | rest] = plus(terms.get(product | rest, ZERO), times(factor, share, shape), shape)
    whole = times(factor, entering.constant, shape)
    if rest:
        terms[rest] = plus(terms.get(rest, ZERO), whole, shape)
    else:
        constant = plus(constant, whole, shape)
    return replace(charge, terms=terms, constant=constant)


def one_unit(name: str, shape: Shape, charges: list[Charge]) -> list[Charge]:
    """The charges with the first membrane in the unit of the later ones.

    The first step adds its input to constants, so that its membrane was taken from nearer the input: v = a * u + b.
    """
    if len(charges) < 2:
        return charges
    first, second = charges[:2]
    at = first.asked
    slope, offset = np.ones(()), ZERO
    for hop in range(first.hops):
        assert at.before is not None
        at, a, b = at.before
        if hop >= second.hops:
            slope, offset = times(slope, a, shape), plus(times(slope, b, shape), offset, shape)
    if not (slope > 0).all():
        return charges
    moved = replace(
        first,
        terms={p: times(c, slope, shape) for p, c in first.terms.items()},
        constant=plus(times(first.constant, slope, shape), offset, shape),
        threshold=plus(times(first.threshold, slope, shape), offset, shape),
        spacing=times(first.spacing, slope, shape),
    )
    return [moved, *(_in_unit(charge, Membrane(name, 0), slope, offset, shape) for charge in charges[1:])]


def _in_unit(charge: Charge, first: Membrane, slope: Array, offset: Array, shape: Shape) -> Charge:
    """A later step, of whose first membrane v it took in what is slope * v + offset now."""
    terms, constant = {p: c for p, c in charge.terms.items() if first not in p}, charge.constant
    for product, factor in charge.terms.items():
        if first not in product:
            continue
        share = times(factor, 1 / slope, shape)
        left, rest = times(-share, offset, shape), product - {first}
        terms[product] = share
        if rest:
            terms[rest] = plus(terms.get(rest, ZERO), left, shape)
        else:
            constant = plus(constant, left, shape)
    return replace(charge, terms=terms, constant=constant)
