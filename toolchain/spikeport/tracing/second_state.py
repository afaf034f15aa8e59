"""A hand-written neuron with a second state beside its membrane: adaptation that follows the membrane, or resonance.

    u[k] = d * u[k-1] + m * u[k-1] * s[k-1] + c * s[k-1] + w[k] + what enters
    w[k] = r * w[k-1] + p * u[k-1] + g * u[k-1] * s[k-1] + q * s[k-1]

is an adaptive LIF whose current w follows its membrane and its spikes (adLIF, as SparCh has it; with a reset to zero
Baronig et al.'s), or the real part of a neuron that swings (w: the imaginary one). A module says u alone: of a
membrane, a spike or their product n steps ago it counts a share that, from n = 2 on, fades by r a step. The graph adds
both states up in a `Scale` of 1 each, hands them on by a `Delay`, and compares u by neurons without memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spikeport.graph import LIF, Array, Delay, Edge, Gate, Node, Scale, Shape
from spikeport.tracing.charges import ZERO, Charge, one_unit
from spikeport.tracing.draft import Draft
from spikeport.tracing.registry import Cells
from spikeport.tracing.schedules import entering, schedule
from spikeport.tracing.symbols import Membrane, Out, Product, Unsupported, over, plus
from spikeport.tracing.unfolded import plain_charge
from spikeport.tracing.waiting import Drawn

KEEP, LOSE, BACK = "keep", "lose", "back"  #: what of it is counted: membranes, membranes at spikes, spikes
SEEN = 4  #: steps that tell how the second state fades
CLOSE = 1e-9  #: relative, of what float64 computes in another order

Taps = dict[int, Array]  #: by how many steps ago


@dataclass
class _Step:
    """One step's terms, sorted."""

    own: dict[str, Taps] = field(default_factory=lambda: {KEEP: {}, LOSE: {}, BACK: {}})
    inputs: dict[tuple[str, int | None], Array] = field(default_factory=dict)


def second_state(name: str, shape: Shape, charges: list[Charge], draft: Draft) -> Drawn:
    """The nodes of both states. Raises `Unsupported` where there is no second one."""
    plain = [plain_charge(draft, shape, charge) for charge in one_unit(name, shape, charges)]
    if len(plain) < SEEN:
        raise Unsupported(f"has two states, and {len(plain)} steps do not tell how they fade; run {SEEN} or more")
    steps = [_sorted(name, k, charge, shape) for k, charge in enumerate(plain)]
    taps = {kind: _taps([step.own[kind] for step in steps], shape) for kind in (KEEP, LOSE, BACK)}
    fade = _fade(list(taps.values()), shape)
    second = {kind: _first(each, fade, shape) for kind, each in taps.items()}
    first = {kind: _apart(each[1], second[kind], shape) for kind, each in taps.items()}
    whole = entering([step.inputs for step in steps], [charge.constant for charge in plain], shape)
    thresholds = schedule([charge.threshold for charge in plain], shape)
    node = LIF(shape, np.zeros(()), thresholds, compare=plain[0].compare)
    return whole.drawn(_cells(node, first, second, fade))


def _sorted(name: str, step: int, charge: Charge, shape: Shape) -> _Step:
    found = _Step()
    for product, factor in charge.terms.items():
        kind, at = _kind(name, product)
        if kind:
            found.own[kind][step - at] = factor
            continue
        (out, *others) = product
        if others or not isinstance(out, Out):
            raise Unsupported("multiplies its membrane with values that are not its own spikes of that step")
        key = (out.node, None if out.step is None else step - out.step)
        found.inputs[key] = plus(found.inputs.get(key, ZERO), factor, shape)
    if any(lag is not None and lag < 0 for _, lag in found.inputs):
        raise Unsupported("a step of its input enters before its time")
    return found


def _kind(name: str, product: Product) -> tuple[str, int]:
    """What a term counts of the layer itself, and of which step; "" for what enters."""
    own = {(type(f), f.step) for f in product if f.node == name and f.step is not None}
    at = {step for _, step in own}
    if len(own) != len(product) or len(at) != 1:
        return "", 0
    kinds = frozenset(kind for kind, _ in own)
    known: Mapping[frozenset[type], str] = {
        frozenset([Membrane]): KEEP,
        frozenset([Out]): BACK,
        frozenset([Membrane, Out]): LOSE,
    }
    return known[kinds], at.pop()


def _taps(steps: Sequence[Taps], shape: Shape) -> list[Array]:
    """Shares by steps ago, from 0 on; each step counts as the last does."""
    last = [steps[-1].get(lag, ZERO) for lag in range(len(steps))]
    for k, step in enumerate(steps):
        for lag in range(1, k + 1):
            if not _same(step.get(lag, ZERO), last[lag], shape):
                raise Unsupported("counts what it did otherwise from step to step")
    return last


def _same(a: Array, b: Array, shape: Shape) -> bool:
    return bool(np.allclose(over(a, shape), over(b, shape), rtol=CLOSE, atol=1e-15))


def _fade(families: Sequence[Sequence[Array]], shape: Shape) -> Array:
    """r: the third share over the second, wherever there is one."""
    fade = ZERO
    for _, _, second, third, *_ in families:
        known = over(second, shape) != 0
        ratio = np.divide(over(third, shape), over(second, shape), out=np.zeros(known.shape), where=known)
        fade = np.where(over(fade, shape) == 0, ratio, over(fade, shape))
    if not fade.any():
        raise Unsupported("follows from steps longer ago than the last, and not by a state that fades")
    return _narrow(fade, shape)


def _narrow(value: Array, shape: Shape) -> Array:
    """[*shape] as [] or [C] where it is the same along the rest."""
    whole = np.broadcast_to(value, shape)
    for form in ((1,) * len(shape), (shape[0], *(1,) * (len(shape) - 1))):
        part = whole[tuple(slice(0, n) for n in form)]
        if np.array_equal(np.broadcast_to(part, shape), whole):
            return part.reshape(() if form[0] == 1 else (shape[0],))
    return whole


def _first(taps: Sequence[Array], fade: Array, shape: Shape) -> Array:
    """What the second state takes up of the step before: the share of two steps ago over r."""
    r = over(fade, shape)
    share = np.divide(
        over(taps[2], shape), r, out=np.zeros(np.broadcast_shapes(over(taps[2], shape).shape, r.shape)), where=r != 0
    )
    for lag in range(2, len(taps)):
        if not _same(taps[lag], _narrow(share * r ** (lag - 1), shape), shape):
            raise Unsupported("follows from steps longer ago than the last, and not by one state that fades")
    return _narrow(share, shape)


def _apart(whole: Array, part: Array, shape: Shape) -> Array:
    """What the membrane takes up of the step before, besides what the second state does; no rounding for nothing."""
    rest = plus(whole, -part, shape)
    return np.where(np.abs(rest) <= CLOSE * np.abs(over(part, shape) if rest.ndim > 1 else part), 0.0, rest)


def _cells(node: LIF, first: Mapping[str, Array], second: Mapping[str, Array], fade: Array) -> Cells:
    """The membrane, the second state beside it, and the neurons that compare the membrane."""
    parts: dict[str, Node] = {"membrane": Scale(np.ones(())), "second": Scale(np.ones(()))}
    wires: list[Edge] = [("membrane", ""), ("second", "membrane")]
    parts |= {"second.past": Delay(node.shape, 1), "second.fade": Scale(fade)}
    wires += [("second", "second.past"), ("second.past", "second.fade"), ("second.fade", "second")]
    past: dict[str, Node] = {"past": Delay(node.shape, 1)}
    after: dict[str, Node] = {"after1": Delay(node.shape, 1)}
    sources = {
        KEEP: (past, [("membrane", "past")], "past"),
        BACK: (after, [("", "after1")], "after1"),
        LOSE: (
            {**past, **after, "fired": Gate(operands=("past", "after1"))},
            [("membrane", "past"), ("", "after1"), ("past", "fired"), ("after1", "fired")],
            "fired",
        ),
    }
    for kind, (nodes, edges, source) in sources.items():
        for state, prefix, shares in (("membrane", "", first), ("second", "second.", second)):
            if not shares[kind].any():
                continue
            parts |= {**nodes, f"{prefix}{kind}": Scale(shares[kind])}
            wires += [*edges, (source, f"{prefix}{kind}"), (f"{prefix}{kind}", state)]
    return Cells(node, parts=parts, wires=tuple(dict.fromkeys(wires)), entry=("membrane",))
