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

from spikeport.graph import Array
from spikeport.tracing.symbols import Out, Symbol, Unsupported

CLOSE = 1e-9  #: relative, of what float64 computes in another order
LAGS = 3  #: steps by which what enters may count later

Rows = dict[str, list[dict[int | None, Array]]]  #: by node, for each step what each of its steps counts


@dataclass(frozen=True)
class Leak:
    """u[t] = decay u[t-1] + i[t], i[t] = current i[t-1] + what enters + bias."""

    decay: float
    current: float
    inputs: Mapping[tuple[str, int], Array]  #: (node, steps later) -> factor
    bias: Array


def leak_of(steps: Sequence[Symbol]) -> Leak:
    """The leaky integrators of which these are the membranes, step by step. Raises `Unsupported`: "they ..."."""
    rows = _rows(steps)
    responses = {node: _response(row) for node, row in rows.items()}
    (longest,) = sorted(responses.values(), key=lambda r: r[2].size - r[1])[-1:] or [(np.ones(()), 0, np.ones(1))]
    decay, current = _leaks(longest[2])
    whole = _powers(decay, current, len(steps))
    inputs = {(node, lag): factor for node, (factor, lag, own) in responses.items() if _fits(own, whole)}
    if len(inputs) < len(responses):
        raise Unsupported("are no leaky integrators")
    constants = [step.constant for step in steps]
    bias, ends = constants[0], np.cumsum(whole)
    for constant, end in zip(constants, ends, strict=True):
        if not np.allclose(constant, bias * end, rtol=CLOSE, atol=CLOSE * float(np.abs(bias).max())):
            raise Unsupported("have a bias that differs from step to step")
    return Leak(decay, current, inputs, bias)


def _rows(steps: Sequence[Symbol]) -> Rows:
    rows: Rows = {}
    for t, step in enumerate(steps):
        for product, factor in step.terms.items():
            (out, *others) = product
            if others or not isinstance(out, Out):
                raise Unsupported("are gated, or reset by a product")
            rows.setdefault(out.node, [{} for _ in steps])[t][out.step] = factor
    return rows


def _response(row: list[dict[int | None, Array]]) -> tuple[Array, int, Array]:
    """(f, lag, h) of one node: what it counts, from how many steps later on, and how that leaks."""
    last = row[-1]
    if not last:
        raise Unsupported("do not count the input at the last step")
    if None in last:  # the same at every step: the response is what each step adds
        zero = np.zeros_like(last[None])
        sums = [zero, *(step.get(None, zero) for step in row)]
        taps = [b - a for a, b in pairwise(sums)]
    else:
        zero = np.zeros_like(next(iter(last.values())))
        taps = [last.get(len(row) - 1 - lag, zero) for lag in range(len(row))]
        if not all(_same(step, taps, t) for t, step in enumerate(row)):
            raise Unsupported("leak otherwise from step to step")
    lag = next((n for n, tap in enumerate(taps[:LAGS]) if tap.any()), 0)
    factor = taps[lag]
    size = float((factor * factor).sum())
    if not size:
        raise Unsupported("the input does not reach in time")
    h = np.asarray([float((tap * factor).sum()) / size for tap in taps[lag:]])
    if not all(np.allclose(tap, k * factor, rtol=CLOSE, atol=1e-12) for tap, k in zip(taps[lag:], h, strict=True)):
        raise Unsupported("leak otherwise from channel to channel")
    return factor, lag, h


def _same(step: dict[int | None, Array], taps: list[Array], t: int) -> bool:
    """Whether step t counts each step before it as the last step does."""
    expected = {s: taps[t - s] for s in range(t + 1) if taps[t - s].any()}
    counted = {s: factor for s, factor in step.items() if factor.any()}
    return counted.keys() == expected.keys() and all(np.allclose(counted[s], expected[s], rtol=CLOSE) for s in expected)


def _leaks(h: Array) -> tuple[float, float]:
    """The decays of membrane and current with a response; no current where two steps say all."""
    one, two = (float(h[n]) if n < h.size else 0.0 for n in (1, 2))
    product = one * one - two if h.size > 2 else 0.0
    if abs(product) <= CLOSE:
        return one, 0.0
    root = one * one / 4 - product
    if root < -CLOSE:
        raise Unsupported("swing")
    half = float(np.sqrt(max(root, 0.0)))
    return one / 2 + half, one / 2 - half


def _powers(decay: float, current: float, count: int) -> Array:
    h, u, i = [], 0.0, 1.0
    for _ in range(count):
        u = decay * u + i
        h.append(u)
        i *= current
    return np.asarray(h)


def _fits(own: Array, whole: Array) -> bool:
    return bool(np.allclose(own, whole[: own.size], rtol=1e-7, atol=1e-9))
