"""What synapses, pools and the like do to a block of values [T, B, *shape], in floats or in exact integers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeport.findings import fail
from spikeport.graph import Array, Conv, Flatten, Linear, Node, Norm, Pool, Scale, Synapse, over_neurons


def apply(node: Node, x: Tensor) -> Tensor:
    """The output of a node without state. Integers (int64) come back as integers, exact."""
    if isinstance(node, Synapse):
        return _integer_synapse(node, x) if x.dtype == torch.int64 else _synapse(node, x)
    if isinstance(node, Pool):
        return _pool(node, x)
    if isinstance(node, Flatten):
        return x.flatten(2)
    if isinstance(node, Scale):
        return x * spread(node.factor, x)
    if isinstance(node, Norm):
        return _norm(node, x)
    fail("SP503", f"the engine does not know nodes of type {type(node).__name__}")


def tensor(value: Array, like: Tensor) -> Tensor:
    """An array of the graph on the device and in the type of ``like``."""
    return torch.as_tensor(np.array(value)).to(like.device, like.dtype)


def spread(value: Array, x: Tensor) -> Tensor:
    """An array [], [C] or [*shape] so that it broadcasts over ``x`` [T, B, *shape]."""
    return tensor(over_neurons(value, tuple(x.shape[2:])), x)


def _synapse(node: Synapse, x: Tensor) -> Tensor:
    weight = tensor(node.weight, x)
    bias = None if node.bias is None else tensor(node.bias, x)
    return _product(node, x, weight, bias)


def _integer_synapse(node: Synapse, x: Tensor) -> Tensor:
    """Products of integers in float64, exact since every sum stays far below 2**53."""
    exact = _product(node, x.double(), tensor(node.weight, x.double()), None).long()
    return exact << node.exponent if node.exponent >= 0 else exact >> -node.exponent


def _product(node: Synapse, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    flat = x.flatten(0, 1)
    if isinstance(node, Linear):
        y = F.linear(flat, weight, bias)
    elif isinstance(node, Conv):
        convolve = F.conv2d if weight.ndim == 4 else F.conv1d
        y = convolve(flat, weight, bias, node.stride, node.padding, node.dilation, node.groups)
    else:
        fail("SP503", f"the engine does not know nodes of type {type(node).__name__}")
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _pool(node: Pool, x: Tensor) -> Tensor:
    flat = x.flatten(0, 1)
    integers = flat.dtype == torch.int64
    flat = flat.double() if integers else flat
    area = int(np.prod(node.kernel))
    if len(node.kernel) == 2:
        y = F.avg_pool2d(flat, node.kernel, node.stride, node.padding, divisor_override=1)
    else:
        y = F.avg_pool1d(flat, node.kernel, node.stride, node.padding) * area
    if node.kind == "average":
        y = y / area
    y = y.round().long() if integers else y
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _norm(node: Norm, x: Tensor) -> Tensor:
    gain = node.gamma * node.scale / np.sqrt(node.var + node.eps)
    return x * spread(gain, x) + spread(node.beta - node.mean * gain, x)
