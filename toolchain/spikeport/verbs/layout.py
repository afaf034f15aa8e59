"""Which axes of a user's samples are what: the one reading that fits is taken and said; two that fit are refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.graph import Array, Graph, Samples
from spikeport.graph.node import Shape
from spikeport.verbs.own_data import Brought
from spikeport.verbs.sequences import as_long_as

#: how one frame may lie, in words; whether it fits a network's shape; and how it is turned into that
FRAMES: tuple[tuple[str, Callable[[Shape, Shape], bool]], ...] = (
    ("", lambda frame, shape: frame == shape),
    ("without the channel axis", lambda frame, shape: (1, *frame) == shape),
    ("with channels last", lambda frame, shape: len(shape) > 1 and frame == (*shape[1:], shape[0])),
    ("as a frame that the network takes flat", lambda frame, shape: len(shape) == 1 < len(frame)),
    ("flat", lambda frame, shape: len(frame) == 1 < len(shape)),
)


@dataclass(frozen=True)
class Read:
    """One way to read an array: which leading axes it has, and how a frame lies."""

    lead: str  #: B, TB, BT, T, or nothing
    frame: str
    array: Array

    @property
    def words(self) -> str:
        """What is not as the network takes it."""
        lead = {"BT": "samples before steps", "T": "one sample", "": "one sample"}.get(self.lead, "")
        return " and ".join(part for part in (lead, self.frame) if part)


def laid_out(brought: Brought, graph: Graph) -> tuple[Array, tuple[Finding, ...]]:
    """The samples as `Samples.of` takes them, and what was read into them.

    Raises SP233 where several readings fit, SP235 for bytes where a network takes one frame a sample, SP502 where none
    fits or a value is not finite.
    """
    _refuse_bytes(brought, graph)
    if brought.lengths is not None:
        x = as_long_as(graph, brought.x, brought.lengths, brought.samples_first, brought.name)
        brought = replace(brought, x=x)
    readings = list(_readings(brought, graph))
    if not readings:
        return Samples.of(graph, brought.x).array, ()
    first = next((each for each in readings if not each.words), readings[0])
    others = [each for each in readings if each is not first and not _same(each.array, first.array)]
    if first.words and others:
        ways = " or ".join(each.words or "as documented" for each in (first, *others))
        what = f"samples of shape {list(brought.x.shape)} may be read {ways}"
        fail("SP233", what, where=brought.name, mend=f"give them as {_wanted(graph)}")
    return Samples.of(graph, first.array).array, tuple(_said(brought, graph, first, others))


def _said(brought: Brought, graph: Graph, first: Read, others: list[Read]) -> list[Finding]:
    shape, wanted = list(brought.x.shape), _wanted(graph)
    if first.words:
        what = f"samples of shape {shape} were read as {first.words}, and laid out as the network takes them"
        return [Finding("SP231", what, where=brought.name, mend=f"give them as {wanted}", severity="note")]
    if others:
        what = f"samples of shape {shape} were read as {wanted}; read as {others[0].words} they fit too"
        mend = f"if that is meant, turn the axes: {wanted}; or bring a pair (x, y) of several lengths"
        return [Finding("SP231", what, where=brought.name, mend=mend, severity="note")]
    return []


def _readings(brought: Brought, graph: Graph) -> list[Read]:
    x, shape, events = brought.x, graph.entry.shape, graph.entry.coding == "events"
    leads: tuple[str, ...] = ("TB", "BT", "T") if events else ("B", "")
    if brought.stacked:
        leads = leads[1:2] if events else leads[:1]
    readings = []
    for lead in leads:
        axes = dict(zip(lead, x.shape, strict=False))
        if x.ndim <= len(lead) or axes.get("T", graph.timesteps) != graph.timesteps:
            continue
        if "B" in axes and brought.y is not None and axes["B"] != len(brought.y):
            continue
        frame = tuple(x.shape[len(lead) :])
        for words, fits in FRAMES:
            if fits(frame, shape) and math.prod(frame) == math.prod(shape):
                readings.append(Read(lead, words, _turned(x, lead, words, shape)))
                break  # a frame that is as it should be is not read otherwise
    return readings


def _turned(x: Array, lead: str, frame: str, shape: Shape) -> Array:
    if frame == "with channels last":
        x = np.moveaxis(x, -1, len(lead))
    if frame:
        x = x.reshape(*x.shape[: len(lead)], *shape)
    if lead == "BT":
        return np.moveaxis(x, 1, 0)
    return {"": x[None], "T": x[:, None]}.get(lead, x)


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


def _wanted(graph: Graph) -> str:
    frame = ", ".join(map(str, graph.entry.shape))
    return f"[{graph.timesteps}, B, {frame}], steps first" if graph.entry.coding == "events" else f"[B, {frame}]"


def _refuse_bytes(brought: Brought, graph: Graph) -> None:
    """Raises SP235 for bytes above 1 in place of values, unless a network in integers says that it takes so large ones.

    Counts of events are whole numbers by nature.
    """
    x, entry = brought.x, graph.entry
    taken = entry.high * float(entry.unit) if np.isfinite(entry.high) else 1.0
    if entry.coding == "direct" and x.dtype == np.uint8 and x.size and x.max() > max(1.0, taken):
        fail(
            "SP235",
            f"samples are bytes from {x.min()} to {x.max()}",
            where=brought.name,
            why="a network trained on values from 0 to 1, as ToTensor makes them, gives other spikes on them.",
            mend="give x / numpy.float32(255) if it was trained so, x.astype('float32') if it was trained on bytes",
        )
