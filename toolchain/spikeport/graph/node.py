"""What all nodes share: equality to the bit, a shape rule, and the keyword-only copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from spikeport.graph.arrays import frozen, same_bits
from spikeport.told import Told

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Node(Told):
    """One node of a `Graph`: a frozen fact about a network, whose arrays are read-only.

    Shapes leave out time and batch: an image map is [C, H, W], a vector [C].
    """

    #: the fields that hold arrays, made read-only when the node is built
    arrays: ClassVar[tuple[str, ...]] = ()
    #: those of them that begin with an axis of time, one entry a timestep
    schedules: ClassVar[tuple[str, ...]] = ()
    #: fields that 0.1 did not know, with what they say where a file is silent; left out of files where they say that
    later: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __init_subclass__(cls) -> None:
        """Arrays are shown by type and shape: `dataclass` leaves a ``__repr__`` alone that a class has."""
        super().__init_subclass__()
        cls.__repr__ = Told.__repr__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        for name in self.arrays:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, frozen(value))

    @cached_property
    def not_finite(self) -> dict[str, int]:
        """How many numbers of each float array are not finite; counted once, though many graphs hold the node."""
        arrays = {name: value for name in self.arrays if (value := getattr(self, name)) is not None}
        return {
            name: int(value.size - np.count_nonzero(np.isfinite(value)))
            for name, value in arrays.items()
            if value.dtype.kind in "fc"
        }

    def silent(self, name: str) -> bool:
        """Whether a field says what files and digests of 0.1, which did not know it, say by their silence."""
        return name in self.later and _same(getattr(self, name), self.later[name])

    def output_shape(self, source: Shape) -> Shape:
        """The shape of what leaves the node when ``source`` is the shape of what enters it."""
        raise NotImplementedError

    def during(self, steps: slice) -> Self:
        """The node at some steps: itself where it has no schedules."""
        return self.with_(**{name: getattr(self, name)[steps] for name in self.schedules}) if self.schedules else self

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(_same(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    __hash__ = None  # type: ignore[assignment]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return same_bits(a, b)
    return type(a) is type(b) and a == b
