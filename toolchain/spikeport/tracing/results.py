"""Which tensors of what a module returns are its results, and what a graph makes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Never

import numpy as np
from torch import Tensor

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import Array, Graph, Readout, schedule_over_neurons


def chosen(outcome: Any, output: int | str | None) -> dict[int | str, Tensor]:
    """The tensors of a result that count, by number or key: the one that is named, else all. SP385 where none is."""
    values = _values(outcome)
    places = getattr(outcome, "_fields", ())
    if isinstance(output, int) and -len(places) <= output < len(places):
        output = places[output]
    if output is None:
        if not values:
            fail("SP385", f"the module returns {type(outcome).__name__}, no tensor", mend="return one tensor")
        return values
    if output not in values:
        names = ", ".join(repr(key) for key in values)
        fail("SP385", f"the module returns no result {output!r}; it has {names}", mend="name one of them")
    return {output: values[output]}


def several(keys: Iterable[int | str], *reasons: Finding, trains: Collection[int | str] = ()) -> Never:
    """Refuse results of which not all can be outputs, for ``reasons``; ``trains`` are spikes over time. SP385."""
    names = list(keys)
    told = ", ".join(f"{key!r}: spikes" if key in trains else repr(key) for key in names)
    what = f"the module returns {len(names)} results ({told}), and not all can be outputs"
    named = any(isinstance(key, str) for key in names)
    rest = "leave out those that cannot" if named else "for all of them return a dict, whose keys name the outputs"
    mend = f"{which([key for key in names if key in trains][:1] or names)}; {rest}"
    raise SpikeportError([Finding("SP385", what, mend=mend), *reasons])


def which(keys: list[int | str]) -> str:
    """How to name one: of many numbered results, as a list of steps has them, the last."""
    key = keys[-1] if len(keys) > 2 else keys[0]
    verb = f"for a verb the tuple (net, input_shape, {{'output': {key!r}}})"
    return f"say which result counts: capture(..., output={key!r}), or {verb}"


def _values(outcome: Any) -> dict[int | str, Tensor]:
    if isinstance(outcome, Tensor):
        return {0: outcome}
    if hasattr(outcome, "_asdict"):  # a tuple whose places have names
        return _values(outcome._asdict())
    if is_dataclass(outcome) and not isinstance(outcome, type):
        return _values({field.name: getattr(outcome, field.name) for field in fields(outcome)})
    if isinstance(outcome, Mapping):
        own = {str(key): value for key, value in outcome.items() if isinstance(value, Tensor)}
        inner = {f"{key}.{k}": v for key, each in outcome.items() for k, v in _values(each).items()}
        return dict(own.items() or inner.items())
    if isinstance(outcome, tuple | list):
        values: dict[int | str, Tensor] = {n: v for n, v in enumerate(outcome) if isinstance(v, Tensor)}
        nested = [v for v in outcome if isinstance(v, Mapping | tuple | list)]
        return values or (_values(nested[0]) if len(nested) == 1 else {})
    return {}


def over_all(train: Array, timesteps: int) -> Array:
    """[T, B, *neurons] of neurons that do the same at each step, or that were not run to the end (silent then)."""
    if len(train) in (1, timesteps):
        return np.broadcast_to(train, (timesteps, *train.shape[1:]))
    return np.concatenate([train, np.zeros((timesteps - len(train), *train.shape[1:]), train.dtype)])


def is_timed(graph: Graph, name: str, result: Any) -> bool:
    """Whether a result of the module has an axis of time, over which the graph reads it out at a node."""
    return bool(result.ndim == len(graph.shapes[name]) + 2)


def read_out(graph: Graph, name: str, result: Array) -> Array:
    """A result of the module as the graph reads it out at a node."""
    if not is_timed(graph, name, result):
        return result
    node = graph.nodes[name]
    weight = node.weight.astype(result.dtype) if isinstance(node, Readout) else np.ones(len(result), result.dtype)
    if weight.ndim == 1:
        return np.asarray(np.tensordot(weight, result, axes=1))
    return np.asarray((schedule_over_neurons(weight, graph.shapes[name])[:, None] * result).sum(0))
