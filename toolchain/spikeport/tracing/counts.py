"""The neurons that fire several times a step, of membranes that are written by hand and rounded (`levels`).

They are those of `LIF` with `most_spikes`, of a membrane that is measured from the first threshold less one: so the
thresholds are whole multiples of one.
"""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, Shape
from spikeport.tracing.charges import ZERO, Charge, one_unit
from spikeport.tracing.recurrence import letters_of, steady
from spikeport.tracing.registry import Cells
from spikeport.tracing.schedules import entering, schedule
from spikeport.tracing.symbols import Unsupported, plus, times
from spikeport.tracing.waiting import Drawn


def counting(name: str, shape: Shape, charges: list[Charge]) -> Drawn:
    """The neurons of all steps: u[k] = d u[k-1] - d threshold s[k-1] + inputs, or without what is kept."""
    charges = one_unit(name, shape, charges)
    letters = letters_of(name, shape, charges)
    keep = steady([step.keep for step in letters[1:]], "decay", shape)
    spacing = steady([charge.spacing for charge in charges], "threshold", shape)
    origin = plus(steady([c.threshold for c in charges], "threshold", shape), -spacing, shape)
    taken = steady([step.back.get(1, ZERO) for step in letters[1:]], "reset", shape)
    if any(step.gate.any() or set(step.back) - {1} for step in letters):
        raise Unsupported("fires several times a step, and is not reset by what its spikes count")
    if taken.any() and not np.allclose(taken, times(-keep, spacing, shape), rtol=1e-9, atol=0):
        raise Unsupported("fires several times a step, and a spike takes another amount off than its threshold")
    late = plus(times(keep, origin, shape), -origin, shape)
    biases = [plus(step.constant, late if k else -origin, shape) for k, step in enumerate(letters)]
    whole = entering([step.inputs for step in letters], biases, shape)
    node = LIF(
        shape,
        keep,
        schedule([spacing] * len(charges), shape),
        reset="subtract" if taken.any() else "none",
        compare=">=",
        most_spikes=charges[0].most,
    )
    return whole.drawn(Cells(node))


def counted(shape: Shape, timesteps: int, most: int, first: float) -> Drawn:
    """Neurons without memory, whose thresholds are ``first`` and each whole number behind it."""
    node = LIF(shape, np.zeros(()), np.ones(timesteps), bias=np.asarray(1 - first), most_spikes=most)
    return Drawn(Cells(node))
