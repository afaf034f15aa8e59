"""A range of numbers, and how far a synapse takes one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.graph.arrays import Array

Number = int | float


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; whole where both are ints, without bound where one is infinite."""

    low: Number
    high: Number

    @property
    def size(self) -> Number:
        """The largest magnitude."""
        return max(-self.low, self.high)

    @property
    def byte(self) -> bool:
        """Whether it fits 8 bits, signed or unsigned."""
        return (self.low >= 0 and self.high <= 255) or (self.low >= -128 and self.high <= 127)

    def with_zero(self) -> Range:
        """The range and zero."""
        return Range(min(self.low, 0), max(self.high, 0))

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __or__(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))

    def times(self, factors: Array) -> Range:
        """What one of ``factors`` times a number of the range can be; 0 times an unknown bound is 0."""
        least, most = (one.item() for one in (factors.min(), factors.max()))
        whole = isinstance(self.low, int) and isinstance(self.high, int) and factors.dtype.kind != "f"
        least, most = (int(least), int(most)) if whole else (float(least), float(most))
        ends = [factor * end if factor else factor for factor in (least, most) for end in (self.low, self.high)]
        return Range(min(ends), max(ends))

    def shifted(self, exponent: int) -> Range:
        """Both ends times ``2**exponent``, whole numbers rounded down."""
        return Range(_shifted(self.low, exponent), _shifted(self.high, exponent))


def _shifted(end: Number, exponent: int) -> Number:
    if isinstance(end, int):
        return end << exponent if exponent >= 0 else end >> -exponent
    return end * 2.0**exponent


PIECE = 1 << 20  #: weights that are looked at together, so that a large layer takes no memory beside itself


def product(weight: Array, x: Range) -> Range:
    """The range of every sum and partial sum of ``weight`` [out, ...] with inputs in ``x``.

    Each term lies in ``[min(0, w low, w high), max(0, w low, w high)]``, an interval that holds zero, as borders do.
    So the sum, *and every partial sum in whatever order and grouping*, lies between the sum of the terms' lower ends
    and the sum of their upper ends. That is why floating point with p bits of significand computes a sum of whole
    numbers exactly if both ends are at most ``2**p``.
    """
    return of_sums(*sums(weight), x)


def sums(weight: Array) -> tuple[Array, Array]:
    """Of each output of ``weight`` [out, ...] the sum of its positive weights, and that of its negative ones.

    int64 of whole numbers, else float64.
    """
    flat = weight.reshape(len(weight), -1)
    step = max(1, PIECE // max(1, flat.shape[1]))
    pieces = [_sums(flat[start : start + step]) for start in range(0, len(flat), step)]
    positive, negative = zip(*pieces, strict=True)
    return np.concatenate(positive), np.concatenate(negative)


def of_sums(positive: Array, negative: Array, x: Range) -> Range:
    """As `product`, from what `sums` gives."""
    x = x.with_zero()
    whole = isinstance(x.low, int) and isinstance(x.high, int)
    positive, negative = ((part.astype(np.int64 if whole else np.float64)).tolist() for part in (positive, negative))
    high = max(_term(p, x.high) + _term(n, x.low) for p, n in zip(positive, negative, strict=True))
    low = min(_term(p, x.low) + _term(n, x.high) for p, n in zip(positive, negative, strict=True))
    return Range(low, high)


def _sums(rows: Array) -> tuple[Array, Array]:
    if rows.dtype == np.int8:  # |w| as an unsigned byte: several times as fast as wide numbers
        size = np.abs(rows).view(np.uint8).sum(1, dtype=np.int32)
        total = rows.sum(1, dtype=np.int32)
        return ((size + total) // 2).astype(np.int64), ((total - size) // 2).astype(np.int64)
    numbers = rows.astype(np.float64 if rows.dtype.kind == "f" else np.int64)
    return np.maximum(numbers, 0).sum(1), np.minimum(numbers, 0).sum(1)


def _term(weight: Number, end: Number) -> Number:
    """A product; where there is no weight an unknown input does nothing."""
    return weight * end if weight else weight
