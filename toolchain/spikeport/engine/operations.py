"""What operations compute in torch: of floats in their type, of whole numbers exactly, in a type that holds them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.integers import holding
from spikeport.findings import fail
from spikeport.graph import (
    Concat,
    Dilate,
    Gate,
    MatMul,
    Maximum,
    Operation,
    Range,
    Repeat,
    Reshape,
    Slice,
    StepAffine,
    Sum,
    schedule_over_neurons,
)

EXACT = 2**24  #: float32 holds every whole number up to here


ALL = slice(None)  #: steps


def prepare(node: Operation, dtype: torch.dtype) -> Callable[..., Tensor]:
    """An operation on operands [T or 1, B, *shape] of one type; of one with schedules, which steps they are.

    Raises SP503 for one without a rule.
    """
    rule = _rule(node)
    if node.moves or dtype.is_floating_point:
        return lambda *x, at=ALL: rule(node.during(at), *x)
    # matrix products of integers are slow on CPUs, and CUDA has none; ranges keep every sum below 2**53
    return lambda *x, at=ALL: rule(node.during(at), *(each.double() for each in x)).round().to(dtype)


def small(node: Operation, entering: Range, leaving: Range) -> Callable[..., Tensor]:
    """An operation on whole numbers: in bytes where nothing is computed, else in the floats that hold every sum."""
    rule, x = _rule(node), entering | leaving
    dtype = holding(x) if node.moves else torch.float32 if x.size <= EXACT else torch.float64
    return lambda *operands, at=ALL: rule(node.during(at), *(each.to(dtype) for each in operands))


def _rule(node: Operation) -> Callable[..., Tensor]:
    if type(node) not in RULES:
        fail("SP503", f"the engine does not know nodes of type {type(node).__name__}")
    return RULES[type(node)]


def _concat(node: Concat, *x: Tensor) -> Tensor:
    steps = max(each.shape[0] for each in x)
    return torch.cat([each.expand(steps, *each.shape[1:]) for each in x], dim=node.axis + 2)


def _dilate(node: Dilate, x: Tensor) -> Tensor:
    y = x.new_zeros((*x.shape[:2], *node.output_shape(tuple(x.shape[2:]))))
    places = tuple(slice(0, s * (n - 1) + 1, s) for n, s in zip(x.shape[3:], node.stride, strict=True))
    y[(slice(None), slice(None), slice(None), *places)] = x
    return y


def _gate(node: Gate, a: Tensor, b: Tensor) -> Tensor:
    return a * b


def _matmul(node: MatMul, a: Tensor, b: Tensor) -> Tensor:
    return torch.matmul(a, b)


def _maximum(node: Maximum, x: Tensor) -> Tensor:
    least = -torch.inf if x.dtype.is_floating_point else torch.iinfo(x.dtype).min
    sides = [side for p in reversed(node.padding) for side in (p, p)]
    x = torch.nn.functional.pad(x, sides, value=least) if any(sides) else x
    for axis, (kernel, stride) in enumerate(zip(node.kernel, node.stride, strict=True)):
        x = x.unfold(axis + 3, kernel, stride).amax(-1)
    return x


def _repeat(node: Repeat, x: Tensor) -> Tensor:
    for axis, count in enumerate(node.counts):
        x = x.repeat_interleave(count, axis + 2) if count > 1 else x
    return x


def _reshape(node: Reshape, x: Tensor) -> Tensor:
    return x.permute(0, 1, *(axis + 2 for axis in node.order)).reshape(*x.shape[:2], *node.shape)


def _slice(node: Slice, x: Tensor) -> Tensor:
    return x.narrow(node.axis + 2, node.start, node.stop - node.start)


def _step_affine(node: StepAffine, x: Tensor) -> Tensor:
    shape = tuple(x.shape[2:])
    spread = (schedule_over_neurons(getattr(node, name), shape) for name in node.schedules)
    gain, bias = (torch.as_tensor(np.array(value)).to(x.device, x.dtype).unsqueeze(1) for value in spread)
    return x * gain + bias


def _sum(node: Sum, x: Tensor) -> Tensor:
    return x.sum([axis + 2 for axis in node.axes], keepdim=True)


RULES: dict[type[Operation], Callable[..., Tensor]] = {
    Concat: _concat,
    Dilate: _dilate,
    Gate: _gate,
    MatMul: _matmul,
    Maximum: _maximum,
    Repeat: _repeat,
    Reshape: _reshape,
    Slice: _slice,
    StepAffine: _step_affine,
    Sum: _sum,
}
