"""A constant beside a followed tensor, as a coefficient of its node's features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from spikeport.graph import Array, Shape
from spikeport.tracing.call import Call
from spikeport.tracing.reasons import ENCODE
from spikeport.tracing.symbols import Axes, Symbol, Unsupported, compact


def operand(call: Call, value: Any, x: Symbol) -> Array:
    """A constant beside ``x``, float64 as [], [C] or [*shape]; the same at every step."""
    steps = operands(call, value, x)
    if len(steps) > 1:
        raise Unsupported("combines with a constant that varies over time")
    return steps[0]


def operands(call: Call, value: Any, x: Symbol) -> list[Array]:
    """A constant beside ``x`` as [], [C] or [*shape]: one, or one a step where it varies along an axis of time.

    One with a batch axis must come from factories such as torch.zeros: any other may hide values of the input.
    """
    constant = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=np.float64)
    if constant.size == 1:
        return [constant.reshape(())]
    fixed = call.tracer.is_fixed(value)
    if fixed and (constant == constant.flat[0]).all():
        return [np.asarray(constant.flat[0])]
    try:
        return aligned(constant, x.axes, x.shape, call, fixed)
    except Unsupported:
        if drawn := call.tracer.drawn_at(value):
            raise Unsupported(
                f"combines with random numbers{drawn}, which are others at each run", mend=ENCODE
            ) from None
        raise


def aligned(constant: Array, axes: Axes, shape: Shape, call: Call, fixed: bool) -> list[Array]:
    """``constant`` [...] against a tensor with these axes."""
    missing = len(axes) - constant.ndim
    if missing < 0:
        extra = constant.shape[: constant.ndim - len(axes)]
        if math.prod(extra) > 1:
            raise Unsupported(f"grows by a constant of shape {constant.shape}")
        constant, missing = constant.reshape(constant.shape[len(extra) :]), 0
    constant = constant.reshape((1,) * missing + constant.shape)
    steps: int | None = None
    for at, group in enumerate(axes):
        length = constant.shape[at]
        whole = math.prod(call.tracer.size(shape, label) for label in group)
        if length == 1:
            continue
        if length != whole:
            raise Unsupported(f"broadcasts against a constant of shape {constant.shape}, which lengthens an axis")
        if group == ("T",):
            steps = at
        elif "B" in group or "T" in group:
            first = constant.take([0], axis=at)
            if not (fixed and (constant == first).all()):
                raise Unsupported(
                    f"combines with a constant of shape {constant.shape}, which varies over time or batch"
                )
            constant = first
    if steps is None:
        return [_features(constant, axes, shape)]
    parts = [_features(constant.take([t], axis=steps), axes, shape) for t in range(constant.shape[steps])]
    return parts[:1] if all(np.array_equal(p, parts[0]) for p in parts) else parts


def _features(constant: Array, axes: Axes, shape: Shape) -> Array:
    """[] , [C] or [*shape] from a constant that lies like the tensor."""
    labels: list[int] = []
    lengths: list[int] = []
    for at, group in enumerate(axes):
        for label in group:
            if isinstance(label, int):
                labels.append(label)
                lengths.append(shape[label] if constant.shape[at] != 1 or shape[label] == 1 else 1)
    if not labels:
        return np.asarray(constant.reshape(-1)[0])
    ordered = constant.reshape(lengths).transpose(np.argsort(labels))
    return compact(np.broadcast_to(ordered, shape))
