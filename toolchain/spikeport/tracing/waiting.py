"""Neuron layers that wait for the number of timesteps, and what they become when it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from spikeport.graph import LIF, Array, Shape
from spikeport.tracing.registry import Cells

#: what enters a neuron layer: (node, steps later) -> factor
Inputs = Mapping[tuple[str, int], Array]


@dataclass(frozen=True)
class Drawn:
    """A neuron layer when the number of timesteps is known."""

    cells: Cells
    inputs: Inputs = field(default_factory=dict)
    constant: Array = field(default_factory=lambda: np.zeros(()))  #: added to what enters
    gains: Inputs = field(default_factory=dict)  #: [T, ...], what enters with a factor of its own at each step
    biases: Array | None = None  #: [T, ...], constants that differ from step to step
    membrane: tuple[str, Array] | None = None  #: a layer whose membrane enters instead, and its factor


@dataclass
class Waiting:
    """A neuron layer that is converted once the number of timesteps is known."""

    where: str  #: the module or line, in words
    shape: Shape
    build: Callable[[int], Drawn]
    several: bool = False  #: whether its neurons may fire more than once a step
    analog: bool = False  #: whether it is no neurons at all, and what leaves it a state

    @property
    def binary(self) -> bool:
        """Whether what leaves it is 0 or 1."""
        return not (self.several or self.analog)


def memoryless(shape: Shape, threshold: float) -> Waiting:
    """Neurons with decay 0 that fire at a threshold between whole numbers, at every step."""

    def build(timesteps: int) -> Drawn:
        return Drawn(Cells(LIF(shape, np.zeros(()), np.full(timesteps, threshold))))

    return Waiting("", shape, build)
