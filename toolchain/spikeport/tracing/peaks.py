"""The maximum over time: of membranes that leak, with a current that leaks or without, or of what a layer sends.

Step t of such membranes is a sum over what entered up to then, ``sum over s of f h[t - s - lag] x[s]``. All that enters
has the same response h, and h[0] = 1, h[1] = d + c, h[2] = d^2 + d c + c^2 are those of a membrane that keeps d and a
current that keeps c a step (`graph.Peak`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.graph import Array, Peak
from spikeport.tracing.blocks import steps_of
from spikeport.tracing.call import Call
from spikeport.tracing.draft import Drawn, Waiting
from spikeport.tracing.registry import Cells
from spikeport.tracing.symbols import Out, Symbol, Unsupported

CLOSE = 1e-9  #: relative, of what float64 computes in another order
LAGS = 3  #: steps by which what enters may count later

Rows = dict[str, list[dict[int | None, Array]]]  #: by node, for each step what each of its steps counts


def highest(call: Call) -> Any:
    """max and amax over the axis of time."""
    dim = call.get(1, "dim", call.kwargs.get("axis"))
    x = call.known(call.get(0, "input"))
    if dim is None or isinstance(dim, Tensor) or x is None:
        raise Unsupported("is a maximum other than over time")
    block = steps_of(call, x)
    dims = [d % len(call.shape) for d in (dim if isinstance(dim, tuple | list) else (dim,))]
    if dims != [block.axis]:
        raise Unsupported("is a maximum over other axes than time")
    if any(step is None for step in block.steps):
        raise Unsupported("is over a block to which not every step was written")
    membranes = call.tracer.membranes
    steps = [membranes.expanded(membranes.resolved(step)) for step in block.steps if step is not None]
    call.tracer.steps(len(steps))
    first = steps[0]
    drawn = _solved(steps)
    path, alone = call.tracer.place()
    name = call.tracer.draft.name(path, alone, "peak")
    where = call.tracer.where()
    call.tracer.draft.add(name, Waiting(where, first.shape, drawn), [], first.shape, block.causes)
    keep = bool(call.get(2, "keepdim", call.kwargs.get("keepdims", False)))
    axes = (*first.axes[: block.axis], (), *first.axes[block.axis :]) if keep else first.axes
    result = Symbol({frozenset([Out(name, None)]): np.ones(())}, first.shape, axes, causes=block.causes)
    return [result, None] if isinstance(call.out, tuple) else result


def _solved(steps: list[Symbol]) -> Callable[[int], Drawn]:
    """The leaky integrators of which these are the membranes."""
    rows = _rows(steps)
    responses = {node: _response(row) for node, row in rows.items()}
    (longest,) = sorted(responses.values(), key=lambda r: r[2].size - r[1])[-1:] or [(np.ones(()), 0, np.ones(1))]
    h = longest[2]
    decay, current = _leaks(h)
    whole = _powers(decay, current, len(steps))
    inputs = {(node, lag): factor for node, (factor, lag, own) in responses.items() if _fits(own, whole)}
    if len(inputs) < len(responses):
        raise Unsupported("is the maximum of membranes that are no leaky integrators")
    constants = [step.constant for step in steps]
    bias, ends = constants[0], np.cumsum(whole)
    for constant, end in zip(constants, ends, strict=True):
        if not np.allclose(constant, bias * end, rtol=CLOSE, atol=CLOSE * float(np.abs(bias).max())):
            raise Unsupported("is the maximum of membranes whose bias differs from step to step")

    def build(timesteps: int) -> Drawn:
        if timesteps != len(steps):
            raise Unsupported(f"is over {len(steps)} of {timesteps} timesteps")
        never, keeps = np.full(timesteps, np.inf), np.asarray(current)
        node = Peak(steps[0].shape, np.asarray(decay), never, np.zeros(()), current_decay=keeps)
        return Drawn(Cells(node), inputs, bias)

    return build


def _rows(steps: list[Symbol]) -> Rows:
    rows: Rows = {}
    for t, step in enumerate(steps):
        for product, factor in step.terms.items():
            (out, *others) = product
            if others or not isinstance(out, Out):
                raise Unsupported("is the maximum of membranes that are gated, or reset by a product")
            rows.setdefault(out.node, [{} for _ in steps])[t][out.step] = factor
    return rows


def _response(row: list[dict[int | None, Array]]) -> tuple[Array, int, Array]:
    """(f, lag, h) of one node: what it counts, from how many steps later on, and how that leaks."""
    last = row[-1]
    if None in last:  # the same at every step: the response is what each step adds
        zero = np.zeros_like(last[None])
        sums = [zero, *(step.get(None, zero) for step in row)]
        taps = [b - a for a, b in pairwise(sums)]
    else:
        zero = np.zeros_like(next(iter(last.values())))
        taps = [last.get(len(row) - 1 - lag, zero) for lag in range(len(row))]
        if not all(_same(step, taps, t) for t, step in enumerate(row)):
            raise Unsupported("is the maximum of membranes that leak otherwise from step to step")
    lag = next((n for n, tap in enumerate(taps[:LAGS]) if tap.any()), 0)
    factor = taps[lag]
    size = float((factor * factor).sum())
    if not size:
        raise Unsupported("is the maximum of what the input does not reach in time")
    h = np.asarray([float((tap * factor).sum()) / size for tap in taps[lag:]])
    if not all(np.allclose(tap, k * factor, rtol=CLOSE, atol=1e-12) for tap, k in zip(taps[lag:], h, strict=True)):
        raise Unsupported("is the maximum of membranes that leak otherwise from channel to channel")
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
        raise Unsupported("is the maximum of membranes that swing")
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
