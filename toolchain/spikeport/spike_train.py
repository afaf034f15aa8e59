"""A layer's spikes over time, packed: a bit each, or how often a neuron fired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from spikeport.graph.arrays import Array
from spikeport.told import Told

Counts = NDArray[np.int64]  #: [T], exact


@dataclass(frozen=True, repr=False)
class Train(Told):
    """Spikes of one layer [T, B, *neurons]: a bit each, or numbers where a neuron fired several times in a step."""

    shape: tuple[int, ...]
    bits: Array  #: uint8 [T, B, ceil(neurons / 8)]; if `several`, numbers [T, B, neurons] in the smallest unsigned type
    several: bool = False

    @classmethod
    def pack(cls, spikes: Array) -> Self:
        """Pack an array of whole numbers from 0 on: how often each neuron fired."""
        flat, most = spikes.reshape(*spikes.shape[:2], -1), 1 if spikes.dtype == bool else int(spikes.max(initial=0))
        if most > 1:
            return cls(tuple(spikes.shape), flat.astype(np.min_scalar_type(most)), True)
        return cls(tuple(spikes.shape), np.packbits(flat.astype(bool, copy=False), axis=-1))

    def unpack(self) -> Array:
        """How often each neuron fired, [T, B, *neurons]: bool, or whole numbers where one fired several times."""
        if self.several:
            return self.bits.reshape(self.shape)
        neurons = int(np.prod(self.shape[2:], dtype=np.int64))
        return np.unpackbits(self.bits, axis=-1, count=neurons).view(bool).reshape(self.shape)

    def cut(self, start: int, stop: int) -> Self:
        """Samples ``start`` ... ``stop - 1``."""
        bits = self.bits[:, start:stop]
        return type(self)((self.shape[0], bits.shape[1], *self.shape[2:]), bits, self.several)

    def counts(self) -> Counts:
        """[T]: spikes of each step, summed over samples and neurons."""
        return np.asarray((self.bits if self.several else ones(self.bits)).sum((1, 2), dtype=np.int64))

    def beside(self, other: Train) -> tuple[int, int]:
        """How many neurons fire more often than in another train of the same shape, and how many less often."""
        if self.several or other.several:
            a, b = self.unpack(), other.unpack()
            return int(np.count_nonzero(a > b)), int(np.count_nonzero(a < b))
        both = np.bitwise_and(self.bits, other.bits)
        return int(ones(self.bits ^ both).sum()), int(ones(other.bits ^ both).sum())

    def apart(self, other: Train) -> Counts:
        """[T]: neurons of another train of the same shape that fire another number of times, summed over samples."""
        if self.several or other.several:
            differ = self.unpack() != other.unpack()
            return np.asarray(differ.reshape(len(differ), -1).sum(1, dtype=np.int64))
        steps = (ones(np.bitwise_xor(x, y)).sum(dtype=np.int64) for x, y in zip(self.bits, other.bits, strict=True))
        return np.fromiter(steps, dtype=np.int64, count=self.shape[0])


ONES = np.asarray([byte.bit_count() for byte in range(256)], np.uint8)  #: set bits of each byte


def ones(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How many bits of each byte are set."""
    return np.bitwise_count(bits) if hasattr(np, "bitwise_count") else ONES[bits]  # numpy 1.26 has it not
