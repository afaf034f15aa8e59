"""What reshapes, stacks, selections and sums over axes become."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from spikeport.graph import Flatten
from spikeport.tracing.layers import whole_pool
from spikeport.tracing.symbols import Layout, Symbol, Unsupported
from spikeport.tracing.tracer import Call


def reshape(call: Call) -> Symbol:
    """Any reshape that keeps the order of elements: time and batch may fold, features stay or are flattened."""
    x = call.input()
    shape = tuple(call.out.shape)
    size = math.prod(x.shape)
    for layout, lead in _leads(call, x):
        if shape[: len(lead)] != lead:
            continue
        rest = shape[len(lead) :]
        place = replace(x, layout=layout)
        if rest == x.shape:
            return place
        if rest == (size,):
            return call.apply(Flatten(), place)
    raise Unsupported(f"turns features {x.shape} into a block {shape}; features stay as they are or are flattened")


def _leads(call: Call, x: Symbol) -> Iterator[tuple[Layout, tuple[int, ...]]]:
    batch, steps = call.tracer.batch, call.tracer.timesteps
    if x.layout in ("frame", "one"):
        yield "frame", (batch,)
        yield "one", (1, batch)
    else:
        assert steps is not None
        yield "all", (steps, batch)
        yield "merged", (steps * batch,)


def expand(call: Call) -> Symbol:
    """A frame at every step: [1, B, ...] or [B, ...] -> [T, B, ...]; anything else must change nothing."""
    x = call.input()
    shape, batch = tuple(call.out.shape), call.tracer.batch
    if shape == (*x.lead(batch, call.tracer.timesteps), *x.shape):
        return x
    if x.layout in ("one", "frame") and shape[1:] == (batch, *x.shape):
        return _repeated(call, x, shape[0])
    raise Unsupported(f"repeats features {x.shape} into a block {shape}; only repeating a frame over time can be held")


def _repeated(call: Call, x: Symbol, steps: int) -> Symbol:
    if steps == 1:
        return replace(x, layout="one")
    if x.weights is not None or not call.tracer.draft.is_constant(x):
        raise Unsupported("repeats one step's value over time")
    call.tracer.steps(steps)
    return replace(x, layout="all", step=None)


def stack(call: Call) -> Symbol:
    """Frames of consecutive steps to a block [T, B, ...]; ``cat`` does it with blocks [1, B, ...]."""
    parts = [call.symbol(part) for part in call.get(0, "tensors")]
    frames = "frame" if call.name == "stack" else "one"
    if call.get(1, "dim", 0) != 0:
        raise Unsupported("joins values along another axis than time, which a graph cannot hold")
    first = parts[0]
    if first is None or any(p is None or p.layout != frames or p.terms != first.terms for p in parts):
        raise Unsupported("joins values of different layers; only the steps of one layer can be joined, over time")
    steps = [p for p in parts if p is not None]
    if any(p.weights is not None for p in steps):
        raise Unsupported("joins sums over time")
    if call.tracer.draft.is_constant(first):
        return _repeated(call, replace(first, layout="one", step=None), len(steps))
    if [p.step for p in steps] != list(range(len(steps))):
        raise Unsupported("joins steps that are not 0, 1, 2, ...")
    call.tracer.steps(len(steps))
    return replace(first, layout="all", step=None)


def unbind(call: Call) -> list[Symbol]:
    """[T, B, ...] as its steps."""
    x = call.input()
    if x.layout not in ("all", "one") or call.get(1, "dim", 0) != 0:
        raise Unsupported("takes a block apart along another axis than time")
    count = call.tracer.timesteps if x.layout == "all" else 1
    return [_step(call, x, t) for t in range(count or 1)]


def _step(call: Call, x: Symbol, t: int) -> Symbol:
    constant = call.tracer.draft.is_constant(x)
    step = None if constant else (t if x.layout == "all" else x.step)
    return replace(x, layout="frame", step=step)


def select(call: Call) -> Symbol:
    """x[t], x.select(0, t), or a selection of everything."""
    x = call.input()
    if call.name == "select":
        index: Any = call.get(2, "index") if call.get(1, "dim") == 0 else None
    else:
        index = call.get(1, "index")
    if tuple(call.out.shape) == (*x.lead(call.tracer.batch, call.tracer.timesteps), *x.shape):
        whole = index if isinstance(index, tuple) else (index,)
        if all(part is Ellipsis or part == slice(None) for part in whole):
            return x
    if isinstance(index, tuple) and index and all(part is Ellipsis or part == slice(None) for part in index[1:]):
        index = index[0]
    if x.layout in ("all", "one") and isinstance(index, int):
        count = (call.tracer.timesteps or 1) if x.layout == "all" else 1
        return _step(call, x, index % count)
    raise Unsupported("selects a part of the features or of the batch")


def reduce(kind: str) -> Callable[[Call], Symbol]:
    """Mean or sum over time (a readout) or over all of space (a pool)."""

    def handler(call: Call) -> Symbol:
        x = call.symbol(call.get(0, "input"))
        if x is None:
            raise Unsupported("adds up constants over axes that depend on the input")
        axes = _axes(call.get(1, "dim"), call.args[0].ndim)
        lead = len(x.lead(call.tracer.batch, call.tracer.timesteps))
        if call.kwargs.get("dtype") is not None:
            raise Unsupported("changes the number type")
        if axes == (0,) and x.layout == "all" and not call.get(2, "keepdim", False):
            steps = call.tracer.timesteps
            assert steps is not None
            share = 1 / steps if kind == "mean" else 1.0
            weights = x.weights or dict.fromkeys(range(steps), 1.0)
            return replace(x, layout="frame", weights={t: share * w for t, w in weights.items()})
        x = call.input()
        space = tuple(range(lead + 1, lead + len(x.shape)))
        if axes == space and space:
            pooled = whole_pool(call, x, (1,) * len(space), "average" if kind == "mean" else "sum")
            return pooled if call.get(2, "keepdim", False) else call.apply(Flatten(), pooled)
        raise Unsupported("is over other axes than time or all of space")

    return handler


def _axes(dim: Any, count: int) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(count))
    dims: Sequence[int] = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(sorted(d % count for d in dims))


def tensordot(call: Call) -> Symbol:
    """tensordot(weights [T], x, dims=1): a sum over time with weights."""
    weights, x = call.get(0, "a"), call.symbol(call.get(1, "b"))
    if x is None or call.symbol(weights) is not None or call.get(2, "dims", 2) != 1 or weights.ndim != 1:
        raise Unsupported("is no sum over time with constant weights")
    if x.layout != "all":
        raise Unsupported("weighs something that is not [T, B, ...]")
    values = [float(w) for w in weights.detach().double()]
    return replace(x, layout="frame", weights=dict(enumerate(values)))


def join(call: Call) -> Symbol:
    """cat: over time, or refused by name."""
    first = call.get(0, "tensors")[0]
    if call.get(1, "dim", 0) != 0 or not isinstance(first, Tensor):
        raise Unsupported("joins channels, which a graph cannot hold")
    return stack(call)


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "flatten": reshape,
    "reshape": reshape,
    "view": reshape,
    "unflatten": reshape,
    "squeeze": reshape,
    "unsqueeze": reshape,
    "view_as": reshape,
    "reshape_as": reshape,
    "squeeze_": reshape,
    "unsqueeze_": reshape,
    "expand": expand,
    "expand_as": expand,
    "repeat": expand,
    "broadcast_to": expand,
    "tile": expand,
    "repeat_interleave": expand,
    "stack": stack,
    "cat": join,
    "concat": join,
    "concatenate": join,
    "unbind": unbind,
    "__iter__": unbind,
    "select": select,
    "__getitem__": select,
    "mean": reduce("mean"),
    "sum": reduce("sum"),
    "tensordot": tensordot,
}
