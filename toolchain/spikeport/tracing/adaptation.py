"""Hand-written neurons whose thresholds, or what a spike takes away, follow their own spikes.

With r[k] = s[k-1] and a trace n[k] = rho n[k-1] + s[k-2] of older spikes, a loop over time compares

    u[k] = d u[k-1] + m u[k-1] r[k] + c r[k] + C n[k] + P r[k] n[k] + what enters + b

which unrolled is ``c_j = C rho**(j-2)`` times s[k-j] and ``p_j = P rho**(j-2)`` times s[k-1] s[k-j], j = 2, 3, ...
A threshold theta + a[k-1], a[k] = rho a[k-1] + beta s[k] (Bellec et al., NeurIPS 2018, section 2), is
``C = beta (d - rho)`` with ``m = -d, c = -beta, P = -d beta`` where a spike resets to zero, ``c = -beta - d theta,
P = -d beta`` where it takes the threshold off, and ``P = 0`` where a spike takes nothing, or a constant: the node
`ALIF`. Other letters are several nodes: a sum, delays, and a `Gate` for products with the last spikes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.graph import ALIF, LIF, Array, Delay, Edge, Gate, Node, Scale, Shape, StepAffine
from spikeport.tracing.charges import ZERO, Charge, one_unit
from spikeport.tracing.recurrence import Letters, currents, steady
from spikeport.tracing.registry import Cells
from spikeport.tracing.schedules import schedule
from spikeport.tracing.symbols import Membrane, Out, Unsupported, over, plus, times
from spikeport.tracing.waiting import Drawn

CLOSE = 1e-6  #: coefficients that float32 computes in another order
ROUNDING = 1e-12  #: of the largest coefficient of a step, what float64 leaves of two that cancel
LEAST = 4  #: timesteps that show how a trace fades


@dataclass
class Step:
    """One step's letters, those of the layer's own spikes apart."""

    keep: Array = field(default_factory=lambda: ZERO)
    gate: Array = field(default_factory=lambda: ZERO)
    single: dict[int, Array] = field(default_factory=dict)  #: c_j, by j
    pair: dict[int, Array] = field(default_factory=dict)  #: p_j, by j
    inputs: dict[tuple[str, int | None], Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Law:
    """The letters of every step."""

    keep: Array
    gate: Array
    last: Array  #: c; [T, ...] where a spike takes another amount at other steps, as where an adaptation starts above 0
    trace: Array  #: C
    product: Array  #: P
    fade: Array  #: rho


def follows_itself(name: str, charges: Sequence[Charge]) -> bool:
    """Whether spikes of longer ago than the last step count, or products of spikes."""
    own = [[f for f in p if isinstance(f, Out) and f.node == name] for charge in charges for p in charge.terms]
    late = any(
        isinstance(f, Out) and f.node == name and f.step is not None and f.step < k - 1
        for k, charge in enumerate(charges)
        for p, c in charge.terms.items()
        if c.any()
        for f in p
    )
    return late or any(len(outs) > 1 for outs in own)


def adapted(name: str, shape: Shape, charges: list[Charge]) -> Drawn:
    """The neurons of all steps. Raises `Unsupported`."""
    if len(charges) < LEAST:
        mend = f"capture it with timesteps={LEAST} or more: fewer do not show how the threshold comes back"
        raise Unsupported("its threshold follows its own spikes", mend=mend)
    charges = one_unit(name, shape, charges)
    steps = [_step(name, k, charge) for k, charge in enumerate(charges)]
    keep = steady([step.keep for step in steps[1:]], "decay", shape)
    gate = steady([step.gate for step in steps[1:]], "reset", shape)
    bias, thresholds, lasts = _measured(steps, charges, keep, gate, shape)
    even = all(_same(last, lasts[0], shape) for last in lasts)
    last = lasts[0] if even else schedule([lasts[0], *lasts], shape)
    trace, fade = _fading([step.single for step in steps], shape)
    product, other = _fading([step.pair for step in steps], shape)
    if trace.any() and product.any() and not _same(fade, other, shape):
        raise Unsupported("its own spikes count in two ways that fade differently")
    law = Law(keep, gate, last, trace, product, fade if trace.any() else other)
    letters = [Letters(keep, gate, {}, step.inputs, bias) for step in steps]
    current, inputs, entering, biases = currents(letters, shape)
    bias = steady(biases, "bias", shape)
    compare = charges[0].compare
    node = LIF(shape, ZERO, schedule(thresholds, shape), compare=compare)
    cells = _one_node(node, law, thresholds, bias, shape) if even else None
    if cells is None:
        if bias.any() and current.any():
            raise Unsupported("its threshold follows its own spikes, and it has a bias beside a current")
        cells, entering = _several(node, law, varies=not even), plus(entering, bias, shape)
    return Drawn(_behind(cells, current, shape), inputs, entering)


def _step(name: str, k: int, charge: Charge) -> Step:
    step, last = Step(), Out(name, k - 1)
    nothing = ROUNDING * max(float(np.abs(factor).max()) for factor in charge.terms.values())
    for product, factor in charge.terms.items():
        if (np.abs(factor) <= nothing).all():
            continue
        outs = [f for f in product if isinstance(f, Out)]
        own = sorted(k - (f.step or 0) for f in outs if f.node == name)
        if product == {Membrane(name, k - 1)}:
            step.keep = factor
        elif product == {Membrane(name, k - 1), last}:
            step.gate = factor
        elif len(outs) < len(product) or len(outs) > 2:
            raise Unsupported("its threshold follows its own spikes otherwise than by a trace that fades")
        elif len(own) == len(outs) == 1:
            step.single[own[0]] = factor
        elif len(own) == len(outs) == 2 and own[0] == 1:
            step.pair[own[1]] = factor
        elif len(outs) == 1:
            (out,) = outs
            step.inputs[out.node, None if out.step is None else k - out.step] = factor
        else:
            raise Unsupported("multiplies its own spikes with those of other layers")
    return step


def _measured(
    steps: Sequence[Step], charges: Sequence[Charge], keep: Array, gate: Array, shape: Shape
) -> tuple[Array, list[Array], list[Array]]:
    """(bias, thresholds, c from step 1 on) with membranes measured so that every step has the same constant, the bias.

    What is compared may hold its threshold at some steps and not at others: u = u' + o, and o[k] = A[k] - b B[k] with
    A[k] = constant[k] + d A[k-1] and B[k] = 1 + d B[k-1]; b is what makes c, else the thresholds, the same, or 0.
    """
    sums, ones = [charges[0].constant], [np.ones(())]
    for charge in charges[1:]:
        sums.append(plus(charge.constant, times(keep, sums[-1], shape), shape))
        ones.append(plus(np.ones(()), times(keep, ones[-1], shape), shape))
    lasts = [step.single.get(1, ZERO) for step in steps]
    lasts = [ZERO, *(plus(c, times(gate, a, shape), shape) for c, a in zip(lasts[1:], sums, strict=False))]
    apart = [plus(charge.threshold, -a, shape) for charge, a in zip(charges, sums, strict=True)]
    if gate.any():
        change, by = plus(lasts[2], -lasts[1], shape), times(gate, plus(ones[1], -ones[0], shape), shape)
    else:
        change, by = plus(apart[0], -apart[1], shape), plus(ones[1], -ones[0], shape)
    bias = times(change, 1 / by, shape) if by.all() else ZERO
    size = max(float(np.abs(each).max(initial=0.0)) for each in apart)
    bias = ZERO if np.allclose(bias, 0, atol=CLOSE * size) else bias
    thresholds = [plus(t, times(bias, one, shape), shape) for t, one in zip(apart, ones, strict=True)]
    moved = [times(gate, times(bias, one, shape), shape) for one in ones]
    fed = [plus(c, -by, shape) for c, by in zip(lasts[1:], moved, strict=False)]
    told = fed if gate.any() else thresholds  # what the bias has to make the same
    return (bias, thresholds, fed) if all(_same(c, told[0], shape) for c in told) else (ZERO, apart, lasts[1:])


def _fading(steps: Sequence[Mapping[int, Array]], shape: Shape) -> tuple[Array, Array]:
    """(C, rho) of coefficients C rho**(j-2) of what was j steps ago, j from 2 on, the same at every step."""
    last = steps[-1]
    first, second = last.get(2, ZERO), last.get(3, ZERO)
    if not first.any():
        if any(c.any() for step in steps for j, c in step.items() if j > 1):
            raise Unsupported("its spikes of longer ago count, and the last but one does not")
        return ZERO, ZERO
    if not first.all():
        raise Unsupported("the thresholds of some of its neurons follow their spikes, and others do not")
    fade = times(second, 1 / first, shape)
    expected = [first]
    for _ in range(len(steps)):
        expected.append(times(expected[-1], fade, shape))
    for k, step in enumerate(steps):
        counted = [step.get(j, ZERO) for j in range(2, k + 1)]
        if not all(_same(c, e, shape, first) for c, e in zip(counted, expected, strict=False)):
            raise Unsupported("its own spikes count in a way that is no trace of one decay")
    if (fade < 0).any() or (fade > 1).any():
        raise Unsupported(f"its adaptation fades by {float(fade.min()):g} ... {float(fade.max()):g} a step")
    return first, fade


def _same(a: Array, b: Array, shape: Shape, size: Array = ZERO) -> bool:
    scale = CLOSE * max(float(np.abs(x).max(initial=0.0)) for x in (a, b, size))
    return bool(np.allclose(over(a, shape), over(b, shape), rtol=0, atol=scale))


def _one_node(node: LIF, law: Law, thresholds: list[Array], bias: Array, shape: Shape) -> Cells | None:
    """The `ALIF` with these letters, or None."""
    if not law.keep.all():
        return None
    over_keep = 1 / law.keep
    difference = plus(law.keep, -law.fade, shape)
    rise = times(-law.product, over_keep, shape)
    if not law.product.any():
        if law.gate.any() or not difference.all():
            return None
        rise = times(law.trace, 1 / difference, shape)
    if not _same(law.trace, times(rise, difference, shape), shape, rise):
        return None
    options: dict[str, Any] = {"decay": law.keep, "bias": bias, "adaptation": rise, "adaptation_decay": law.fade}
    rest = plus(law.last, rise, shape)  # what a spike takes besides
    taken = times(-law.keep, thresholds[0], shape)
    even = all(_same(t, thresholds[0], shape) for t in thresholds)
    if not law.product.any():
        feedback = ((1, rest),) if not _same(rest, ZERO, shape, rise) else ()
        return Cells(ALIF(shape, threshold=node.threshold, compare=node.compare, reset="none", **options), feedback)
    if law.gate.any() and _same(law.gate, -law.keep, shape) and _same(rest, ZERO, shape, rise):
        return Cells(ALIF(shape, threshold=node.threshold, compare=node.compare, reset="zero", **options))
    if not law.gate.any() and even and _same(rest, taken, shape):
        return Cells(ALIF(shape, threshold=node.threshold, compare=node.compare, reset="subtract", **options))
    return None


def _several(node: LIF, law: Law, *, varies: bool) -> Cells:
    """A sum that is delayed, multiplied and compared."""
    shape = node.shape
    parts: dict[str, Node] = {"membrane": Scale(np.ones(())), "after1": Delay(shape, 1)}
    wires: list[Edge] = [("membrane", ""), ("", "after1")]

    def join(source: str, name: str, each: Node, target: str = "membrane") -> None:
        parts[name] = each
        wires.extend([(source, name), (name, target)])

    join("after1", "back", StepAffine(law.last, np.zeros(len(law.last))) if varies else Scale(law.last))
    if law.keep.any() or law.gate.any():
        parts["past"] = Delay(shape, 1)
        wires.append(("membrane", "past"))
        join("past", "keep", Scale(law.keep))
    if law.gate.any():
        join("past", "fired", Gate(operands=("past", "after1")), "lose")
        wires.append(("after1", "fired"))
        join("fired", "lose", Scale(law.gate))
    parts |= {"trace": Scale(np.ones(())), "trace.past": Delay(shape, 1)}
    wires.append(("trace", "trace.past"))
    join("after1", "after2", Delay(shape, 1), "trace")
    join("trace.past", "trace.keep", Scale(law.fade), "trace")
    if law.trace.any():
        join("trace", "risen", Scale(law.trace))
    if law.product.any():
        join("trace", "both", Gate(operands=("trace", "after1")), "taken")
        wires.append(("after1", "both"))
        join("both", "taken", Scale(law.product))
    return Cells(node, parts=parts, wires=tuple(dict.fromkeys(wires)), entry=("membrane",))


def _behind(cells: Cells, current: Array, shape: Shape) -> Cells:
    """The neurons behind a current that decays, where there is one; what they feed back enters behind it."""
    if not current.any():
        return cells
    one = Scale(np.ones(()))
    parts = {**cells.parts, "current": one, "current.past": Delay(shape, 1), "current.keep": Scale(current)}
    loop = (("current", "current.past"), ("current.past", "current.keep"), ("current.keep", "current"))
    into = tuple(("current", entry) for entry in cells.entry)
    return Cells(cells.node, cells.feedback, parts=parts, wires=(*cells.wires, *loop, *into), entry=("current",))
