"""What a hand-written neuron computes, step by step, becomes the node that computes the same.

A loop over time says, for each step k, what is compared with a threshold:

    u[k] = d * u[k-1] + m * u[k-1] * s[k-1] + c * s[k-1] + sum over inputs n and lags j of g(n, j) * n[k-j] + b

The same letters at every step make a neuron: m = -d is a reset to c / d, m = 0 with c = -d * threshold a subtraction,
m = 0 with another c a connection of the layer to itself. Inputs that fade, g(n, j) = g(n) * a**j, are a synaptic
current that decays by a. A b at the first step of its own is a membrane that starts elsewhere than at 0; membranes are
then measured from there. Everything is exact algebra in float64; what fits nothing is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.graph import LIF, Array, CubaLIF, Shape
from spikeport.graph.neurons import Reset
from spikeport.tracing.charges import ZERO, Charge, one_unit
from spikeport.tracing.schedules import schedule
from spikeport.tracing.symbols import Membrane, Out, Unsupported, over, plus, times
from spikeport.tracing.tails import tail

FLOAT32 = 1e-6  #: constants that a module in float32 takes for the same
SAME = 1e-9  #: letters of two steps may differ by this share: they come from the same constants


@dataclass(frozen=True)
class Letters:
    """One step's letters, sorted."""

    keep: Array  #: d
    gate: Array  #: m
    back: Mapping[int, Array]  #: c, by how many steps ago the layer fired
    inputs: Mapping[tuple[str, int | None], Array]  #: g, by node and lag; None where the node is the same at each step
    constant: Array
    others: Mapping[str, Array] = field(default_factory=dict)  #: m of the last spikes of other layers


@dataclass(frozen=True)
class Solution:
    """The node, and what enters it: (node, steps later) -> factor. ``constant`` is added to what enters."""

    node: LIF
    inputs: Mapping[tuple[str, int], Array]
    back: Mapping[int, Array] = field(default_factory=dict)  #: factors of the layer's own spikes, by steps
    constant: Array = field(default_factory=lambda: ZERO)
    start: Array = field(default_factory=lambda: ZERO)  #: from where membranes are measured


def solve(name: str, shape: Shape, charges: list[Charge]) -> Solution:
    """The neuron of all steps. Raises `Unsupported` with what no node can hold."""
    charges = one_unit(name, shape, charges)
    letters = letters_of(name, shape, charges)
    if others := sorted({other for step in letters for other in step.others}):
        raise Unsupported(f"multiplies its membrane with values that are not its own last spikes ({', '.join(others)})")
    try:
        fade, inputs, constant, biases = currents(letters, shape)
        _in_range(fade, "the current's decay")
    except Unsupported:
        if (known := tail(letters, shape)) is None:
            raise
        compared = schedule([charge.threshold for charge in charges], shape)
        return Solution(LIF(shape, known[0], compared, reset="none", compare=charges[0].compare), known[1])
    keep = steady([step.keep for step in letters[1:]], "decay", shape)
    gate = steady([step.gate for step in letters[1:]], "reset", shape)
    start, bias = _start(biases, keep, shape)
    thresholds = [plus(charge.threshold, -start, shape) for charge in charges]
    reset, value, back = _reset(letters, keep, gate, thresholds, start, shape)
    _in_range(keep, "the membrane's decay")
    gain, inputs = _gain(inputs)
    if gain.ndim == 1 and bias.ndim <= 1 and not fade.any() and not back:
        # a normalisation before the neuron: it belongs to what enters, where it can be folded into a synapse
        factor = gain
        gain, inputs = np.ones(()), dict.fromkeys(inputs, factor)
        bias, constant = ZERO, plus(bias, constant, shape)
    arrays: dict[str, Any] = {
        "decay": keep,
        "threshold": schedule(thresholds, shape),
        "bias": bias,
        "gain": gain,
        "reset_value": value,
    }
    compare = charges[0].compare
    node = (
        CubaLIF(shape, **arrays, reset=reset, compare=compare, current_decay=fade)
        if fade.any()
        else LIF(shape, **arrays, reset=reset, compare=compare)
    )
    if back and fade.any():
        back = into_current(back, fade, len(charges), shape)
    if back and (gain == 0).any():
        raise Unsupported("is fed by its own spikes only")
    return Solution(node, inputs, {lag: times(c, 1 / gain, shape) for lag, c in back.items()}, constant, start)


def letters_of(name: str, shape: Shape, charges: list[Charge]) -> list[Letters]:
    """The letters of every step. Raises `Unsupported` for terms that have none."""
    if len({charge.compare for charge in charges}) > 1:
        raise Unsupported("fires at >= at some steps and at > at others")
    return [_letters(name, k, charge, shape) for k, charge in enumerate(charges)]


def _letters(name: str, step: int, charge: Charge, shape: Shape) -> Letters:
    keep, gate = ZERO, ZERO
    back: dict[int, Array] = {}
    others: dict[str, Array] = {}
    inputs: dict[tuple[str, int | None], Array] = {}
    for product, factor in charge.terms.items():
        membranes = [f for f in product if isinstance(f, Membrane)]
        outs = [f for f in product if isinstance(f, Out)]
        own = Out(name, step - 1)
        if membranes == [Membrane(name, step - 1)] and not outs:
            keep = plus(keep, factor, shape)
        elif membranes == [Membrane(name, step - 1)] and outs == [own]:
            gate = plus(gate, factor, shape)
        elif membranes == [Membrane(name, step - 1)] and len(outs) == 1 and outs[0].step == step - 1:
            others[outs[0].node] = plus(others.get(outs[0].node, ZERO), factor, shape)
        elif membranes or len(outs) != 1:
            raise Unsupported(_strange(name, step, membranes, outs))
        elif outs[0].node == name:
            lag = step - (outs[0].step or 0)
            back[lag] = plus(back.get(lag, ZERO), factor, shape)
        elif factor.any():
            key = (outs[0].node, None if outs[0].step is None else step - outs[0].step)
            inputs[key] = plus(inputs.get(key, ZERO), factor, shape)
    if any(lag is not None and lag < 0 for _, lag in inputs):
        raise Unsupported("a step of its input enters before its time")
    return Letters(keep, gate, back, inputs, charge.constant, others)


def _strange(name: str, step: int, membranes: list[Membrane], outs: list[Out]) -> str:
    others = {m.node for m in membranes if m.node != name}
    if others:
        return f"its membrane takes in the membrane of another layer ({', '.join(sorted(others))})"
    if any(m.step != step - 1 for m in membranes):
        return "its membrane follows from steps longer ago than the last"
    spikes = ", ".join(sorted(f"{o.node}[{o.step}]" for o in outs))
    return f"multiplies its membrane with values that are not its own last spikes ({spikes})"


def steady(values: list[Array], what: str, shape: Shape) -> Array:
    """The one value of all steps."""
    if not values:
        return ZERO
    if not all(_same(value, values[0], shape) for value in values):
        raise Unsupported(f"its {what} differs from step to step, which needs a node with a {what} a timestep")
    return values[0]


def _same(a: Array, b: Array, shape: Shape) -> bool:
    return bool(np.allclose(over(a, shape), over(b, shape), rtol=SAME, atol=0))


def currents(letters: list[Letters], shape: Shape) -> tuple[Array, dict[tuple[str, int], Array], Array, list[Array]]:
    """The current's decay, the inputs by node and lag, a constant among them, and the bias of each step."""
    fade = _fade(letters, shape)
    inputs: dict[tuple[str, int], Array] = {}
    for node in dict.fromkeys(node for step in letters for node, _ in step.inputs):
        lags = [lag for step in letters for n, lag in step.inputs if n == node]
        if None in lags:
            taps = [[step.inputs.get((node, None), ZERO)] for step in letters]
            inputs[node, 0] = _fitting(taps, [_sum(fade, k) for k in range(len(taps))], node, shape)
            continue
        counted = {lag for lag in lags if lag is not None}
        first = min(counted)
        every = range(first, len(letters)) if fade.any() else sorted(counted)
        taps = [[step.inputs.get((node, lag), ZERO) for step in letters[lag:]] for lag in every]
        inputs[node, first] = _fitting(taps, [fade ** (lag - first) for lag in every], node, shape)
    constants = [step.constant for step in letters]
    if not fade.any() or len(letters) < 2:
        return fade, inputs, ZERO, constants
    entering = times(plus(constants[1], -constants[0], shape), 1 / fade, shape)
    rest = [plus(c, times(-entering, _sum(fade, k), shape), shape) for k, c in enumerate(constants)]
    return fade, inputs, entering, rest


def _fade(letters: list[Letters], shape: Shape) -> Array:
    """How a synaptic current decays: the second tap of an input over its first; 0 where inputs act once."""
    if len(letters) < 2:
        return ZERO
    last = letters[-1].inputs
    for (node, lag), factor in last.items():
        if lag is None:
            first = letters[0].inputs.get((node, None), ZERO)
            second = letters[1].inputs.get((node, None), ZERO)
            growth = plus(second, -first, shape)
            if first.all() and growth.any() and not _same(second, first, shape):
                return times(growth, 1 / first, shape)
        elif (node, lag + 1) in last and not any(n == node and j is not None and j < lag for n, j in last):
            return times(last[node, lag + 1], 1 / factor, shape)
    return ZERO


def _sum(fade: Array, last: int) -> Array:
    return np.asarray(sum((fade**i for i in range(last + 1)), np.zeros_like(fade)))


def _fitting(taps: list[list[Array]], ratios: list[Array], node: str, shape: Shape) -> Array:
    """The factor f with which each of the taps that share a ratio is f times that."""
    both = [(tap, ratio) for each, ratio in zip(taps, ratios, strict=True) for tap in each[:1] if ratio.all()]
    factor = next((times(tap, 1 / ratio, shape) for tap, ratio in both if tap.any()), ZERO)
    for each, ratio in zip(taps, ratios, strict=True):
        expected = times(factor, ratio, shape)
        if not all(_same(tap, expected, shape) for tap in _different(each)):
            raise Unsupported(
                f"what enters from {node!r} has another factor at other steps: that needs a node with a gain a timestep"
            )
    return factor


def _different(taps: list[Array]) -> list[Array]:
    """These without those that are the same to the bit, of which a long run has many."""
    return list({(tap.shape, tap.tobytes()): tap for tap in taps}.values())


def _start(biases: list[Array], keep: Array, shape: Shape) -> tuple[Array, Array]:
    """Where the membrane starts, and the bias of a membrane that is measured from there."""
    if len(biases) < 2:
        return ZERO, biases[0]
    bias = steady(biases[1:], "bias", shape)
    if _same(bias, biases[0], shape):
        return ZERO, bias
    if not keep.all():
        raise Unsupported("its first step has a bias of its own, which needs a node with a bias a timestep")
    start = times(plus(biases[0], -bias, shape), 1 / keep, shape)
    if np.allclose(start, 0, atol=SAME * float(np.abs(bias).max(initial=0.0))):
        return ZERO, bias
    return start, plus(bias, times(start, plus(keep, np.asarray(-1.0), shape), shape), shape)


def _reset(
    letters: list[Letters], keep: Array, gate: Array, thresholds: list[Array], start: Array, shape: Shape
) -> tuple[Reset, Array, dict[int, Array]]:
    """What a spike does: the reset, its value, and what the layer feeds back into itself."""
    lags = sorted({lag for step in letters for lag in step.back})
    back = {lag: [step.back.get(lag, ZERO) for step in letters[lag:]] for lag in lags}
    last = back.pop(1, [ZERO] * (len(letters) - 1))
    if any(factor.any() for values in back.values() for factor in values) or any(lag < 1 for lag in lags):
        fed = {lag: steady(values, "feedback", shape) for lag, values in back.items()}
    else:
        fed = {}
    if gate.any():
        if not _same(gate, -keep, shape):
            raise Unsupported("a spike takes away a part of its membrane only, which no reset of a node does")
        if fed:
            raise Unsupported("is reset and also fed by its spikes of longer ago")
        value = times(steady(last, "reset", shape), 1 / keep, shape) if last else ZERO
        rest = np.allclose(over(value, shape), over(start, shape), rtol=FLOAT32, atol=0)
        value = ZERO if rest else plus(value, -start, shape)
        return ("value", value, {}) if value.any() else ("zero", ZERO, {})
    if not any(factor.any() for factor in last):
        return ("none" if keep.any() else "zero", ZERO, fed)
    if keep.any() and all(_same(c, times(-keep, t, shape), shape) for c, t in zip(last, thresholds, strict=False)):
        return "subtract", ZERO, fed
    return "none", ZERO, {1: steady(last, "feedback", shape), **fed}


def into_current(back: dict[int, Array], fade: Array, timesteps: int, shape: Shape) -> dict[int, Array]:
    """What is fed back, since it passes the current as well, for a spike to add ``back`` to the membrane.

    Where every lag that there is was seen, it is not said what a lag behind them would add; nothing is fed back there.
    """
    late = max(back)
    lags = range(1, late + 1 if 2 < timesteps == late + 1 else late + 2)
    fed = {j: plus(back.get(j, ZERO), times(-fade, back.get(j - 1, ZERO), shape), shape) for j in lags}
    least = SAME * max(float(np.abs(value).max()) for value in back.values())
    return {lag: value for lag, value in fed.items() if (np.abs(value) > least).any()}


def _in_range(decay: Array, what: str) -> None:
    if (decay < 0).any() or (decay > 1 + SAME).any():
        raise Unsupported(f"{what} is {float(decay.min()):g} ... {float(decay.max()):g}; a node decays by 0 ... 1")


def _gain(inputs: dict[tuple[str, int], Array]) -> tuple[Array, dict[tuple[str, int], Array]]:
    """One gain of the neuron where all that enters has the same positive factor."""
    factors = list(inputs.values())
    if not factors:
        raise Unsupported("nothing enters it that comes from the network's input")
    first = factors[0]
    if (first > 0).all() and all(f.shape == first.shape and np.array_equal(f, first) for f in factors):
        return first, {key: np.ones(()) for key in inputs}
    return np.ones(()), inputs
