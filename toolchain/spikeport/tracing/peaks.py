"""The maximum over time: of membranes that leak (`responses`), or of what a layer sends, as a `Peak`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.graph import Peak
from spikeport.tracing.blocks import steps_of
from spikeport.tracing.call import Call
from spikeport.tracing.registry import Cells
from spikeport.tracing.responses import leak_of
from spikeport.tracing.symbols import Out, Steps, Symbol, Unsupported
from spikeport.tracing.waiting import Drawn, Waiting


def highest(call: Call) -> Any:
    """max and amax over the axis of time."""
    dim = call.get(1, "dim", call.kwargs.get("axis"))
    x = call.known(call.get(0, "input"))
    if dim is None or isinstance(dim, Tensor) or x is None:
        raise Unsupported("is a maximum other than over time")
    block = steps_of(call, x)
    dims = [d % len(call.shape) for d in (dim if isinstance(dim, tuple | list) else (dim,))]
    if dims != [block.axis]:
        raise Unsupported("is a maximum over other axes than time")
    membranes = call.tracer.membranes
    steps = [membranes.expanded(membranes.resolved(step)) for step in _written(block, call.tracer.timesteps)]
    call.tracer.steps(len(steps))
    first = steps[0]
    drawn = _solved(steps)
    path, alone = call.tracer.place()
    name = call.tracer.draft.name(path, alone, "peak")
    where = call.tracer.where()
    call.tracer.draft.add(name, Waiting(where, first.shape, drawn, analog=True), [], first.shape, block.causes)
    keep = bool(call.get(2, "keepdim", call.kwargs.get("keepdims", False)))
    axes = (*first.axes[: block.axis], (), *first.axes[block.axis :]) if keep else first.axes
    result = Symbol({frozenset([Out(name, None)]): np.ones(())}, first.shape, axes, causes=block.causes)
    return [result, None] if isinstance(call.out, tuple) else result


def _written(block: Steps, timesteps: int | None) -> list[Symbol]:
    """The steps of a block. Zeros before the first that was written are steps as well, and one more of them than the
    network has timesteps, as where membranes are recorded from their start, counts once."""
    zeros = next((t for t, step in enumerate(block.steps) if step is not None), 0)
    rest = [step for step in block.steps[zeros:] if step is not None]
    if len(rest) < len(block.steps) - zeros:
        raise Unsupported("is over a block to which not every step was written")
    spare = len(block.steps) - (timesteps or len(block.steps))
    count = zeros - spare if 0 < spare < zeros else zeros
    return [Symbol({}, rest[0].shape, rest[0].axes)] * count + rest


def _solved(steps: list[Symbol]) -> Callable[[int], Drawn]:
    """The leaky integrators of which these are the membranes."""
    try:
        leak = leak_of(steps)
    except Unsupported as reason:
        raise Unsupported(f"is the maximum of membranes that {reason}") from None

    def build(timesteps: int) -> Drawn:
        if timesteps != len(steps):
            raise Unsupported(f"is over {len(steps)} of {timesteps} timesteps")
        never = np.full(timesteps, np.inf)
        node = Peak(steps[0].shape, leak.decay, never, np.zeros(()), current_decay=leak.current)
        return Drawn(Cells(node), leak.inputs, leak.bias)

    return build
