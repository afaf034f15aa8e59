"""A gain and a bias of its own at every timestep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from spikeport.findings import require
from spikeport.graph.arrays import Array, schedule_over_neurons
from spikeport.graph.bounds import Range
from spikeport.graph.node import Shape
from spikeport.graph.operation import Operation, times


@dataclass(frozen=True, eq=False)
class StepAffine(Operation):
    """``y[t] = gain[t] * x[t] + bias[t]``: a normalisation whose numbers differ from step to step.

    With running statistics BNTT (Kim & Panda, Front. Neurosci. 15, 2021, eq. 6) has
    ``gain[t] = gamma[t] / sqrt(var[t] + eps)`` and ``bias[t] = beta[t] - gain[t] * mean[t]``, TEBN (Duan et al.,
    NeurIPS 2022, eq. 9) a number ``p[t]`` times one batch normalisation. In whole numbers both are whole.
    """

    arrays: ClassVar[tuple[str, ...]] = ("gain", "bias")
    schedules: ClassVar[tuple[str, ...]] = ("gain", "bias")

    gain: Array  #: [T], [T, C] or [T, *shape], dimensionless
    bias: Array  #: [T], [T, C] or [T, *shape], in the unit of x

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.schedules:
            require(getattr(self, name).ndim >= 1, "SP101", f"{name} needs a leading time axis")

    def output_shape(self, *sources: Shape) -> Shape:
        (source,) = sources
        for name in self.schedules:
            schedule_over_neurons(getattr(self, name), source, name=name)
        return source

    def compute(self, *x: Array) -> Array:
        (one,) = x
        gain, bias = (schedule_over_neurons(value, one.shape[2:])[:, None] for value in (self.gain, self.bias))
        return np.asarray(one * gain + bias)

    def additions(self, *nonzero: Array) -> Array:
        """One for each value that gets a bias."""
        (one,) = nonzero
        bias = schedule_over_neurons(self.bias, one.shape[2:])[:, None] != 0
        every = np.broadcast_to(bias, (len(bias), *one.shape[1:])).reshape(len(bias), -1)
        return np.asarray(every.sum(1, dtype=np.int64))

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        (one,), whole = x, all(getattr(self, name).dtype.kind in "iu" for name in self.schedules)
        gain, bias = (schedule_over_neurons(value, shapes[0]) for value in (self.gain, self.bias))
        ends = np.unique(np.stack(np.broadcast_arrays(gain, bias)).reshape(2, -1), axis=1).T.tolist()
        number = int if whole else float
        parts = [times(Range(number(g), number(g)), one) for g, _ in ends]
        sums = [part + Range(number(b), number(b)) for part, (_, b) in zip(parts, ends, strict=True)]
        every = parts + sums
        return Range(min(part.low for part in every), max(part.high for part in every))

    def magnitude(self) -> Self:
        return self.with_(gain=np.abs(self.gain), bias=np.abs(self.bias))
