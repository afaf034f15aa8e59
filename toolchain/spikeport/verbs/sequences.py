"""Sequences of unequal length as users bring them: padded to one number of steps, with their lengths kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeport.findings import fail
from spikeport.graph import Array, Graph


def stacked(items: Sequence[Array]) -> tuple[Array, Array | None]:
    """Samples [B, ...] of one shape; of sequences [T, ...] of unequal T padded ones [B, T, ...] and their lengths [B].

    Raises SP230 where more than the number of steps differs.
    """
    shapes = sorted({item.shape for item in items})
    if len(shapes) == 1:
        return np.stack(items), None
    if empty := [number for number, item in enumerate(items) if item.shape[:1] == (0,)]:
        fail("SP230", f"sample {empty[0]} (from 0) has no step", mend="leave out what has none")
    if len({shape[1:] for shape in shapes}) > 1 or any(not shape for shape in shapes):
        what = f"samples have different shapes: {', '.join(str(list(shape)) for shape in shapes[:4])}"
        fail("SP230", what, mend="cut or pad them to one shape; sequences may differ in their first axis, the steps")
    longest = max(shape[0] for shape in shapes)
    return np.stack([longer(item, longest, 0) for item in items]), np.array([len(item) for item in items])


def longer(x: Array, steps: int, axis: int) -> Array:
    """``x`` with zeros behind it along an axis, up to ``steps``; itself where it has as many."""
    missing = steps - x.shape[axis]
    if missing <= 0:
        return x
    return np.pad(x, [(0, missing if each == axis else 0) for each in range(x.ndim)])


def as_long_as(graph: Graph, x: Array, lengths: Array, first_counts_samples: bool, where: str) -> Array:
    """Padded sequences with as many steps as the network runs, where they have fewer.

    Raises SP244 for a network that takes one frame a sample, and for sequences that are shorter than their lengths.
    """
    if graph.entry.coding != "events":
        mend = "bring samples of one shape; a frame each step needs --frames"
        fail("SP244", "samples have lengths, and the network takes one frame of each", where=where, mend=mend)
    if x.ndim < 2:
        return x
    axis = int(first_counts_samples)
    if lengths.dtype.kind in "iuf" and lengths.max(initial=0) > x.shape[axis]:
        what = f"a length of {lengths.max()} among samples of {x.shape[axis]} frames"
        fail("SP244", what, where=where, mend="a length counts the frames of its own sample")
    return longer(x, graph.timesteps, axis)
