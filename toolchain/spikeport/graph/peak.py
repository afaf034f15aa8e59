"""Output neurons that are read at their highest."""

from __future__ import annotations

from dataclasses import dataclass

from spikeport.findings import require
from spikeport.graph.neurons import CubaLIF, Reset


@dataclass(frozen=True, eq=False)
class Peak(CubaLIF):
    """Leaky integrators at the end of a graph, which never fire: ``output = max over t of u[t]``, u as in `CubaLIF`.

    Norse's and snnTorch's ``membranes.max(0)``. In Loihi arithmetic that is a whole number, and ``output * unit`` the
    real value. Nothing is compared: `threshold` is infinite, in integers the largest mantissa, and says nothing.
    """

    reset: Reset = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        plain = self.reset == "none" and self.most_spikes == 1 and self.lower_bound is None
        require(plain, "SP102", "neurons that never fire, and what happens where they do", mend='reset="none"')
