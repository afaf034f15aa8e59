"""Selections of steps, and writing steps into a block that was made for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.tracing import picks
from spikeport.tracing.arithmetic import chosen
from spikeport.tracing.axes import with_time, without_time
from spikeport.tracing.blocks import gathered, step_of, steps_of
from spikeport.tracing.borders import filled
from spikeport.tracing.call import FIXED, Call
from spikeport.tracing.symbols import Axes, Steps, Symbol, Unsupported


def select(call: Call) -> Any:
    """select(x, dim, index)."""
    count = len(call.shape)
    dim, index = call.get(1, "dim") % count, call.get(2, "index")
    return _picked(call, [*[slice(None)] * dim, index])


def getitem(call: Call) -> Any:
    """x[...]."""
    index = call.get(1, "index")
    return _picked(call, list(index) if isinstance(index, tuple) else [index])


def narrow(call: Call) -> Any:
    """narrow(x, dim, start, length)."""
    dim, start, length = call.get(1, "dim") % len(call.shape), call.get(2, "start"), call.get(3, "length")
    return _picked(call, [*[slice(None)] * dim, slice(start, start + length)])


def index_select(call: Call) -> Any:
    """index_select(x, dim, index)."""
    dim, index = call.get(1, "dim") % len(call.shape), call.get(2, "index")
    return _picked(call, [*[slice(None)] * dim, index.reshape(-1)])


def _spelled(index: list[Any], count: int) -> list[Any]:
    """An index with its ellipsis written out: one entry an axis, and None for new axes."""
    used = sum(1 for part in index if part is not None and part is not Ellipsis)
    rest = [slice(None)] * (count - used)
    for at, part in enumerate(index):
        if part is Ellipsis:
            return [*index[:at], *rest, *index[at + 1 :]]
    return [*index, *rest]


def _number(part: Any) -> int | None:
    if isinstance(part, bool):
        return None
    if (
        isinstance(part, Tensor)
        and part.numel() == 1
        and not part.is_floating_point()
        and str(part.dtype) != "torch.bool"
    ):
        return int(part)
    return part if isinstance(part, int) else None


def _picked(call: Call, index: list[Any]) -> Any:
    x = call.known(call.get(0, "input"))
    assert x is not None
    if any(isinstance(part, Tensor) and call.tracer.known_of(part) is not None for part in index):
        raise Unsupported("selects where spikes are")
    kept: list[tuple[Any, ...] | None] = []  # groups of the result; None stands for time
    steps: list[int] | int | None = None
    axes: list[Any] = _groups(x)
    at, lengths = 0, list(call.shape)
    spelled = _spelled(index, len(axes))
    if isinstance(x, Symbol):
        x = _listed(call, x, spelled, lengths)
        x = _selected(call, x, spelled, lengths)
        axes = _groups(x)
    time = x.axis if isinstance(x, Steps) else next((n for n, g in enumerate(x.axes) if g == ("T",)), None)
    for part in spelled:
        if part is None:
            kept.append(())
            continue
        group, length = axes[at], lengths[at]
        number = _number(part)
        if at == time and (number is not None or isinstance(part, slice)):
            chosen_steps = range(length)[part] if number is None else range(length)[number]
            steps = list(chosen_steps) if isinstance(chosen_steps, range) else chosen_steps
            kept += [None] if isinstance(steps, list) else []
        elif isinstance(part, slice) and range(length)[part] == range(length):
            kept.append(group)
        elif number is None or length != 1:
            raise Unsupported(picks.PARTS)
        elif group:
            _drop(kept, group)
        at += 1
    return _result(call, x, kept, steps, time, lengths)


def _listed(call: Call, x: Symbol, index: list[Any], lengths: list[int]) -> Symbol:
    """``x`` with the features that an index lists; what is left of the index, in place, takes all of them."""
    places = [n for n, part in enumerate(index) if part is not None]
    lists = {at: table for at, n in enumerate(places) if (table := picks.listed(index[n])) is not None}
    if not lists or all(lengths[at] == 1 == table.size for at, table in lists.items()):
        return x
    if any(_number(index[n]) is not None for n in places):
        raise Unsupported(picks.LISTS)  # numbers are lists, too, where there are some
    x, count = picks.by_lists(call, x, lists)
    first, before = places[min(lists)], min(lists)
    index[first : places[max(lists)] + 1] = [slice(None)] * count
    lengths[before : before + len(lists)] = picks.lengths(call, x)[before : before + count]
    return x


def _selected(call: Call, x: Symbol, index: list[Any], lengths: list[int]) -> Symbol:
    """``x`` with the features that an index selects; what is left of the index, in place, takes all of them."""
    places = [n for n, part in enumerate(index) if part is not None]
    for at, place in enumerate(places):
        number, part, group = _number(index[place]), index[place], x.axes[at]
        if number is None and not isinstance(part, slice):
            continue
        every = range(lengths[at])
        chosen_ones = every[part] if number is None else range(every[number], every[number] + 1)
        if len(chosen_ones) == len(every) or not any(isinstance(label, int) for label in group):
            continue
        if not chosen_ones:
            raise Unsupported("selects none of the features")
        x = picks.picked(call, x, at, np.asarray(chosen_ones))
        index[place], lengths[at] = (slice(None) if number is None else 0), len(chosen_ones)
    return x


def _drop(kept: list[tuple[Any, ...] | None], group: tuple[Any, ...]) -> None:
    """An axis of size 1 is indexed away; its labels stay with a neighbour."""
    for n in range(len(kept) - 1, -1, -1):
        if kept[n]:
            kept[n] = (*kept[n], *group)  # type: ignore[misc]
            return
    raise Unsupported(picks.PARTS)


def _groups(x: Symbol | Steps) -> list[Any]:
    if isinstance(x, Symbol):
        return list(x.axes)
    first = next((s for s in x.steps if s is not None), None)
    if first is None:
        raise Unsupported("reads a block to which nothing was written yet")
    return list(with_time(first.axes, x.axis))


def _result(
    call: Call, x: Symbol | Steps, kept: list[Any], steps: list[int] | int | None, time: int | None, lengths: list[int]
) -> Any:
    if time is None:
        assert isinstance(x, Symbol)
        return x.viewed(tuple(kept))
    if steps == list(range(lengths[time])) and isinstance(x, Symbol):
        return x.viewed(tuple(("T",) if group is None else group for group in kept))
    if isinstance(steps, int):
        call.tracer.membranes.took([steps], call.tracer.timesteps)
        one, axis = step_of(call, x, steps)
        return FIXED if one is None else _as(one, kept, axis)
    block = steps_of(call, x)
    assert steps is not None
    where = kept.index(None)
    rest = kept[:where] + kept[where + 1 :]
    picked = [block.steps[t] for t in steps]
    if len(picked) == 1:
        one = picked[0]
        return FIXED if one is None else one.viewed((*rest[:where], (), *rest[where:]))
    parts = Steps(tuple(s and _as(s, rest, block.axis) for s in picked), where)
    return gathered(call, parts) if len(picked) == call.tracer.timesteps else parts


def _as(step: Symbol, kept: list[Any], axis: int) -> Symbol:
    axes: Axes = tuple(kept)
    return step if axes == step.axes else step.viewed(axes)


def setitem(call: Call) -> Any:
    """x[t] = y writes a step of a block of zeros; x[spikes] = constant is a reset."""
    target, index, value = call.args[0], call.args[1], call.args[2]
    mask = index if isinstance(index, Tensor) else None
    if mask is not None and call.tracer.known_of(mask) is not None:
        return chosen(call, mask, value, target)
    if (bordered := filled(call)) is not None:
        return bordered
    y = call.symbol(value)
    block = call.known(target)
    parts = _spelled(list(index) if isinstance(index, tuple) else [index], target.ndim)
    numbers = [n for n, part in enumerate(parts) if _number(part) is not None]
    whole = [part for n, part in enumerate(parts) if n not in numbers]
    if y is None or len(numbers) != 1 or not all(isinstance(p, slice) and p == slice(None) for p in whole):
        raise Unsupported("writes into a part of a tensor; whole steps of a block of zeros can be written")
    axis = numbers[0]
    number = _number(parts[axis])
    assert number is not None
    if block is None and (not call.tracer.is_fixed(target) or target.numel() == 0):
        raise Unsupported("writes into a tensor that is no block of zeros")
    steps = list(_before(call, block, target.shape[axis], axis))
    if len(y.axes) != target.ndim - 1:
        raise Unsupported("writes a step that is broadcast")
    steps[range(len(steps))[number]] = y
    return gathered(call, Steps(tuple(steps), axis))


def _before(call: Call, block: Symbol | Steps | None, count: int, axis: int) -> tuple[Symbol | None, ...]:
    if block is None:
        return (None,) * count
    if isinstance(block, Symbol):
        if without_time(block.axes)[1] != axis:
            raise Unsupported("writes steps along another axis than time")
        return steps_of(call, block).steps
    if block.axis != axis:
        raise Unsupported("writes steps along another axis than time")
    return block.steps


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "select": select,
    "__getitem__": getitem,
    "index_select": index_select,
    "narrow": narrow,
    "__setitem__": setitem,
}
