"""Lava's order of axes: maps are [H, W, C] instead of [C, H, W], one-dimensional ones [L, 1, C]; vectors stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeport.graph import Array, Shape


def lava_shape(shape: Sequence[int]) -> Shape:
    """The shape of a layer as Lava sees it."""
    if len(shape) == 1:
        return (int(shape[0]),)
    channels, *size = shape
    return (*map(int, size), *(1,) * (2 - len(size)), int(channels))


def to_lava(values: Array, shape: Sequence[int]) -> Array:
    """[..., *shape] with the trailing axes in Lava's order."""
    lead = values.shape[: values.ndim - len(shape)]
    if len(shape) > 1:
        values = np.moveaxis(values, len(lead), -1)
    return np.ascontiguousarray(values).reshape(*lead, *lava_shape(shape))


def from_lava(values: Array, shape: Sequence[int]) -> Array:
    """[..., *lava_shape(shape)] back as [..., *shape]."""
    lead = values.shape[: values.ndim - len(lava_shape(shape))]
    if len(shape) == 1:
        return values
    channels, *size = shape
    return np.ascontiguousarray(np.moveaxis(values.reshape(*lead, *size, channels), -1, len(lead)))


def columns(weight: Array, shape: Sequence[int]) -> Array:
    """Linear weights [out, C*H*W] with their columns in the order of a map that Lava flattens, [H, W, C]."""
    return to_lava(weight.reshape(weight.shape[0], *shape), shape).reshape(weight.shape[0], -1)


def kernels(weight: Array) -> Array:
    """Convolution weights [C_out, C_in/groups, kH, kW] as [C_out, kH, kW, C_in/groups]; 1-d ones get kW = 1."""
    weight = weight if weight.ndim == 4 else weight[..., None]
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))


def pair(values: Sequence[int], missing: int) -> tuple[int, int]:
    """A setting for two axes; ``missing`` fills the second one of a one-dimensional layer."""
    first, second = (*values, missing) if len(values) == 1 else values
    return int(first), int(second)
