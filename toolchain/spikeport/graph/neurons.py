"""The spiking neurons.

Each node states its semantics in full; nothing is implied by the class of somebody else's library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike

from spikeport.findings import require
from spikeport.graph.arrays import Array, in_units, over_neurons, schedule_over_neurons
from spikeport.graph.node import Node, Shape

Reset = Literal["zero", "subtract", "value", "none"]
Compare = Literal[">=", ">"]

EVERY_SPIKE = 2**24  #: `most_spikes` of neurons without a limit: float32, in which they compute, counts as far as that


def _constant(value: float) -> Array:
    return np.asarray(value, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class LIF(Node):
    """Leaky integrate-and-fire neurons of one layer. v[-1] = 0.

    Real arithmetic (DS-ATGO, AAAI 2026, eq. 1-3; the input is not scaled by 1 - decay)::

        u[t] = decay * v[t-1] + gain * x[t] + bias
        s[t] = u[t] >= threshold[t]                    (or >, as `compare` says)
        v[t] = u[t] where s[t] = 0, else  0            reset "zero"
                                          u - threshold[t]   reset "subtract"
                                          reset_value        reset "value"
                                          u                  reset "none"

    Several spikes a step, where `most_spikes` = n is more than 1: as many as the membrane holds thresholds, which are
    then above 0 (sinabs 2.0, ``activation/spike_generation.py``, `MultiSpike` and `MaxSpike`)::

        s[t] = clip(floor(u / threshold[t]), 0, n)     compare ">=": thresholds that u reaches, k * threshold <= u
               clip(ceil(u / threshold[t]) - 1, 0, n)  compare ">":  thresholds that u passes, k * threshold < u
        v[t] = u[t] - s[t] * threshold[t]              reset "subtract"; the others as above where s[t] > 0

    The quotient is rounded as the type of numbers has it. Whole numbers are divided exactly.

    With a `lower_bound`, 0 at most, no membrane stays below it (`min_v_mem` in sinabs 2.0, ``functional/lif.py``)::

        v[t] = max(v[t], lower_bound)                  after the reset

    Loihi arithmetic (Lava 0.10, ``proc/lif/models.py``), all integers, gain 1, `compare` always ">"::

        u[t] = clip(trunc(v[t-1] * decay / 4096) + (x[t] << 6) + bias, -(2**23 - 1), 2**23 - 1)
        s[t] = u[t] > (threshold[t] << 6)
    """

    arrays: ClassVar[tuple[str, ...]] = ("decay", "threshold", "bias", "gain", "reset_value", "unit", "lower_bound")
    schedules: ClassVar[tuple[str, ...]] = ("threshold",)
    later: ClassVar[Mapping[str, Any]] = MappingProxyType({"most_spikes": 1, "lower_bound": None})

    shape: Shape  #: neurons, without time and batch
    decay: Array  #: [], [C] or shape. Real: 0 <= decay <= 1. Loihi: numerator over 4096, an integer 1 ... 4096
    threshold: Array  #: [T], [T, C] or [T, *shape], in units of the input; Loihi: unsigned mantissas
    bias: Array = field(default_factory=lambda: _constant(0.0))  #: [], [C] or shape, added every step, in u's unit
    gain: Array = field(default_factory=lambda: _constant(1.0))  #: [], [C] or shape, dimensionless
    reset: Reset = "zero"
    reset_value: Array = field(default_factory=lambda: _constant(0.0))  #: used where reset is "value"
    compare: Compare = ">="
    unit: Array = field(default_factory=lambda: _constant(1.0))  #: [] or [C], real value of one unit of u (1 if Real)
    most_spikes: int = 1  #: a step; 1 ... `EVERY_SPIKE`, which is no limit
    lower_bound: Array | None = None  #: [], [C] or shape, of membranes after a step, in u's unit; None: no end

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.threshold.ndim >= 1,
            "SP101",
            "threshold needs a leading time axis",
            mend="for a constant threshold pass one value per timestep",
        )
        require(self.reset in ("zero", "subtract", "value", "none"), "SP102", f"reset is {self.reset!r}")
        require(self.compare in (">=", ">"), "SP102", f"compare is {self.compare!r}")
        require(1 <= self.most_spikes <= EVERY_SPIKE, "SP102", f"most_spikes is {self.most_spikes}")
        positive = self.most_spikes == 1 or not self.threshold.size or bool(self.threshold.min() > 0)
        require(
            positive,
            "SP102",
            f"several spikes a step, and a threshold of {self.threshold.min(initial=0):g}",
            why="they are counted in thresholds, so that none is zero or below.",
            mend="thresholds above 0, or one spike a step",
        )
        for name in ("decay", "bias", "gain", "reset_value", "unit"):
            over_neurons(getattr(self, name), self.shape, name=name)
        if self.lower_bound is not None:
            over_neurons(self.lower_bound, self.shape, name="lower_bound")
            low = self.lower_bound.max(initial=0)
            mend = "a bound of zero or less: a membrane starts at zero"
            require(bool(low <= 0), "SP102", f"lower_bound is up to {low:g}", mend=mend)
        schedule_over_neurons(self.threshold, self.shape)

    @property
    def timesteps(self) -> int:
        """Length of the threshold schedule."""
        return int(self.threshold.shape[0])

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    def measured_in(self, unit: Array, dtype: DTypeLike = np.float64) -> Self:
        """The same neurons with membrane, threshold, bias, reset value and lower bound in units of ``unit``, [], [C] or
        shape, > 0.

        Their gain over ``unit`` goes with it. All of u's equation is linear, so no spike changes but by rounding.
        """
        unit = np.asarray(unit, np.float64)
        names = ("bias", "reset_value") if self.lower_bound is None else ("bias", "reset_value", "lower_bound")
        changes = {name: in_units(getattr(self, name), unit, self.shape) for name in names}
        changes["threshold"] = in_units(self.threshold, unit, self.shape, lead=1)
        return self.with_(**{name: value.astype(dtype) for name, value in changes.items()})

    def output_shape(self, source: Shape) -> Shape:
        require(
            source == self.shape,
            "SP106",
            f"has neurons of shape {self.shape}, gets input of shape {source}",
            mend="the layer's shape and what enters it must agree",
        )
        return self.shape


@dataclass(frozen=True, eq=False)
class CubaLIF(LIF):
    """Neurons with a synaptic current that decays by itself. i[-1] = v[-1] = 0.

    Real::   i[t] = current_decay * i[t-1] + gain * x[t]        u[t] = decay * v[t-1] + i[t] + bias
    Loihi::  i[t] = trunc(i[t-1] * current_decay / 4096) + (x[t] << 6), and u as in `LIF` with i[t] for x[t] << 6
    """

    arrays: ClassVar[tuple[str, ...]] = (*LIF.arrays, "current_decay")

    current_decay: Array = field(default_factory=lambda: _constant(0.0))  #: as `decay`; Loihi: integer 0 ... 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        over_neurons(self.current_decay, self.shape, name="current_decay")
