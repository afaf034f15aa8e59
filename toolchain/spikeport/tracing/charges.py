"""The steps of a hand-written neuron: what is compared with what, in one unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikeport.graph import Array, Shape
from spikeport.graph.neurons import Compare
from spikeport.tracing.symbols import Membrane, Product, Symbol, plus, times

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
    terms, constant = {p: c for p, c in second.terms.items() if Membrane(name, 0) not in p}, second.constant
    for product, factor in second.terms.items():
        if Membrane(name, 0) not in product:
            continue
        share = times(factor, 1 / slope, shape)
        left, rest = times(-share, offset, shape), product - {Membrane(name, 0)}
        terms[product] = share
        if rest:
            terms[rest] = plus(terms.get(rest, ZERO), left, shape)
        else:
            constant = plus(constant, left, shape)
    return [moved, replace(second, terms=terms, constant=constant), *charges[2:]]
