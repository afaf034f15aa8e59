"""Samples as a network takes them: here, once, it is known which of an array's axes are time and which counts them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from spikeport.findings import fail
from spikeport.graph.arrays import Array
from spikeport.graph.graph import Graph
from spikeport.graph.node import Shape
from spikeport.graph.plumbing import Coding


@dataclass(frozen=True, eq=False)
class Samples:
    """Some samples, each with one frame for all timesteps (`direct`) or with a frame a timestep (`events`)."""

    array: Array  #: direct: [B, *shape]; events: [T, B, *shape]
    coding: Coding

    @classmethod
    def of(cls, graph: Graph, array: Array) -> Samples:
        """Those that a graph is to run. Raises SP502 for an array that it does not take, or that is not finite."""
        samples, shape, steps = cls(array, graph.entry.coding), graph.entry.shape, graph.timesteps
        events = samples.coding == "events"
        fits = array.ndim == len(shape) + 1 + events and samples.shape == shape
        if not fits or (events and len(array) != steps):
            wanted = f"[T={steps}, B, {shape}]" if events else f"[B, {shape}]"
            fail(
                "SP502",
                f"the input has shape {list(array.shape)}, the model takes {wanted}",
                where=f"node {graph.input!r}",
                mend="a frame each step needs --frames and as many steps as the model has"
                if events
                else "give one frame a sample, without a time axis",
            )
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

    def cut(self, start: int, stop: int | None) -> Samples:
        """Those from ``start`` on, up to ``stop`` or the end: a view."""
        return Samples(self.array[:, start:stop] if self.axis else self.array[start:stop], self.coding)

    def during(self, start: int, stop: int) -> Samples:
        """Their frames of the steps ``start`` ... ``stop - 1``: a view; one frame for all steps stays."""
        return Samples(self.array[start:stop], self.coding) if self.coding == "events" else self

    def take(self, indices: Sequence[int] | Array) -> Samples:
        """Those of some numbers, in their order: a copy."""
        return Samples(self.array.take(indices, axis=self.axis), self.coding)

    def first(self, count: int | None) -> Samples:
        """The first ``count``, all where there are no more or it is None: a view."""
        return self.cut(0, count)
