"""What synapses, pools and the like do to a block of values [T, B, *shape], in floats or in exact integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeport.engine import operations
from spikeport.findings import fail
from spikeport.graph import (
    Array,
    Conv,
    Flatten,
    Linear,
    Node,
    Norm,
    Operation,
    Pool,
    Scale,
    Shape,
    Synapse,
    over_neurons,
)

Step = Callable[..., Tensor]


def apply(node: Node, x: Tensor) -> Tensor:
    """The output of a node without state. Integers (int64) come back as integers, exact."""
    return prepare(node, x.dtype, x.device)(x)


def prepare(node: Node, dtype: torch.dtype, device: torch.device | str) -> Step:
    """A node without state, ready to be applied to values of some type. Raises SP503 for nodes it does not know."""
    integers = dtype == torch.int64
    if isinstance(node, Operation):
        return operations.prepare(node, dtype)
    if isinstance(node, Synapse):
        return _integer_synapse(node, device) if integers else _synapse(node, dtype, device)
    if isinstance(node, Pool):
        return lambda x: _pool(node, x)
    if isinstance(node, Flatten):
        return lambda x: x.flatten(2)
    if isinstance(node, Scale):
        factor = _laid_out(node.factor)
        return lambda x: x * factor(x)[0]
    if isinstance(node, Norm):
        affine = _laid_out(*node.gain_and_shift())
        return lambda x: _norm(affine(x), x)
    fail("SP503", f"the engine does not know nodes of type {type(node).__name__}")


def tensor(value: Array, like: Tensor) -> Tensor:
    """An array of the graph on the device and in the type of ``like``."""
    return torch.as_tensor(np.array(value)).to(like.device, like.dtype)


def spread(value: Array, x: Tensor) -> Tensor:
    """An array [], [C] or [*shape] so that it broadcasts over ``x`` [T, B, *shape]."""
    return tensor(over_neurons(value, tuple(x.shape[2:])), x)


def _laid_out(*values: Array) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Each as `spread` gives it, once for each kind of ``x``: a card gets them with the first batch."""
    known: dict[tuple[object, ...], tuple[Tensor, ...]] = {}

    def lay(x: Tensor) -> tuple[Tensor, ...]:
        kind = x.device, x.dtype, x.shape[2:]
        if kind not in known:
            known[kind] = tuple(spread(value, x) for value in values)
        return known[kind]

    return lay


def shifted(x: Tensor, exponent: int) -> Tensor:
    """Whole numbers times ``2**exponent``, rounded towards minus infinity."""
    return x << exponent if exponent > 0 else x >> -exponent if exponent < 0 else x


def _integer_synapse(node: Synapse, device: torch.device | str) -> Step:
    """Products of integers in float64, exact since `ranges` keeps every sum below 2**53."""
    product = _synapse(node, torch.float64, device)
    return lambda x: shifted(product(x.double()).round().long(), node.exponent)


def _synapse(node: Synapse, dtype: torch.dtype, device: torch.device | str) -> Step:
    weight = torch.as_tensor(np.array(node.weight)).to(device, dtype)
    bias = None if node.bias is None else torch.as_tensor(np.array(node.bias)).to(device, dtype)

    def product(x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        if isinstance(node, Linear):
            y = F.linear(flat, weight, bias)
        else:
            assert isinstance(node, Conv)
            y = convolve(flat, weight, bias, node.stride, node.padding, node.dilation, node.groups)
        return y.reshape(*x.shape[:2], *y.shape[1:])

    return product


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Shape, padding: Shape, dilation: Shape, groups: int
) -> Tensor:
    """A convolution over one, two or three axes.

    oneDNN's over three (torch 2.13) reads beyond its input where a window lies in the padding altogether, and crashes,
    so that zeros are put there first.
    """
    if weight.ndim < 5:
        over = F.conv1d if weight.ndim == 3 else F.conv2d
        return over(x, weight, bias, stride, padding, dilation, groups)
    x = F.pad(x, [side for p in reversed(padding) for side in (p, p)]) if any(padding) else x
    return F.conv3d(x, weight, bias, stride, 0, dilation, groups)


def _pool(node: Pool, x: Tensor) -> Tensor:
    flat = x.flatten(0, 1)
    integers = flat.dtype == torch.int64
    flat = flat.double() if integers else flat
    flat = F.pad(flat, [p for p in reversed(node.padding) for _ in range(2)])  # torch's pools pad half a kernel at most
    area = int(np.prod(node.kernel))
    if len(node.kernel) == 1:
        y = F.avg_pool1d(flat, node.kernel, node.stride) * area
    else:
        average = F.avg_pool2d if len(node.kernel) == 2 else F.avg_pool3d
        y = average(flat, node.kernel, node.stride, divisor_override=1)
    if node.kind == "average":
        y = y / area
    y = y.round().long() if integers else y
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _norm(affine: tuple[Tensor, ...], x: Tensor) -> Tensor:
    gain, shift = affine
    return x * gain + shift
