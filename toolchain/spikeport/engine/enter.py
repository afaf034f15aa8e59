"""Samples on their way in: checked, cut into batches, and made integers where the graph computes with integers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import cpu, cuda
from spikeport.engine.program import Program
from spikeport.findings import fail
from spikeport.graph import Array, Coding, Graph, Loihi, Range, Samples
from spikeport.graph.inputs import require_within


def check(graph: Graph, samples: Array) -> tuple[Samples, Range | None]:
    """The samples, and in which range their integers lie (None for real numbers).

    Where the graph says which integers may enter, that is the range. Raises SP502 for input of the wrong shape or type,
    SP504 where integers lie outside what the graph was made for.
    """
    entering = Samples.of(graph, samples)
    if samples.dtype.kind not in "fiub":
        fail("SP502", f"the input holds {samples.dtype}, not numbers", where=f"node {graph.input!r}")
    if not isinstance(graph.arithmetic, Loihi):
        return entering, None
    node = graph.entry
    unit = float(node.unit)
    low, high = sorted([round(end / unit) for end in entering.ends])  # ties to even; rounding keeps the order
    require_within(graph, low, high)
    least, most = (bound if math.isfinite(bound) else end for bound, end in ((node.low, low), (node.high, high)))
    return entering, Range(int(least), int(most))


@dataclass(frozen=True, eq=False)
class Frames:
    """`Samples` that lie on a device."""

    there: Tensor  #: [T or 1, B, *input]
    coding: Coding

    @property
    def number(self) -> int:
        """How many samples there are."""
        return int(self.there.shape[1])

    def during(self, start: int, stop: int) -> Frames:
        """Their frames of the steps ``start`` ... ``stop - 1``."""
        return Frames(self.there[start:stop], self.coding) if self.coding == "events" else self


def values(program: Program, samples: Samples | Frames) -> Tensor:
    """The samples as [T or 1, B, *input]: integers in units of the input, or floats of the graph's type."""
    unit, dtype = float(program.graph.entry.unit), program.entering[program.graph.input]
    if isinstance(samples, Frames):
        value = samples.there
    elif program.integers and program.device == "cpu":
        return cpu.enter(samples.frames, unit, dtype)
    else:
        value = cuda.sent(raw(samples.frames), program.device)
    value = (value.double() / unit).round() if program.integers else value
    return value.to(program.device, dtype)


def raw(frames: Array) -> Tensor:
    """Frames as a tensor of their own type."""
    return torch.from_numpy(_own(frames if frames.dtype.isnative else frames.astype(frames.dtype.newbyteorder("="))))


def _own(array: Array) -> Array:
    """The array where torch may see it: contiguous, and writable although nobody writes."""
    return np.require(array, requirements=["C", "W"])
