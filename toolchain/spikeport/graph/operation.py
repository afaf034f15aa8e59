"""What an operation must say of itself: nodes without state or synapses, whose operands need not add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from spikeport.findings import fail, require
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.node import Node, Shape


@dataclass(frozen=True, eq=False)
class Operation(Node):
    """A node that every arithmetic computes alike, of whole numbers exactly: what enters is its operands, in order.

    Each operand is one node, named in ``operands``; there is an edge from each. An operation without ``operands`` has
    one: the sum of its sources, as every other node. A new one is a file in `graph.operations`, which says how its
    shape, its values and their range follow, and a line in the tables of the rooms (docs/extending.md).
    """

    least: ClassVar[int] = 0  #: how many operands it names, at least
    most: ClassVar[int] = 0  #: and at most
    multiplies: ClassVar[bool] = False  #: whether units of operands multiply; else all have one, and so has the result
    moves: ClassVar[bool] = False  #: whether each result is one of the values that entered, wherever it was

    operands: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        number = len(self.operands)
        wanted = f"{self.least}" if self.least == self.most else f"at least {self.least}"
        require(self.least <= number <= self.most, "SP119", f"names {number} operands; it needs {wanted}")

    def output_shape(self, *sources: Shape) -> Shape:
        """The shape of what leaves the node; ``sources`` are those of its operands. Raises SP106."""
        raise NotImplementedError

    def compute(self, *x: Array) -> Array:
        """Its meaning: what leaves it, [T or 1, B, *shape], of operands [T or 1, B, *shape] (1: the same at each T)."""
        raise NotImplementedError

    def additions(self, *nonzero: Array) -> Array:
        """How many values it adds up, [T or 1] int64 over all samples, where its operands are not zero: bool arrays.

        Nothing, where it only moves them.
        """
        return np.zeros(max(len(each) for each in nonzero), np.int64)

    def magnitude(self) -> Self:
        """The operation with its own numbers at their absolute values: what bounds how errors pass it."""
        return self

    def reach(self, shapes: Sequence[Shape], *x: Range) -> Range:
        """A range that holds what leaves it, and each sum and partial sum on the way, for operands in ``x``."""
        raise NotImplementedError


def united(x: Sequence[Range]) -> Range:
    """The range of operands that stand side by side."""
    total = x[0]
    for other in x[1:]:
        total |= other
    return total


def times(a: Range, b: Range) -> Range:
    """The range of products; 0 times an unknown bound is 0."""
    ends = [x * y if x and y else 0 * (x if abs(x) < abs(y) else y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return Range(min(ends), max(ends))


def summed(x: Range, count: int) -> Range:
    """The range of each sum and partial sum of ``count`` values."""
    x = x.with_zero()
    return Range(x.low * count, x.high * count)


def named(node: Node) -> tuple[str, ...]:
    """The operands that a node names."""
    return node.operands if isinstance(node, Operation) else ()


def renamed(node: Node, operand: str, now: tuple[str, ...]) -> Node:
    """The node with another operand in the place of one that it names. SP119 where that would be a sum."""
    if not isinstance(node, Operation) or operand not in node.operands:
        return node
    if len(now) != 1:
        fail(
            "SP119", f"its operand {operand!r} would be a sum of {len(now)} nodes", mend="put a Scale of 1 behind them"
        )
    return node.with_(operands=tuple(now[0] if each == operand else each for each in node.operands))
