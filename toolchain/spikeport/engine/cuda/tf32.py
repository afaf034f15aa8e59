"""Exact sums on tensor cores without Triton: products of TF32, where a bound proves that nothing is rounded.

TF32 keeps 11 bits of each factor, so whole numbers up to 2**11 enter whole, and their products are exact. They are
added in float32, which holds every whole number up to 2**24: with S the largest size of any partial sum
(`bounds.product`), sums are exact where S <= 2**24. A library may still choose an algorithm that transforms (Winograd,
FFT) and rounds, and does so for some sizes and not for others: so each size of a batch is tried once, at the ends of
the inputs' range, against float64. All else is float64.

Measured on an H200, largest error of 3 x 3 convolutions of int8 weights with bytes: 0; without TF32, 0.38 to 1.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import synapse
from spikeport.engine.synapse import Step
from spikeport.graph import Range, Synapse

FACTOR, SUM = 2**11, 2**24  #: the largest whole numbers that TF32 and float32 hold with all smaller ones


def prepare(node: Synapse, x: Range, device: str) -> Step:
    """A synapse for whole numbers in ``x``, giving int64, its exponent applied."""
    exact = synapse.prepare(node, torch.int64, device)
    factors = max(x.size, int(np.abs(node.weight.astype(np.int64)).max(initial=0)))
    if node.sums(x).size > SUM or factors > FACTOR:
        return exact
    multiply = synapse.prepare(node.with_(exponent=0), torch.float32, device)
    tried: dict[torch.Size, bool] = {}

    def fast(values: Tensor) -> Tensor:
        with tensor_cores():
            return synapse.shifted(multiply(values.float()).round().long(), node.exponent)

    def agrees(size: torch.Size) -> bool:
        highs = torch.arange(size.numel(), device=device).mul_(2654435761) % 7 < 3  # a pattern without the map's period
        ends = torch.where(highs, int(x.high), int(x.low)).reshape(size)
        return torch.equal(fast(ends), exact(ends))

    def step(values: Tensor) -> Tensor:
        if values.shape not in tried:
            tried[values.shape] = agrees(values.shape)
        return fast(values) if tried[values.shape] else exact(values)

    return step


@contextmanager
def tensor_cores() -> Iterator[None]:
    """TF32 for convolutions and matrix products within."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
