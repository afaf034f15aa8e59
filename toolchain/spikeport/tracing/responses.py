"""Membranes that leak, with a current that leaks or without: which decays they have, seen from what they add up.

Step t of such membranes is a sum over what entered up to then, ``sum over s of f h[t - s - lag] x[s]``. All that enters
has the same response h, and h[0] = 1, h[1] = d + c, h[2] = d^2 + d c + c^2 are those of a membrane that keeps d and a
current that keeps c a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spikeport.graph import Array, Shape
from spikeport.tracing.symbols import Out, Symbol, Unsupported, compact, over, plus

CLOSE = 1e-9  #: relative, of what float64 computes in another order
LAGS = 3  #: steps by which what enters may count later

Rows = dict[str, list[dict[int | None, Array]]]  #: by node, for each step what each of its steps counts


@dataclass(frozen=True)
class Leak:
    """u[t] = decay u[t-1] + i[t], i[t] = current i[t-1] + what enters + bias; decays are [], [C] or [*shape]."""

    decay: Array
    current: Array
    inputs: Mapping[tuple[str, int], Array]  #: (node, steps later) -> factor
    bias: Array


def leak_of(steps: Sequence[Symbol]) -> Leak:
    """The leaky integrators of which these are the membranes, step by step. Raises `Unsupported`: "they ..."."""
    shape, rows = steps[0].shape, _rows(steps)
    responses = {node: _response(row, shape) for node, row in rows.items()}
    (longest,) = sorted(responses.values(), key=lambda r: len(r[2]))[-1:] or [(np.ones(()), 0, np.ones(1))]
    decay, current = _leaks(longest[2])
    whole = _powers(decay, current, len(steps))
    inputs = {(node, lag): factor for node, (factor, lag, own) in responses.items() if _fits(own, whole)}
    if len(inputs) < len(responses):
        raise Unsupported("are no leaky integrators")
    constants = [over(step.constant, shape) for step in steps]
    bias, ends = constants[0], np.cumsum(whole, axis=0)
    for constant, end in zip(constants, ends, strict=True):
        if not np.allclose(constant, bias * end, rtol=CLOSE, atol=CLOSE * float(np.abs(bias).max())):
            raise Unsupported("have a bias that differs from step to step")
    return Leak(_narrow(decay, shape), _narrow(current, shape), inputs, steps[0].constant)


def _narrow(value: Array, shape: Shape) -> Array:
    """A decay that broadcasts over the features as [], [C] or [*shape]."""
    return compact(np.broadcast_to(value, shape)) if value.size > 1 else value.reshape(())


def _rows(steps: Sequence[Symbol]) -> Rows:
    rows: Rows = {}
    for t, step in enumerate(steps):
        for product, factor in step.terms.items():
            (out, *others) = product
            if others or not isinstance(out, Out):
                raise Unsupported("are gated, or reset by a product")
            rows.setdefault(out.node, [{} for _ in steps])[t][out.step] = factor
    return rows


def _response(row: list[dict[int | None, Array]], shape: Shape) -> tuple[Array, int, Array]:
    """(f, lag, h) of one node: what it counts, from how many steps later on, and how that leaks, [steps, *features]."""
    last = row[-1]
    if not last:
        raise Unsupported("do not count the input at the last step")
    if None in last:  # the same at every step: the response is what each step adds
        sums = [np.zeros(()), *(step.get(None, np.zeros(())) for step in row)]
        taps = [plus(b, -a, shape) for a, b in pairwise(sums)]
    else:
        taps = [last.get(len(row) - 1 - lag, np.zeros(())) for lag in range(len(row))]
        if not all(_same(step, taps, t, shape) for t, step in enumerate(row)):
            raise Unsupported("leak otherwise from step to step")
    lag = next((n for n, tap in enumerate(taps[:LAGS]) if tap.any()), 0)
    factor = over(taps[lag], shape)
    if not factor.any():
        raise Unsupported("the input does not reach in time")
    whole = [over(tap, shape) for tap in taps[lag:]]
    h = [np.divide(tap, factor, out=np.zeros(np.broadcast(tap, factor).shape), where=factor != 0) for tap in whole]
    if not all(np.allclose(tap, k * factor, rtol=CLOSE, atol=1e-12) for tap, k in zip(whole, h, strict=True)):
        raise Unsupported("leak what they never took up")
    return taps[lag], lag, np.stack(np.broadcast_arrays(*h))


def _same(step: dict[int | None, Array], taps: list[Array], t: int, shape: Shape) -> bool:
    """Whether step t counts each step before it as the last step does."""
    expected = {s: taps[t - s] for s in range(t + 1) if taps[t - s].any()}
    counted = {s: factor for s, factor in step.items() if factor.any()}
    pairs = ((over(counted[s], shape), over(expected[s], shape)) for s in expected if s in counted)
    return counted.keys() == expected.keys() and all(np.allclose(a, b, rtol=CLOSE) for a, b in pairs)


def _leaks(h: Array) -> tuple[Array, Array]:
    """The decays of membrane and current with a response [steps, *features]; no current where two steps say all."""
    one, two = (h[n] if n < len(h) else np.zeros(h.shape[1:]) for n in (1, 2))
    product = one * one - two if len(h) > 2 else np.zeros(one.shape)
    product = np.where(np.abs(product) <= CLOSE, 0.0, product)
    root = one * one / 4 - product
    if (root < -CLOSE).any():
        raise Unsupported("swing")
    half = np.sqrt(np.maximum(root, 0.0))
    return np.where(product == 0, one, one / 2 + half), np.where(product == 0, 0.0, one / 2 - half)


def _powers(decay: Array, current: Array, count: int) -> Array:
    h, u, i = [], np.zeros(decay.shape), np.ones(decay.shape)
    for _ in range(count):
        u = decay * u + i
        h.append(u)
        i = i * current
    return np.stack(h)


def _fits(own: Array, whole: Array) -> bool:
    return all(np.allclose(one, other, rtol=1e-7, atol=1e-9) for one, other in zip(own, whole, strict=False))
