"""ONNX models that were exported for one size of batch, run with others.

An exporter that is not told which axis counts samples writes the sizes of its example into every reshape. A reshape
keeps the order of its values, so the axis that counts samples is found behind it by how many values lie below one step
of it. What is found so is no guess in the end: the graph is compared with the model at the model's own batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spikeport.tracing.symbols import Unsupported


@dataclass(frozen=True)
class Recorded:
    """The shapes before and behind a reshape, in a run with the batch of the file."""

    before: tuple[int, ...]
    behind: tuple[int, ...]


def with_batch(actual: tuple[int, ...], known: Recorded, batch: int, *, folds: bool = False) -> list[int]:
    """What a reshape makes of an ``actual`` shape, where the file's ``batch`` is another. Raises `Unsupported`.

    Of several axes that may count the samples, one of the batch's size is taken; where it ``folds``, one in which axes
    before the batch become one with it: of (T, 1, 1, H, W) and (T, 1, H, W) nothing tells which 1 was left out.
    """
    behind = list(known.behind)
    if len(actual) != len(known.before):
        raise Unsupported(f"reshapes {list(actual)}, where the model has {list(known.before)}")
    changed = [axis for axis, (now, was) in enumerate(zip(actual, known.before, strict=True)) if now != was]
    if not changed:
        return behind
    if len(changed) == 1:
        (axis,) = changed
        size, below = known.before[axis], math.prod(known.before[axis + 1 :])
        for place in _places(behind, size, below, batch, folds and axis > 0):
            if behind[place] * actual[axis] % size == 0:
                behind[place] = behind[place] * actual[axis] // size
                return behind
    raise Unsupported(f"reshapes {list(known.before)} to {behind}, where the batch cannot be found")


def _places(behind: Sequence[int], size: int, below: int, batch: int, folds: bool) -> list[int]:
    """The axes that may count the samples: of the size of a batch, or folded with another axis."""
    inner = [math.prod(behind[place + 1 :]) for place in range(len(behind))]
    every = range(len(behind))
    alone = [n for n in every if behind[n] == batch and below <= inner[n] and inner[n] * batch <= below * size]
    folded = [n for n in every if inner[n] <= below and below * size <= inner[n] * behind[n]]
    return [*folded, *alone] if folds else [*alone, *folded]
