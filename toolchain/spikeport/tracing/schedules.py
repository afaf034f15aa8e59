"""What enters a layer with a factor, or a constant, of its own at each step: a `StepAffine` before it.

BNTT has a normalisation a timestep, TEBN a factor, MaskedPSN a row of weights; in a loop over time each of them is
another number at another step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spikeport.graph import Array, Norm, Shape, StepAffine
from spikeport.tracing.axes import with_time
from spikeport.tracing.digests import digest
from spikeport.tracing.draft import Draft
from spikeport.tracing.leaks import of_block
from spikeport.tracing.registry import Cells
from spikeport.tracing.symbols import ALL, DIFFERENT, Out, Product, Steps, Symbol, Unsupported, over, plus, times
from spikeport.tracing.waiting import Drawn

ZERO = np.zeros(())
SAME = 1e-9  #: factors of two steps may differ by this share: they come from the same constants

#: what enters at one step: (node, steps ago) -> factor; steps None where the node is the same at each step
Taps = Mapping[tuple[str, int | None], Array]


@dataclass(frozen=True)
class Entering:
    """What enters a layer at every step."""

    inputs: Mapping[tuple[str, int], Array]  #: factors that are the same at every step
    constant: Array
    gains: Mapping[tuple[str, int], Array] = field(default_factory=dict)  #: [T, ...], factors that are not
    biases: Array | None = None  #: [T, ...], where the constant is not the same at every step

    def drawn(self, cells: Cells) -> Drawn:
        """The layer with this before it."""
        return Drawn(cells, self.inputs, self.constant, self.gains, self.biases)


def entering(steps: Sequence[Taps], constants: Sequence[Array], shape: Shape) -> Entering:
    """The factors of all steps by node and lag, and the constants."""
    inputs: dict[tuple[str, int], Array] = {}
    gains: dict[tuple[str, int], Array] = {}
    for node, lag in dict.fromkeys(key for taps in steps for key in taps):
        first = lag or 0
        if not all((node, lag) in taps for taps in steps[first:]):
            raise Unsupported(DIFFERENT)
        values = [taps.get((node, lag), ZERO) for taps in steps[first:]]
        if not any(value.any() for value in values):
            continue
        key = (node, first)
        if key in inputs or key in gains:
            raise Unsupported(f"takes {node!r} both as one value and step by step")
        if alike(values, shape):
            inputs[key] = values[0]
        else:
            gains[key] = schedule([ZERO] * first + values, shape)
    if alike(constants, shape):
        return Entering(inputs, constants[0], gains)
    return Entering(inputs, ZERO, gains, schedule(constants, shape))


def alike(values: Sequence[Array], shape: Shape) -> bool:
    """Whether all steps have the same number."""
    return all(np.allclose(over(v, shape), over(values[0], shape), rtol=SAME, atol=0) for v in values)


def schedule(values: Sequence[Array], shape: Shape) -> Array:
    """Numbers of all steps, each [], [C] or [*shape], as [T], [T, C] or [T, *shape]."""
    most = max(value.ndim for value in values)
    form = {0: (), 1: shape[:1]}.get(most, shape)
    return np.stack([np.broadcast_to(over(v, shape) if most > 1 else v, form) for v in values])


def without_norms(draft: Draft, x: Symbol) -> Symbol:
    """``x`` with normalisations as factors and constants: those of several steps are then factors of one node."""
    terms: dict[Product, Array] = {}
    constant = x.constant
    for product, factor in x.terms.items():
        (out,) = product if len(product) == 1 else (None,)
        node = draft.nodes.get(out.node) if isinstance(out, Out) else None
        if not isinstance(out, Out) or not isinstance(node, Norm):
            terms[product] = plus(terms.get(product, ZERO), factor, x.shape)
            continue
        gain, shift = node.gain_and_shift(np.float64)
        constant = plus(constant, times(factor, shift, x.shape), x.shape)
        for source in [a for a, b in draft.edges if b == out.node]:
            before = frozenset([Out(source, None if source in draft.steady else out.step)])
            terms[before] = plus(terms.get(before, ZERO), times(factor, gain, x.shape), x.shape)
    return Symbol(terms, x.shape, x.axes, constant, x.causes)


def of_calls(calls: Sequence[Symbol], draft: Draft) -> Entering:
    """What enters a layer that is called once a step. Raises `Unsupported` for a membrane."""
    taps: list[Taps] = []
    plain = [without_norms(draft, draft.gated(x)) for x in calls]
    for k, x in enumerate(plain):
        outs = {out: factor for product, factor in x.terms.items() for out in product}
        if not all(isinstance(out, Out) for out in outs):
            raise Unsupported("takes the membrane of a hand-written neuron; only spikes pass between layers")
        taps.append({(out.node, None if out.step in (None, ALL) else k - out.step): c for out, c in outs.items()})
    return entering(taps, [x.constant for x in plain], calls[0].shape)


def as_block(draft: Draft, block: Steps, path: str) -> Symbol:
    """A block whose steps are one sum with other factors and constants, behind a node. Raises `Unsupported`."""
    known = [step for step in block.steps if step is not None]
    if len(known) < len(block.steps):
        raise Unsupported(DIFFERENT)
    if draft.leaks and any(len(step.terms) > 1 for step in known):
        return of_block(draft, block, path)
    whole = of_calls(known, draft)
    if any(lag for _, lag in (*whole.inputs, *whole.gains)) or whole.constant.any():
        raise Unsupported(DIFFERENT)
    names = stepped(draft, whole, path, known[0].shape)
    terms: dict[Product, Array] = {frozenset([Out(name, ALL)]): np.ones(()) for name in names}
    return Symbol(terms, known[0].shape, with_time(known[0].axes, block.axis), causes=block.causes)


def stepped(draft: Draft, whole: Entering, path: str, shape: Shape) -> list[str]:
    """The nodes whose sum enters; a `StepAffine` is before what has a factor a step, or before all for a constant."""
    number = draft.number
    names = [draft.times(draft.delayed(source, lag), factor) for (source, lag), factor in whole.inputs.items()]
    single = not names and len(whole.gains) == 1
    for (source, lag), gain in whole.gains.items():
        bias = whole.biases if single and whole.biases is not None else np.zeros(len(gain))
        names.append(_node(draft, StepAffine(gain=number(gain), bias=number(bias)), [draft.delayed(source, lag)], path))
    if whole.biases is None or single:
        return names
    ones = number(np.ones(len(whole.biases)))
    return [_node(draft, StepAffine(gain=ones, bias=number(whole.biases)), names, path)]


def _node(draft: Draft, node: StepAffine, names: list[str], path: str) -> str:
    return draft.once(("steps", *sorted(names), digest(node)), path, "steps", node, names)
