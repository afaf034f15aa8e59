"""A hand-written neuron that no one node computes, as several: its membrane as a sum that is delayed and scaled.

    u[k] = d * u[k-1] + m * u[k-1] * s[k-1] + sum of c(j) * s[k-j] + sum of g(n, j) * n[k-j] + b

with letters that are the same at every step (`recurrence`) is a graph of its own: a `Scale` of 1 adds up what is on
the right, a `Delay` hands it on, a `Gate` multiplies it with the last spikes, and neurons without memory compare it.
Taps g need not fade: a neuron without memory over the last steps of its input (SlidingPSN) is a `Delay` a tap.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spikeport.graph import LIF, Array, Delay, Edge, Gate, Node, Scale, Shape
from spikeport.tracing.charges import ZERO, Charge, one_unit
from spikeport.tracing.draft import Drawn, Inputs
from spikeport.tracing.recurrence import Letters, letters_of, schedule, steady
from spikeport.tracing.registry import Cells
from spikeport.tracing.symbols import Unsupported, plus


def unfold(name: str, shape: Shape, charges: list[Charge]) -> Drawn:
    """The nodes of all steps. Raises `Unsupported` where the letters change over time."""
    charges = one_unit(name, shape, charges)
    letters = letters_of(name, shape, charges)
    keep = steady([step.keep for step in letters[1:]], "decay", shape)
    gate = steady([step.gate for step in letters[1:]], "reset", shape)
    lags = sorted({lag for step in letters for lag in step.back})
    back = {lag: steady([step.back.get(lag, ZERO) for step in letters[lag:]], "feedback", shape) for lag in lags}
    constant = steady([step.constant for step in letters], "bias", shape)
    thresholds = schedule([charge.threshold for charge in charges], shape)
    node = LIF(shape, np.zeros(()), thresholds, compare=charges[0].compare)
    return Drawn(_cells(node, keep, gate, back), _taps(letters, shape), constant)


def _cells(node: LIF, keep: Array, gate: Array, back: dict[int, Array]) -> Cells:
    """The neurons and what adds up their membrane; neurons alone where nothing comes back."""
    parts: dict[str, Node] = {"membrane": Scale(np.ones(()))}
    wires: list[Edge] = [("membrane", "")]

    def join(chain: list[tuple[str, Node]], source: str) -> None:
        """Nodes one behind the other, from a part into the membrane."""
        for part, each in chain:
            parts.setdefault(part, each)
            wires.append((source, part))
            source = part
        wires.append((source, "membrane"))

    if keep.any():
        join([("past", Delay(node.shape, 1)), ("keep", Scale(keep))], "membrane")
    for lag, factor in back.items():
        if factor.any():
            join([(f"after{lag}", Delay(node.shape, lag)), (f"back{lag}", Scale(factor))], "")
    if gate.any():
        join(
            [("past", Delay(node.shape, 1)), ("fired", Gate(operands=("past", "after1"))), ("lose", Scale(gate))],
            "membrane",
        )
        parts.setdefault("after1", Delay(node.shape, 1))
        wires += [("", "after1"), ("after1", "fired")]
    if len(parts) == 1:
        return Cells(node)
    return Cells(node, parts=parts, wires=tuple(dict.fromkeys(wires)), entry=("membrane",))


def _taps(letters: list[Letters], shape: Shape) -> Inputs:
    """What enters, by node and lag. What is the same at every step enters a further time at each lag."""
    taps: dict[tuple[str, int], Array] = {}
    for node in dict.fromkeys(node for step in letters for node, _ in step.inputs):
        lags = sorted({lag for step in letters for n, lag in step.inputs if n == node and lag is not None})
        for lag in lags:
            taps[node, lag] = steady([step.inputs.get((node, lag), ZERO) for step in letters[lag:]], "gain", shape)
        sums = [step.inputs.get((node, None), ZERO) for step in letters]
        if any(factor.any() for factor in sums):
            if lags:
                raise Unsupported(f"takes {node!r} both as one value and step by step")
            grown = [sums[0], *(plus(b, -a, shape) for a, b in pairwise(sums))]
            size = max(float(np.abs(factor).max()) for factor in sums)
            taps |= {(node, lag): g for lag, g in enumerate(grown) if np.abs(g).max() > 1e-12 * size}
    return {key: factor for key, factor in taps.items() if factor.any()}
