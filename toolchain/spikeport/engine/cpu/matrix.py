"""A matrix whose inputs are mostly zero: its rows are added for those that are not."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.cpu.gather import Matrix, padded, put_sums
from spikeport.engine.cpu.listing import MARGIN
from spikeport.engine.cpu.maps import SAMPLED
from spikeport.engine.cpu.moves import copy
from spikeport.engine.cpu.structures import Floats, Integers
from spikeport.engine.integers import holding
from spikeport.engine.synapse import Step
from spikeport.graph import Array, Linear, Range
from spikeport.machine import compiled
from spikeport.threads import over_parts

#: weights up to which adding rows of them is as fast as a product of a batch, whatever enters, and where spikes do:
#: with AVX2, 64 samples of 4 steps, 5, 15 and 40 % spikes, 1024 -> 1024 takes 0.2, 0.65 and 2.1 times as long as the
#: product, 2048 -> 2048 0.7, 2.5 and 6.4 times, as its rows come from beyond the second cache
SMALL, OF_SPIKES = 1 << 18, 1 << 20
FEW = 0.2  #: of the inputs of a larger matrix, those that are not zero, up to which it is as fast


def repays(synapse: Linear, most: int | None) -> bool:
    """Whether rows of a matrix are added, for whole numbers up to ``most`` or None of any."""
    return synapse.weight.size <= (OF_SPIKES if most == 1 else SMALL)


def added_for(synapse: object, entering: Range | None) -> int | None:
    """The most that enters a matrix whose rows are added for bytes, in ``entering``; None for other synapses."""
    if not isinstance(synapse, Linear) or entering is None or holding(entering) != torch.uint8:
        return None
    return int(entering.high) if repays(synapse, int(entering.high)) else None


@compiled
def all_sums(x: Any, matrix: Matrix, who: Integers, sums: Floats, out: Floats, begin: int, end: int) -> None:
    """The sums ``out`` [N, sums] of bytes, or numbers as theirs, [N * inputs], for ``begin`` ... ``end - 1`` of N."""
    for n in range(begin, end):
        put_sums(x, n * matrix.inputs, matrix, who, sums)
        copy(sums[: out.shape[1]], out[n])


def laid_out(synapse: Linear, dtype: np.dtype[Any], most: int | None) -> Matrix | None:
    """A matrix whose sums are made in a type, of whole numbers up to ``most``, or None of any.

    None where they are integers that 32 bits do not hold.
    """
    kind, whole = dtype, dtype.kind == "i"
    if whole:
        sizes = np.abs(synapse.weight.astype(np.int64))
        if most is None or sizes.sum(1).max() * most >= 2**31:
            return None
        kind = np.dtype(np.int16 if sizes.max() < 2**15 else np.int32)  # a user's format may have wide weights
    weight = np.zeros((synapse.weight.shape[1], padded(synapse.channels)), kind)
    weight[:, : synapse.channels] = synapse.weight.T
    bias = np.zeros(weight.shape[1], dtype)
    bias[: synapse.channels] = 0 if synapse.bias is None else synapse.bias
    left, right = (max(synapse.exponent, 0), max(-synapse.exponent, 0)) if whole else (None, None)
    return Matrix(weight.ravel(), bias, weight.shape[0], left, right, None if most == 1 else np.int32(1))


def of_spikes(synapse: Linear, dtype: np.dtype[Any], *, most: int) -> Step:
    """Real sums of bytes up to ``most``, [T, B, inputs] to [T, B, sums], added in the order of the inputs."""
    matrix = laid_out(synapse, dtype, most)
    assert matrix is not None
    return lambda x: _sums(matrix, x.contiguous().numpy(), synapse)


def of_few(synapse: Linear, dtype: np.dtype[Any], product: Step) -> Step:
    """Real sums of real numbers, [T, B, inputs] to [T, B, sums]: by ``product``, but where few of them are not zero."""
    if synapse.weight.size > OF_SPIKES:
        return product
    matrix: list[Matrix] = []  # laid out when first needed

    def sums(x: Tensor) -> Tensor:
        values = x.contiguous().numpy().astype(dtype, copy=False)
        looked = values.reshape(-1, synapse.weight.shape[1])[::SAMPLED]
        if np.count_nonzero(looked) > FEW * looked.size:
            return product(x)
        if not matrix:
            matrix.append(cast(Matrix, laid_out(synapse, dtype, None)))
        return _sums(matrix[0], values, synapse)

    return sums


def _sums(matrix: Matrix, x: Array, synapse: Linear) -> Tensor:
    """Sums [T, B, sums] of values [T, B, inputs]."""
    number = x.shape[0] * x.shape[1]
    out = np.empty((number, synapse.channels), matrix.bias.dtype)

    def part(begin: int, end: int) -> None:
        memory = np.empty(matrix.inputs + MARGIN, np.int32), np.empty_like(matrix.bias)
        all_sums(x.ravel(), matrix, *memory, out, begin, end)

    over_parts(part, number, step=1, weight=synapse.weight.size // 16)
    return torch.from_numpy(out).reshape(*x.shape[:2], -1)
