"""A module that a user brings, or names as ``package:function``, as a model: with its samples' shape, captured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
    told = _told(data, timesteps, frames)
    code = taken(module, known, told.shape)
    return _with(told.hint if code.input_shape == told.shape else (), lambda: _captured(known, code, told))


def of_code(reference: str, data: Any, timesteps: str | None, frames: bool) -> Model:
    """``package:function``: the one way to name code, which then runs."""
    told = _told(data, timesteps, frames)
    return _with(told.hint, lambda: _of_code(reference, told))


@dataclass(frozen=True)
class _Told:
    """What the data and the words of a verb say of a network's input."""

    shape: Shape | None  #: of one sample; None where only the network tells it
    timesteps: str | None
    hint: tuple[Finding, ...] = ()  #: what remains unsaid
    whole: Shape = ()  #: of one sample, with all its axes, that of time first where it has one


def _told(data: Any, timesteps: str | None, frames: bool) -> _Told:
    if isinstance(data, str | Path) and not is_own(str(data)):
        return _Told(datasets.load(str(data)).input_shape, timesteps)
    brought = None if data is None else own_files.bring(data, split=own_files.a_split(data))
    if brought is None or isinstance(brought, str | Path):
        return _Told(None, timesteps)
    frames = frames or brought.lengths is not None  # a length counts frames
    shape, axes = frame_shape(brought, frames), brought.x.shape
    whole = (axes[0], *axes[2:]) if brought.steps_first else axes[1:]
    if frames:
        return _Told(shape, timesteps or str(brought.steps), whole=whole)
    return _Told(shape, timesteps, _unsaid(brought, shape), whole)


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
def _of_code(reference: str, told: _Told) -> Model:
    """Once: a second call may draw other weights."""
    from spikeport.tracing.code import named

    runs = Finding("SP909", "its code was imported and called", where=reference, severity="note")
    return _captured(reference, named(reference, told.shape), told, runs)


def _captured(name: str, code: Named, told: _Told, *findings: Finding) -> Model:
    """A module's graph, with what `capture` had to choose."""
    timesteps, options = told.timesteps, code.options
    if told.whole[1:] == code.input_shape and told.whole and options.get("coding", "events") == "events":
        timesteps = timesteps or str(told.whole[0])
        what = f"the samples bring {told.whole[0]} frames of {list(code.input_shape)}, one a step (coding 'events')"
        if "coding" not in options:
            code = replace(code, options={**options, "coding": "events"})
            findings = (*findings, Finding("SP242", what, where=name, severity="note"))
    graph = code.graph(None if timesteps is None else whole(timesteps, "timesteps"))
    notes = graph.provenance.get("notes", ())
    read = tuple(Finding("SP242", note, where=name, mend=_other_reading(note), severity="note") for note in notes)
    facts = {"model": name, "input_shape": code.input_shape, "options": code.options}
    return Model(name, "module", graph, code.module, facts, findings=(*findings, *read))


def _other_reading(note: str) -> str:
    """How to say that another reading is meant; nothing for notes of what is no guess."""
    from spikeport.tracing.readings import READ_AS

    other = "sample" if 'forward="step"' in note else "step"
    mend = f"if that is not meant, return (module, input_shape, options), for instance {{'forward': {other!r}}}"
    return mend if note.startswith(READ_AS) else ""
