"""Neurons whose threshold rises with their own spikes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from spikeport.findings import Finding, require
from spikeport.graph.arithmetic import Arithmetic
from spikeport.graph.arrays import Array, in_units, over_neurons
from spikeport.graph.meaning import bounded
from spikeport.graph.neurons import LIF


def _zero() -> Array:
    return np.asarray(0.0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class ALIF(LIF):
    """Leaky integrate-and-fire neurons that adapt. a[-1] = v[-1] = 0; real arithmetic only::

        u[t] = decay * v[t-1] + gain * x[t] + bias                          as `LIF`
        s[t] = u[t] - a[t-1] >= threshold[t]                                (or >)
        a[t] = adaptation_decay * a[t-1] + adaptation * s[t]

    Reset "subtract" takes off what was reached, ``threshold[t] + a[t-1]``; the others are those of `LIF`.

    Source: Bellec et al., Long short-term memory and learning-to-learn in networks of spiking neurons, NeurIPS 2018,
    section 2 (their beta (1 - rho) is `adaptation`); sinabs 2.0, ``layers/functional/alif.py``.
    """

    arrays: ClassVar[tuple[str, ...]] = (*LIF.arrays, "adaptation", "adaptation_decay")

    adaptation: Array = field(default_factory=_zero)  #: [], [C] or shape, what a spike adds, in u's unit
    adaptation_decay: Array = field(default_factory=_zero)  #: [], [C] or shape, 0 ... 1

    def __post_init__(self) -> None:
        super().__post_init__()
        what = "several spikes a step, and thresholds that follow them"
        require(self.most_spikes == 1, "SP102", what, mend="one spike a step")
        for name in ("adaptation", "adaptation_decay"):
            over_neurons(getattr(self, name), self.shape, name=name)

    def measured_in(self, unit: Array, dtype: DTypeLike = np.float64) -> Self:
        rise = in_units(self.adaptation, np.asarray(unit, np.float64), self.shape).astype(dtype)
        return super().measured_in(unit, dtype).with_(adaptation=rise)


def settled(arithmetic: Arithmetic, node: LIF, u: Array, rise: Array, fired: Array, t: int) -> tuple[Array, Array]:
    """Membranes and the rise of the thresholds after a step: ``u`` and ``rise`` are those of the comparison."""
    if not isinstance(node, ALIF):
        return bounded(node, arithmetic.after(node, u, fired, t)), rise
    lowered = u if node.reset == "none" else arithmetic.after(node, u - rise, fired, t)
    fade, up = (over_neurons(v, node.shape).astype(np.float64) for v in (node.adaptation_decay, node.adaptation))
    return bounded(node, np.where(fired, lowered, u)), np.asarray(fade * rise + up * fired)


def no_adaptation(node: ALIF) -> Finding:
    """Why there are no adaptive neurons in integers, and how far off the nearest of them would be.

    A rise kept in whole units and truncated at every step, as membranes are, lacks less than ``1 + rho + rho^2 + ...``
    units: ``(1 - rho^T) / (1 - rho)`` after T steps.
    """
    rho = float(node.adaptation_decay.max(initial=0.0)) if node.adaptation_decay.dtype.kind == "f" else 1.0
    off = sum(rho**step for step in range(node.timesteps))
    return Finding(
        "SP131",
        f"its thresholds follow its own spikes, which integers do not know; truncated step by step they would be up to "
        f"{off:.3g} membrane units too low",
        why="a format says how membranes and currents are rounded; its thresholds are a table that is made before.",
        mend="run it in real numbers, or train neurons with a threshold a timestep (LIF)",
    )
