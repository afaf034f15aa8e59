"""What a neuron layer does apart from its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from spikeport.training.methods import Method

Reset = Literal["zero", "subtract"]
#: bptt: through all steps. sltt: a membrane's past is a constant (Meng et al., ICCV 2023, eq. 9). ottt: that too, and
#: what enters a synapse counts by its trace a[t] = decay a[t-1] + s[t] (Xiao et al., NeurIPS 2022, eq. 4-6)
Gradient = Literal["bptt", "sltt", "ottt"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The choices of one layer, for one call."""

    method: Method
    reset: Reset = "zero"
    detach_reset: bool = False  #: whether the reset is left out of the gradient
    gradient: Gradient = "bptt"
    adapt: bool = False  #: thresholds and widths from the membrane of this batch
    ends: Tensor | None = None  #: [B], steps after which a sample is not of this batch; only where they adapt

    @property
    def compiled(self) -> bool:
        """Whether compiled loops and kernels know these rules."""
        return self.method.compiled and self.gradient == "bptt" and self.ends is None

    @property
    def by_zero(self) -> bool:
        """Whether a spike sets the membrane to zero."""
        return self.reset == "zero"
