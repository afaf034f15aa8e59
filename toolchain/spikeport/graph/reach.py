"""How many weights each input of a synapse reaches: exact at borders, with strides, dilation and groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeport.graph.arrays import Array
from spikeport.graph.bounds import PIECE
from spikeport.graph.node import Shape
from spikeport.graph.synapses import Conv, Linear, Synapse, window_count


def reach(node: Synapse, shape: Shape, *, effective: bool) -> NDArray[np.int64]:
    """Weights that each input position reaches: int64 [*shape]. ``effective`` leaves out weights that are zero.

    An input at position i meets tap k of the kernel where ``i + padding - dilation * k`` is a multiple of the stride
    and the quotient is an output position.
    """
    if isinstance(node, Linear):
        return _linear(node.weight) if effective else np.full(node.weight.shape[1], node.channels, np.int64)
    used = (node.weight != 0) if effective else np.ones(node.weight.shape, dtype=bool)
    assert isinstance(node, Conv)
    group_outputs = node.channels // node.groups
    taps = used.reshape(node.groups, group_outputs, *used.shape[1:]).sum(1, dtype=np.int64)
    taps = taps.reshape(-1, *node.kernel)  # [C_in, *kernel]: outputs that each tap feeds
    for axis in range(len(node.kernel)):  # the first axis of taps gives way to one of positions, behind the others
        taps = np.tensordot(taps, _meets(node, shape, axis), (1, 1))
    return np.asarray(taps)


def _linear(weight: Array) -> NDArray[np.int64]:
    """Weights of each input that are not zero; a large matrix is taken in pieces."""
    step, count = max(1, PIECE // max(1, weight.shape[1])), np.zeros(weight.shape[1], np.int64)
    for start in range(0, len(weight), step):
        count += np.count_nonzero(weight[start : start + step], axis=0)
    return count


def _meets(node: Conv, shape: Shape, axis: int) -> NDArray[np.int64]:
    """[positions, taps]: 1 where an input position is under a tap of some window along one axis."""
    size = shape[axis + 1]
    stride, padding, dilation = node.stride[axis], node.padding[axis], node.dilation[axis]
    taps = node.kernel[axis]
    (outputs,) = window_count((size,), (taps,), (stride,), (padding,), (dilation,))
    position = np.arange(size)[:, None] + padding - dilation * np.arange(taps)[None, :]
    output, rest = np.divmod(position, stride)
    inside: Array = (rest == 0) & (output >= 0) & (output < outputs)
    return inside.astype(np.int64)
