"""A hand-written neuron that no one node computes, as several: its membrane as a sum that is delayed and scaled.

    u[k] = d * u[k-1] + m * u[k-1] * s[k-1] + sum of c(j) * s[k-j] + sum of g(n, j) * n[k-j] + b

(the letters of `recurrence`) is a graph of its own: a `Scale` of 1 adds up what is on the right, a `Delay` hands it on,
a `Gate` multiplies it with the last spikes, and neurons without memory compare it. Taps g need not fade: a neuron over
the last steps of its input (SlidingPSN) is a `Delay` a tap. Letters that differ from step to step are a `StepAffine`.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np

from spikeport.graph import LIF, Array, Delay, Edge, Gate, Node, Scale, Shape, StepAffine
from spikeport.tracing.charges import ZERO, Charge, one_unit
from spikeport.tracing.draft import Draft
from spikeport.tracing.recurrence import SAME, Letters, currents, into_current, letters_of, solve, steady
from spikeport.tracing.registry import OUTSIDE, Cells
from spikeport.tracing.schedules import alike, entering, schedule, without_norms
from spikeport.tracing.snntorch_states import erased
from spikeport.tracing.symbols import Factor, Out, Symbol, Unsupported, plus
from spikeport.tracing.waiting import Drawn

WHOLE = ""  #: stands for all that enters a layer
OWN = ""  #: the layer itself, among those that gate its membrane


def unfold(name: str, shape: Shape, charges: list[Charge], draft: Draft, *, shared: bool = False) -> Drawn:
    """The nodes of all steps: one, behind what differs from step to step, or several.

    Where the membrane is ``shared`` with other layers, it is a node of its own in any case. Raises `Unsupported` for
    what is no sum of products with the last spikes.
    """
    plain = [plain_charge(draft, shape, charge) for charge in one_unit(name, shape, charges)]
    if not shared and (kept := _before_erasing(name, plain)) is not None:
        return _erased(name, shape, kept)
    letters = letters_of(name, shape, plain)
    whole = entering([step.inputs for step in letters], [step.constant for step in letters], shape)
    if not shared:
        with contextlib.suppress(Unsupported):
            solution = solve(name, shape, [_of_whole(name, k, charge) for k, charge in enumerate(plain)])
            return whole.drawn(Cells(solution.node, tuple(solution.back.items())))
    keep, gate = [step.keep for step in letters], [step.gate for step in letters]
    lags = sorted({lag for step in letters for lag in step.back})
    back = {lag: [step.back.get(lag, ZERO) for step in letters] for lag in lags}
    thresholds = schedule([charge.threshold for charge in plain], shape)
    node = LIF(shape, np.zeros(()), thresholds, compare=plain[0].compare)
    others = sorted({other for step in letters for other in step.others})
    gates = {OWN: gate, **{other: [step.others.get(other, ZERO) for step in letters] for other in others}}
    gates = {layer: factors for layer, factors in gates.items() if any(each.any() for each in factors)}
    cells = _cells(node, keep, gates, back)
    return whole.drawn(cells if shared or len(cells.parts) > 1 else Cells(node))


def _before_erasing(name: str, charges: list[Charge]) -> list[Charge] | None:
    """The charges u of neurons that lose all of it at the step after a spike, (1 - s[k-1]) u, what enters then too."""
    kept = []
    for step, charge in enumerate(charges):
        own = Out(name, step - 1)
        lost = {p - {own}: c for p, c in charge.terms.items() if own in p and c.any()}
        rest = {p: c for p, c in charge.terms.items() if own not in p}
        whole = {**rest, **({frozenset[Factor](): charge.constant} if charge.constant.any() else {})}
        opposite = lost.keys() == whole.keys() and all(np.array_equal(-lost[p], whole[p]) for p in lost)
        if step and not opposite:
            return None
        kept.append(replace(charge, terms=rest))
    return kept if len(kept) > 1 else None


def _erased(name: str, shape: Shape, charges: list[Charge]) -> Drawn:
    """A membrane, behind a current where there is one, that is multiplied by 1 - s[k-1].

    The layer's own spikes enter as anything does; what one of them adds at the next step is lost with the rest.
    """
    letters = letters_of(name, shape, charges)
    fade, inputs, constant, biases = currents(letters, shape)
    bias = steady(biases, "bias", shape) if not fade.any() else ZERO
    if fade.any() and not _nothing_beside(constant, biases, shape):
        raise Unsupported("loses what enters at the step after a spike, and has a bias besides its current")
    keep = steady([step.keep for step in letters[1:]], "decay", shape)
    back = _own_spikes(letters, fade, shape)
    node = LIF(shape, np.zeros(()), schedule([c.threshold for c in charges], shape), compare=charges[0].compare)
    cells = erased(node, keep, np.ones(()), None, fade if fade.any() else None, back)
    return Drawn(cells, inputs, plus(bias, constant, shape))


def _nothing_beside(constant: Array, biases: list[Array], shape: Shape) -> bool:
    """Whether all that is added at each step enters the current, up to rounding."""
    least = SAME * float(np.abs(constant).max(initial=0.0))
    return all(bool((np.abs(bias) <= least).all()) for bias in biases)


def _own_spikes(letters: list[Letters], fade: Array, shape: Shape) -> dict[int, Array]:
    """What the layer feeds back into itself, by how many steps ago it fired."""
    lags = sorted({lag for step in letters for lag in step.back if lag > 1})
    back = {lag: steady([step.back.get(lag, ZERO) for step in letters[lag:]], "feedback", shape) for lag in lags}
    back = {lag: factor for lag, factor in back.items() if factor.any()}
    return into_current(back, fade, len(letters), shape) if back and fade.any() else back


def _of_whole(name: str, step: int, charge: Charge) -> Charge:
    """The charge with one thing entering, whatever it is made of."""
    own = {p: c for p, c in charge.terms.items() if any(factor.node == name for factor in p)}
    return replace(charge, terms={**own, frozenset([Out(WHOLE, step)]): np.ones(())}, constant=ZERO)


def plain_charge(draft: Draft, shape: Shape, charge: Charge) -> Charge:
    """The charge with normalisations as factors and constants: those of several steps are then factors of one node."""
    plain = without_norms(draft, Symbol(charge.terms, shape, (), charge.constant))
    return replace(charge, terms=plain.terms, constant=plain.constant)


def _factor(values: list[Array], shape: Shape, lag: int) -> Node:
    """A factor of what is ``lag`` steps old, before which there is nothing: a `Scale`, or a `StepAffine`."""
    if alike(values[lag:], shape):
        return Scale(values[-1])
    return StepAffine(gain=schedule(values, shape), bias=np.zeros(len(values)))


def _cells(node: LIF, keep: list[Array], gates: dict[str, list[Array]], back: dict[int, list[Array]]) -> Cells:
    """The neurons and what adds up their membrane.

    ``gates``: by the layer, what of the membrane is added once more where that fired a step before.
    """
    parts: dict[str, Node] = {"membrane": Scale(np.ones(()))}
    wires: list[Edge] = [("membrane", "")]

    def join(chain: list[tuple[str, Node]], source: str) -> None:
        """Nodes one behind the other, from a part into the membrane."""
        for part, each in chain:
            parts.setdefault(part, each)
            wires.append((source, part))
            source = part
        wires.append((source, "membrane"))

    if any(each.any() for each in keep):
        join([("past", Delay(node.shape, 1)), ("keep", _factor(keep, node.shape, 1))], "membrane")
    for lag, factors in back.items():
        if any(each.any() for each in factors):
            join([(f"after{lag}", Delay(node.shape, lag)), (f"back{lag}", _factor(factors, node.shape, lag))], "")
    others = [layer for layer in gates if layer != OWN]
    for layer, gate in gates.items():
        number = "" if layer == OWN else f"#{others.index(layer) + 2}"
        after, fired, lose = f"after1{number}", f"fired{number}", f"lose{number}"
        past: list[tuple[str, Node]] = [("past", Delay(node.shape, 1))]
        lost: list[tuple[str, Node]] = [(fired, Gate(operands=("past", after))), (lose, _factor(gate, node.shape, 1))]
        join([*past, *lost], "membrane")
        parts.setdefault(after, Delay(node.shape, 1))
        wires += [(OUTSIDE + layer if layer else "", after), (after, fired)]
    return Cells(node, parts=parts, wires=tuple(dict.fromkeys(wires)), entry=("membrane",))
