"""What a neuron layer does apart from its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from spikeport.training.methods import Method

Reset = Literal["zero", "subtract"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The choices of one layer, for one call."""

    method: Method
    reset: Reset = "zero"
    detach_reset: bool = False  #: whether the reset is left out of the gradient
    adapt: bool = False  #: thresholds and widths from the membrane of this batch

    @property
    def by_zero(self) -> bool:
        """Whether a spike sets the membrane to zero."""
        return self.reset == "zero"
