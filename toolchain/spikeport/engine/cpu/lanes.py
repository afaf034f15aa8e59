"""The lanes of one vector of neurons, while code for them is built; and what a step of them gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types

from spikeport.engine.cpu.structures import State
from spikeport.machine.llvm import WORD, constant, named, spread


@dataclass(frozen=True)
class Lanes:
    """The lanes of one call; the first ``live`` of them count."""

    builder: Any
    number: int
    live: Any
    lane: Any  #: the type of a membrane

    @property
    def kind(self) -> Any:
        """A membrane in each lane."""
        return ir.VectorType(self.lane, self.number)

    @property
    def bits(self) -> Any:
        """A whole number as long as a membrane in each lane."""
        return ir.VectorType(ir.IntType(64 if isinstance(self.lane, ir.DoubleType) else 32), self.number)

    def constant(self, value: int) -> Any:
        """The same number in each lane."""
        return constant(self.kind, value)

    def _alive(self) -> Any:
        """A word with a bit set for each lane that counts."""
        return self.builder.sub(self.builder.shl(WORD(1), self.live), WORD(1))

    def live_ones(self) -> Any:
        """The lanes that count, as a mask."""
        return self.builder.bitcast(
            self.builder.trunc(self._alive(), ir.IntType(self.number)), ir.VectorType(ir.IntType(1), self.number)
        )

    def count(self, mask: Any) -> Any:
        """How many of the live lanes."""
        bits = self.builder.zext(self.builder.bitcast(mask, ir.IntType(self.number)), WORD)
        return self.builder.ctpop(self.builder.and_(bits, self._alive()))


class Stepped(NamedTuple):
    """What a step of some lanes gives."""

    state: State
    spikes: Any  #: a mask, or how often each fires, int32
    counts: list[Any]  #: the first columns of `structures.Counted`; those that are missing are zero


def shared_in(lanes: Lanes, rules: Any, kind: Any) -> tuple[Any, Any]:
    """What neurons share, a named tuple in the code: its values, and the same in each lane; None stays None."""
    scalars = named(lanes.builder, kind, rules)
    idle = [isinstance(each, types.NoneType) for each in kind]
    pairs = zip(idle, scalars, strict=True)
    every = (None if nothing else spread(lanes.builder, value, lanes.number) for nothing, value in pairs)
    return scalars, kind.instance_class(*every)
