"""A module that a user brings, or names as ``package:function``, as a model: with its samples' shape, captured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeport import datasets
from spikeport.findings import Finding, SpikeportError
from spikeport.verbs import own_files
from spikeport.verbs.load import Model
from spikeport.verbs.own_data import Brought, frame_shape
from spikeport.verbs.own_files import is_own, whole

if TYPE_CHECKING:
    from spikeport.tracing.code import Named

Shape = tuple[int, ...]


def of_module(module: Any, data: Any, timesteps: str | None, frames: bool) -> Model:
    """A module, a tuple of one with its input and options, or one that takes the shape of ``data``'s samples."""
    from spikeport.tracing.code import taken

    known = type(module[0] if isinstance(module, tuple) and module else module).__name__
    shape, steps, hint = _told(data, timesteps, frames)
    code = taken(module, known, shape)
    return _with(hint if code.input_shape == shape else (), lambda: _captured(known, code, steps))


def of_code(reference: str, data: Any, timesteps: str | None, frames: bool) -> Model:
    """``package:function``: the one way to name code, which then runs."""
    shape, steps, hint = _told(data, timesteps, frames)
    return _with(hint, lambda: _of_code(reference, shape, steps))


def _told(data: Any, timesteps: str | None, frames: bool) -> tuple[Shape | None, str | None, tuple[Finding, ...]]:
    """The shape of one sample, None where only the network tells it; its steps; and what remains unsaid of it."""
    if isinstance(data, str | Path) and not is_own(str(data)):
        return datasets.load(str(data)).input_shape, timesteps, ()
    brought = None if data is None else own_files.bring(data)
    if brought is None or isinstance(brought, str | Path):
        return None, timesteps, ()
    shape = frame_shape(brought, frames)
    if frames:
        return shape, timesteps or str(brought.steps), ()
    return shape, timesteps, _unsaid(brought, shape)


def _unsaid(brought: Brought, shape: Shape) -> tuple[Finding, ...]:
    """That the first two axes of an array may be steps and samples, where nothing says which they are."""
    if brought.stacked or brought.y is not None or len(shape) < 2:
        return ()
    what = (
        f"nothing says that the first two axes of {list(brought.x.shape)} are [T, B], so that a sample is {list(shape)}"
    )
    mend = "if they are, say so: frames=True, or --frames"
    return (Finding("SP231", what, where=brought.name, mend=mend, severity="note"),)


def _with(hint: tuple[Finding, ...], captured: Callable[[], Model]) -> Model:
    """A module's model; the hint stands beside what it was refused for, or beside a graph that takes frames."""
    try:
        model = captured()
    except SpikeportError as error:
        raise (SpikeportError([*error.findings, *hint]) if hint else error) from None
    return replace(model, findings=(*model.findings, *hint)) if model.graph.entry.coding == "events" else model


@cache
def _of_code(reference: str, shape: Shape | None, timesteps: str | None) -> Model:
    """Once: a second call may draw other weights."""
    from spikeport.tracing.code import named

    runs = Finding("SP909", "its code was imported and called", where=reference, severity="note")
    return _captured(reference, named(reference, shape), timesteps, runs)


def _captured(name: str, code: Named, timesteps: str | None, *findings: Finding) -> Model:
    """A module's graph, with what `capture` had to choose."""
    graph = code.graph(None if timesteps is None else whole(timesteps, "timesteps"))
    mend = "if that is not meant, return (module, input_shape, options), for instance {'forward': 'step'}"
    notes = graph.provenance.get("notes", ())
    from spikeport.tracing import last_functions, over_time

    whole_notes = [last_functions.note(graph.provenance.get(last_functions.KEY, {})), *over_time.told_of(notes)]
    mends = ("" if note in whole_notes else mend for note in notes)
    read = tuple(
        Finding("SP242", note, where=name, mend=m, severity="note") for note, m in zip(notes, mends, strict=True)
    )
    facts = {"model": name, "input_shape": code.input_shape, "options": code.options}
    return Model(name, "module", graph, code.module, facts, findings=(*findings, *read))
