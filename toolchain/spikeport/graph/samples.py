"""Samples as a network takes them: here, once, it is known which of an array's axes are time and which counts them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.graph.arrays import Array
from spikeport.graph.graph import Graph
from spikeport.graph.node import Shape
from spikeport.graph.plumbing import Coding


def running(lengths: Array, steps: int) -> Array:
    """[T, B]: whether each sample of ``lengths`` [B] has each of ``steps`` steps."""
    return np.asarray(np.arange(steps)[:, None] < lengths)


#: what to do about samples of another shape: for a network that takes one frame of each, or one a step
ONE_FRAME = "give one frame a sample, without a time axis"
FRAMES = "a frame each step needs --frames and as many steps as the model has"
NO_TIME = (
    "bring a frame for each step; where one is meant for all steps, say so of the network: --nir coding=direct for "
    "another tool's NIR file, {'coding': 'direct'} among a module's options"
)


@dataclass(frozen=True, eq=False)
class Samples:
    """Some samples, each with one frame for all timesteps (`direct`) or with a frame a timestep (`events`).

    Sequences of unequal length are padded to one number of steps. Each begins at step 0 and is read out at its own last
    step; what lies behind is nobody's, and zero (`ending`).
    """

    array: Array  #: direct: [B, *shape]; events: [T, B, *shape]
    coding: Coding
    #: int64 [B], 1 ... T: how many steps each one has, where not all have T
    lengths: Array | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, graph: Graph, array: Array | Samples) -> Samples:
        """Those that a graph is to run. Raises SP502 for an array that it does not take, or that is not finite."""
        lengths = array.lengths if isinstance(array, Samples) else None
        array = array.array if isinstance(array, Samples) else array
        samples, shape, steps = cls(array, graph.entry.coding, lengths=lengths), graph.entry.shape, graph.timesteps
        events = samples.coding == "events"
        fits = array.ndim == len(shape) + 1 + events and samples.shape == shape
        if not fits or (events and len(array) != steps):
            wanted = ", ".join([f"T={steps}", "B", *map(str, shape)][0 if events else 1 :])
            what = f"the input has shape {list(array.shape)}, the model takes [{wanted}]"
            mend = ONE_FRAME if not events else NO_TIME if array.shape[1:] == shape else FRAMES
            fail("SP502", what, where=f"node {graph.input!r}", mend=mend)
        if array.dtype.kind == "f" and not all(map(math.isfinite, samples.ends)):  # they are NaN if one value is
            mend = "leave these samples out, or mend what made them"
            fail("SP502", "the input holds values that are not finite", where=f"node {graph.input!r}", mend=mend)
        return samples

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The least and the largest value; NaN where one of them is."""
        return (float(self.array.min()), float(self.array.max())) if self.array.size else (0.0, 0.0)

    @property
    def axis(self) -> int:
        """The axis of ``array`` that counts samples."""
        return 1 if self.coding == "events" else 0

    @property
    def number(self) -> int:
        """How many samples there are."""
        return int(self.array.shape[self.axis])

    @property
    def shape(self) -> Shape:
        """Of one frame."""
        return tuple(self.array.shape[self.axis + 1 :])

    @property
    def frames(self) -> Array:
        """[T or 1, B, *shape]: one step where each sample has one frame."""
        return self.array if self.coding == "events" else self.array[None]

    @property
    def given(self) -> Array | Samples:
        """As a run takes them: the array alone where all have the same number of steps."""
        return self.array if self.lengths is None else self

    def ending(self, lengths: Any, where: str) -> Samples:
        """These sequences with their lengths, and zeros behind each one's end.

        Raises SP244 for what are no lengths [B] between 1 and T, and for samples without a frame a step.
        """
        steps, values = len(self.frames), np.asarray(lengths)
        whole = (
            values.shape == (self.number,) and values.dtype.kind in "iuf" and bool((values == np.floor(values)).all())
        )
        if self.coding != "events" or not whole or (values.size and not 1 <= values.min() <= values.max() <= steps):
            what = f"lengths of shape {list(values.shape)}"
            what += f" from {values.min()} to {values.max()}" if values.size and values.dtype.kind in "iuf" else ""
            mend = f"give one whole number a sample, from 1 to its {steps} steps, and a frame each step"
            fail("SP244", f"{what} are none of {self.number} samples of {steps} steps", where=where, mend=mend)
        values = values.astype(np.int64)
        if (values == steps).all():
            return self
        behind = ~running(values, steps).reshape(steps, -1, *(1,) * len(self.shape))
        return Samples(np.where(behind, self.array.dtype.type(0), self.array), self.coding, lengths=values)

    @property
    def own(self) -> Array:
        """The values of samples' own steps, without what lies behind their ends: of all where none ends earlier."""
        return self.array if self.lengths is None else self.array[running(self.lengths, len(self.array))]

    def by_length(self) -> Iterator[tuple[int, Array]]:
        """Each length that there is, with the numbers of the samples that have it."""
        assert self.lengths is not None
        for steps in np.unique(self.lengths):
            yield int(steps), np.flatnonzero(self.lengths == steps)

    def cut(self, start: int, stop: int | None) -> Samples:
        """Those from ``start`` on, up to ``stop`` or the end: a view."""
        lengths = None if self.lengths is None else self.lengths[start:stop]
        return Samples(self.array[:, start:stop] if self.axis else self.array[start:stop], self.coding, lengths=lengths)

    def during(self, start: int, stop: int) -> Samples:
        """Their frames of the steps ``start`` ... ``stop - 1``: a view; one frame for all steps stays."""
        return replace(self, array=self.array[start:stop]) if self.coding == "events" else self

    def take(self, indices: Sequence[int] | Array) -> Samples:
        """Those of some numbers, in their order: a copy."""
        lengths = None if self.lengths is None else self.lengths[np.asarray(indices)]
        return Samples(self.array.take(indices, axis=self.axis), self.coding, lengths=lengths)

    def first(self, count: int | None) -> Samples:
        """The first ``count``, all where there are no more or it is None: a view."""
        return self.cut(0, count)
