"""Neurons that compare what enters, and what of it is left: a membrane that keeps no more than fades of its own.

    u[k] = g x[k] + h x[k-1] + h a x[k-2] + h a**2 x[k-3] + ...

is u[k] = a u[k-1] + g x[k] + (h - a g) x[k-1]: a neuron that leaks and is never reset, of what enters and, a step late,
of it once more. So are differences of a membrane that leaks from step to step (snnTorch's DeltaLeaky: h = (a - 1) g).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from spikeport.graph import Array, Shape
from spikeport.tracing.charges import ZERO
from spikeport.tracing.symbols import over, plus, times

if TYPE_CHECKING:
    from spikeport.tracing.recurrence import Letters

SAME = 1e-9  #: relative, of what float64 computes in another order
FACTORS = 2  #: of what enters: of this step, and of the last


def tail(letters: list[Letters], shape: Shape) -> tuple[Array, dict[tuple[str, int], Array]] | None:
    """a, and the factors of what enters by node and lag; None for neurons that are no such."""
    kept = [*(step.keep for step in letters), *(step.gate for step in letters), *(step.constant for step in letters)]
    if any(value.any() for value in kept) or any(step.back or step.others for step in letters):
        return None
    taps = {node: _taps(letters, node, shape) for step in letters for node, _ in step.inputs}
    decays = [
        times(each[2], np.divide(1, each[1]), shape)
        for each in taps.values()
        if each and len(each) > 2 and each[1].all()
    ]
    decay = decays[0] if decays else ZERO
    if (decay < 0).any() or (decay > 1).any():
        return None
    inputs: dict[tuple[str, int], Array] = {}
    for node, each in taps.items():
        if each is None or not _fades(each, decay, shape):
            return None
        for lag in range(min(FACTORS, len(each))):
            before = times(decay, each[lag - 1], shape) if lag else ZERO
            inputs[node, lag] = plus(each[lag], -before, shape)
    return decay, {key: factor for key, factor in inputs.items() if factor.any()}


def _fades(taps: list[Array], decay: Array, shape: Shape) -> bool:
    return all(_same(b, times(decay, a, shape), shape) for a, b in pairwise(taps[1:]))


def _same(a: Array, b: Array, shape: Shape) -> bool:
    return bool(np.allclose(over(a, shape), over(b, shape), rtol=SAME, atol=1e-15))


def _taps(letters: list[Letters], node: str, shape: Shape) -> list[Array] | None:
    """What a node's value counts by how many steps ago it was; None where that differs from step to step."""
    if any((node, None) in step.inputs for step in letters):
        whole = [step.inputs.get((node, None), ZERO) for step in letters]
        if any(lag is not None for step in letters for other, lag in step.inputs if other == node):
            return None
        return [plus(b, -a, shape) for a, b in zip([ZERO, *whole[:-1]], whole, strict=True)]
    last = [letters[-1].inputs.get((node, lag), ZERO) for lag in range(len(letters))]
    for k, step in enumerate(letters):
        for lag in range(k + 1):
            if not _same(step.inputs.get((node, lag), ZERO), last[lag], shape):
                return None
    return last
