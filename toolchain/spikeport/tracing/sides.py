"""Neurons that compare one membrane at several thresholds: those of two signs fire 1 where it is high, -1 where low.

Each threshold is a layer of its own. The layer that is compared first says how the membrane goes on; the others have
the same letters with another threshold, and one that fires where the membrane is low has them mirrored, u' = -u. Where
each of them can so be a node with a membrane of its own, into which the spikes of the others enter, it is; else the
membrane is a sum of its own (`unfolded`) that all of them compare without memory. What a module makes of the spikes of
both signs, such as their difference and its size, is known as long as never two fire at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikeport.graph import LIF, Array, Shape
from spikeport.graph.neurons import Compare
from spikeport.tracing.charges import Charge, Layer, entering_again, one_unit
from spikeport.tracing.registry import Cells
from spikeport.tracing.schedules import schedule
from spikeport.tracing.symbols import Factor, Membrane, over
from spikeport.tracing.waiting import Drawn

ONE, MINUS = np.ones(()), np.asarray(-1.0)
STRICT: dict[Compare, Compare] = {">=": ">", ">": ">="}  #: u >= a says the same as not -u > -a


@dataclass(frozen=True)
class Side:
    """Where some spikes' membrane lies: beyond a threshold, or not."""

    root: int  #: which tensor was compared
    low: bool  #: whether they say that it lies not beyond
    threshold: Array
    compare: Compare  #: which beyond is

    def before(self, other: Side, shape: Shape) -> bool:
        """Whether whatever lies beyond the other's threshold lies beyond this one's."""
        here, there = over(self.threshold, shape), over(other.threshold, shape)
        return bool((here < there).all()) or bool((here <= there).all() and self.compare >= other.compare)


def of_base(name: str, layer: Layer, base: list[Charge], shape: Shape) -> list[Charge]:
    """The charges of a layer that compares the membrane of another one."""
    steps = zip(base, layer.charges, strict=False)  # the last ones may come too late to matter
    own = [replace(b, threshold=c.threshold, compare=c.compare) for b, c in steps]
    own = entering_again(layer.base, shape, [charge.without_nothing(layer.base) for charge in own])
    return [_renamed(name, layer, charge) for charge in one_unit(layer.base, shape, own)]


def comparing(shape: Shape, layer: Layer, charges: list[Charge]) -> Drawn:
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
