"""What repeats a value: a new axis, or one of length 1, becomes time; features are repeated by a node."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from spikeport.tracing import operations
from spikeport.tracing.call import Call
from spikeport.tracing.symbols import Axes, Symbol, Unsupported


def expand(call: Call) -> Symbol:
    """A frame at every step, where a new axis or one of size 1 becomes time; features of length 1 are repeated."""
    x = call.input()
    shape = tuple(call.out.shape)
    padded: Axes = ((),) * (len(shape) - len(x.axes)) + x.axes
    axes = []
    for group, length in zip(padded, shape, strict=True):
        size = 1
        for label in group:
            size *= call.size(label)
        axes.append((group, length // size))
    counts = [count for _, count in axes]
    if padded[0] == () and set(counts) == {1} and not x.timed and x.steady and call.tracer.timesteps in (None, 1):
        return x.viewed((_time(call, x, (), 1), *padded[1:]))  # one timestep: the new axis stays as long as it was
    return _repeated(call, x, padded, counts)


def broadcast(call: Call) -> list[Symbol | None]:
    """broadcast_tensors(a, b, ...): each as `expand` has it; None for constants."""
    every = call.args[0] if isinstance(call.args[0], tuple | list) else call.args
    calls = [replace(call, args=(one,), out=out) for one, out in zip(every, call.out, strict=True)]
    return [expand(one) if one.known(one.args[0]) is not None else None for one in calls]


def repeat(call: Call) -> Symbol:
    """repeat(x, *times): over time, also where time is folded into the batch, and features of length 1."""
    x = call.input()
    counts = call.args[1:] if len(call.args) > 2 or isinstance(call.get(1, "repeats"), int) else call.get(1, "repeats")
    if call.name == "tile":
        counts = call.get(1, "dims")
        counts = call.args[1:] if isinstance(counts, int) else counts
    counts = [int(n) for n in counts]
    counts = [1] * (len(x.axes) - len(counts)) + counts
    padded: Axes = ((),) * (len(counts) - len(x.axes)) + x.axes
    tiles = [
        math.prod(call.size(label) for label in g) > 1 and g != ("B",) and n > 1
        for g, n in zip(padded, counts, strict=True)
    ]
    if any(tiles):
        raise Unsupported("repeats maps as tiles; a value can be repeated beside itself (repeat_interleave)")
    return _repeated(call, x, padded, counts)


def _repeated(call: Call, x: Symbol, axes: Axes, counts: Sequence[int]) -> Symbol:
    """An axis of nothing, or of the batch, that is repeated becomes time; features are repeated by a node."""
    late = x.timed or not x.steady
    features = [
        n if (late and g == ()) or any(isinstance(a, int) for a in g) else 1 for g, n in zip(axes, counts, strict=True)
    ]
    rest = [n // m for n, m in zip(counts, features, strict=True)]
    y = x.viewed(tuple(g if n == 1 else _time(call, x, g, n) for g, n in zip(axes, rest, strict=True)))
    return y if max(features, default=1) == 1 else operations.repeated(call.tracer, y, features)


def repeat_interleave(call: Call) -> Symbol:
    """repeat_interleave(x, count, dim)."""
    x, count, dim = call.input(), call.get(1, "repeats"), call.get(2, "dim")
    if not isinstance(count, int) or dim is None:
        raise Unsupported("repeats values one by one")
    dim %= len(x.axes)
    group = x.axes[dim]
    if group not in ((), ("B",)):
        return operations.repeated(call.tracer, x, [count if n == dim else 1 for n in range(len(x.axes))])
    _check(call, x, count)
    return x.viewed((*x.axes[:dim], (*group, "T"), *x.axes[dim + 1 :]))


def _time(call: Call, x: Symbol, group: Any, count: int) -> Any:
    if group not in ((), ("B",)):
        raise Unsupported("repeats time")
    _check(call, x, count)
    return ("T", *group)


def _check(call: Call, x: Symbol, count: int) -> None:
    if x.timed or not x.steady:
        raise Unsupported("repeats one step's value over time")
    call.tracer.steps(count)


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
    "broadcast_tensors": broadcast,
    "repeat": repeat,
    "tile": repeat,
    "repeat_interleave": repeat_interleave,
}
