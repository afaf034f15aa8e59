"""Few numbers, looked at in one pass: where a call of numpy would take longer than they do."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.engine.cpu.structures import KINDS, Bytes, Whole
from spikeport.graph import Array
from spikeport.machine import compiled


def ends(x: Array) -> tuple[int, int] | None:
    """The least and the largest of bytes that lie side by side; None for other values."""
    return between(x.ravel()) if x.dtype == np.uint8 and x.flags.c_contiguous and x.size else None


@compiled
def between(x: Bytes) -> tuple[int, int]:
    """The least and the largest."""
    low = high = x[0]
    for i in range(len(x)):
        low, high = min(low, x[i]), max(high, x[i])
    return low, high


@compiled
def weighed(x: Any, right: int, weight: Whole, shift: Whole, out: Whole) -> None:
    """``out[n, c] = shift[c] + the sum over t of weight[t] * (x[t, n, c] >> right)``; x int32 [T or 1, B, width]."""
    for n in range(len(out)):
        sums = out[n]
        for c in range(len(sums)):
            sums[c] = shift[c]
        for t in range(len(weight)):
            for c in range(len(sums)):
                sums[c] += weight[t] * (x[t, n, c] >> right)


@compiled
def over_steps(counts: Whole, totals: Whole) -> None:
    """Counts [layers, T, `KINDS`] summed over time, to ``totals`` [layers, `KINDS`]."""
    for layer in range(len(counts)):
        for kind in range(KINDS):
            totals[layer, kind] = 0
        for t in range(counts.shape[1]):
            for kind in range(KINDS):
                totals[layer, kind] += counts[layer, t, kind]
