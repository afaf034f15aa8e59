"""What capture knows of a tensor while the module runs: which nodes it comes from, and how time lies in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from spikeport.graph import Shape

#: frame [B, *shape] · all [T, B, *shape] · one [1, B, *shape] · merged [T * B, *shape]
Layout = Literal["frame", "all", "one", "merged"]


class Unsupported(Exception):  # noqa: N818  (a reason on its way to a finding, never seen outside)
    """Why an operation cannot become part of a graph."""


@dataclass(frozen=True)
class Symbol:
    """A tensor: the sum of some nodes' outputs, each so many times."""

    terms: Mapping[str, int]
    shape: Shape  #: without time and batch
    layout: Layout
    step: int | None = None  #: frame: which step it is; None where it is the same at every step
    weights: Mapping[int, float] | None = None  #: frame: sum over t of weights[t] times step t

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", MappingProxyType(dict(self.terms)))

    def lead(self, batch: int, timesteps: int | None) -> tuple[int, ...]:
        """The axes before the shape."""
        steps = timesteps or 1
        return {"frame": (batch,), "all": (steps, batch), "one": (1, batch), "merged": (steps * batch,)}[self.layout]

    def at(self, terms: Mapping[str, int], shape: Shape) -> Symbol:
        """The same place in time, other nodes."""
        return replace(self, terms=terms, shape=shape)


@dataclass(frozen=True)
class State:
    """What a neuron module returned besides its spikes, to be given back to it at the next step."""

    module: int
    step: int


@dataclass(frozen=True)
class Lost:
    """A tensor behind something unsupported, which has been reported already."""

    reason: str = field(default="", compare=False)


Known = Symbol | State | Lost
