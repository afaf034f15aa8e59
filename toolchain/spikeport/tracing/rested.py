"""Layers that a module calls on constants: on the spikes before the first step, of which there are none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Rested:
    """Functions with the parameters with which they were called on constants."""

    own: dict[int, Tensor]  #: the module's parameters and buffers, by identity
    seen: set[tuple[str, frozenset[int]]] = field(default_factory=set)

    def note(self, name: str, values: Iterable[Tensor]) -> None:
        """A function is called on constants."""
        self.seen.add(self._key(name, values))

    def before(self, name: str, values: Iterable[Tensor]) -> bool:
        """Whether the function was called with the same parameters on constants."""
        return self._key(name, values) in self.seen

    def _key(self, name: str, values: Iterable[Tensor]) -> tuple[str, frozenset[int]]:
        (*others,) = values
        del others[name == "addmm"]  # what the layer is called on, which may be a state in a buffer
        return name, frozenset(id(value) for value in others if id(value) in self.own)
