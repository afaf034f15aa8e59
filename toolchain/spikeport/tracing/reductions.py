"""Mean and sum over time (a readout) or over all of space (a pool), and weighted sums over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from spikeport.tracing import operations
from spikeport.tracing.axes import without_time
from spikeport.tracing.blocks import weighed
from spikeport.tracing.call import Call
from spikeport.tracing.ends import larger
from spikeport.tracing.peaks import highest
from spikeport.tracing.pools import whole_pool
from spikeport.tracing.symbols import Label, Steps, Symbol, Unsupported


def reduce(kind: str) -> Callable[[Call], Symbol]:
    """Mean or sum over axes."""

    def handler(call: Call) -> Symbol:
        x = call.known(call.get(0, "input"))
        if x is None:
            raise Unsupported("adds up constants over axes that depend on the input")
        dims = _dims(call.get(1, "dim", call.kwargs.get("axis")), len(call.shape))
        keep = bool(call.get(2, "keepdim", call.kwargs.get("keepdims", False)))
        time = x.axis if isinstance(x, Steps) else next((n for n, g in enumerate(x.axes) if g == ("T",)), None)
        if time in dims:
            y = _over_time(call, x, kind, keep)
            dims = [d - (d > time and not keep) for d in dims if d != time]
        elif isinstance(x, Steps):
            raise Unsupported("takes a block over time whose steps are not one layer's")
        else:
            y = x
        return _over_space(call, y, dims, kind, keep) if any(y.axes[d] for d in dims) or dims else y

    return handler


def _over_time(call: Call, x: Symbol | Steps, kind: str, keep: bool) -> Symbol:
    steps = len(x.steps) if isinstance(x, Steps) else call.tracer.timesteps or 1
    axis = x.axis if isinstance(x, Steps) else without_time(x.axes)[1]
    y = weighed(call, x, [1 / steps if kind == "mean" else 1.0] * steps)
    return y.viewed((*y.axes[:axis], (), *y.axes[axis:])) if keep else y


def _over_space(call: Call, x: Symbol, dims: list[int], kind: str, keep: bool) -> Symbol:
    labels = {label for d in dims for label in x.axes[d]}
    space = set(range(1, len(x.shape)))
    if not labels:
        return x if keep else x.viewed(tuple(g for n, g in enumerate(x.axes) if n not in dims))
    if labels != space or "B" in labels:
        return operations.summed(call, x, dims, kind, keep)
    pooled = whole_pool(call, x, (1,) * len(space), "average" if kind == "mean" else "sum")
    if keep:
        return pooled
    axes: list[tuple[Label, ...]] = [g for n, g in enumerate(x.axes) if n not in dims]
    if (0,) not in axes:
        return operations.without(pooled, dims)
    at = axes.index((0,))
    axes[at] = tuple(range(len(x.shape)))  # the axes of space have size 1 now
    return pooled.viewed(tuple(axes))


def _dims(dim: Any, count: int) -> list[int]:
    if dim is None:
        return list(range(count))
    dims: Sequence[int] = (dim,) if isinstance(dim, int) else tuple(dim)
    return sorted(d % count for d in dims)


def tensordot(call: Call) -> Symbol:
    """tensordot(weights [T], x, dims=1): a sum over time with weights."""
    weights, x = call.get(0, "a"), call.known(call.get(1, "b"))
    if x is None or call.known(weights) is not None or call.get(2, "dims", 2) != 1 or weights.ndim != 1:
        raise Unsupported("is no sum over time with constant weights")
    axis = x.axis if isinstance(x, Steps) else without_time(x.axes)[1]
    if axis != 0:
        raise Unsupported("weighs something that is not [T, B, ...]")
    assert isinstance(weights, Tensor)
    return weighed(call, x, weights.detach().double().tolist())


def largest(call: Call) -> Any:
    """max(x, y) as maximum has it, else a maximum over axes."""
    return larger(call) if isinstance(call.get(1, "other"), Tensor) else highest(call)


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **{kind: reduce(kind) for kind in ("mean", "sum")},
    "max": largest,
    "amax": highest,
    "tensordot": tensordot,
}
