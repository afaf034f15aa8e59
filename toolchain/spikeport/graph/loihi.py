"""Loihi arithmetic: whole numbers in a stated format, as Lava 0.10's fixed-point models compute them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.graph import meaning, xylo
from spikeport.graph.arithmetic import Charge
from spikeport.graph.arrays import Array, over_neurons, schedule_over_neurons
from spikeport.graph.bounds import Range
from spikeport.graph.loihi_rules import node_findings
from spikeport.graph.neurons import LIF, CubaLIF
from spikeport.graph.node import Node
from spikeport.graph.plumbing import Input, Readout
from spikeport.graph.profile import DECAY_ONE, STATE_SHIFT, Profile
from spikeport.graph.synapses import Synapse

SATURATED, BEYOND, WRAPPED = "membrane saturated", "sum beyond 24 bits", "accumulator wrapped"  #: what overflows do


@dataclass(frozen=True, slots=True)
class Loihi:
    """Loihi's integers, as Lava's fixed-point models compute them; the formulas stand at the nodes."""

    kind: ClassVar[str] = "loihi"
    whole: ClassVar[bool] = True
    several_spikes: ClassVar[bool] = True

    profile: Profile

    def __init_subclass__(cls) -> None:
        raise TypeError("bring an arithmetic of your own: what is a Loihi, the engine runs as one")

    def facts(self) -> dict[str, Any]:
        return {"profile": self.profile.facts()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        return cls(Profile.from_facts(facts["profile"]))

    def findings(self, node: Node) -> Iterator[Finding]:
        yield from node_findings(node, self.profile)

    def entering(self, node: Input, samples: Array) -> Array:
        """Whole numbers in units of the input, ties to even."""
        return np.asarray(np.rint(meaning.frames(node, samples) / node.unit))

    def synapse(self, node: Synapse, x: Array) -> Array:
        """A negative exponent rounds the sum towards minus infinity (Lava 0.10, proc/dense/models.py).

        Where the profile shifts each weight, `shifts.shift_each` has done so before.
        """
        y = meaning.products(node, x)
        return y if node.exponent == 0 else np.asarray(np.floor(y * 2.0**node.exponent))

    def reach(self, node: Synapse, x: Range) -> tuple[Range, Range]:
        sums = node.sums(x)
        return sums, sums.shifted(node.exponent)

    def charge(self, node: LIF, v: Array, current: Array, x: Array) -> Charge:
        """Truncated towards zero, the membrane cut to the format's range (Lava 0.10, proc/lif/models.py).

        Raises SP122 where a sum leaves the accumulator of a profile that refuses this.
        """
        if self.profile.neuron == "xylo":
            charge, numbers = xylo.charge(node, v, current, x, self.profile)
            pairs = zip((xylo.CURRENT, SATURATED), numbers, strict=True)
            return charge._replace(overflows={what: n for what, n in pairs if n})
        top = self.profile.state_top
        decay, bias = (over_neurons(value, node.shape).astype(np.float64) for value in (node.decay, node.bias))
        arriving = x * 2**STATE_SHIFT
        accumulated = self._accumulated(arriving)
        counts = {WRAPPED: np.count_nonzero(accumulated != arriving)}
        arriving = accumulated
        if isinstance(node, CubaLIF):
            fade = over_neurons(node.current_decay, node.shape).astype(np.float64)
            arriving = np.trunc(current * fade / DECAY_ONE) + arriving
        counts[BEYOND] = np.count_nonzero((arriving > top + 1) | (arriving <= -top - 1))
        exact = np.trunc(v * decay / DECAY_ONE) + arriving + bias
        u = np.clip(exact, -top, top)
        counts[SATURATED] = np.count_nonzero(u != exact)
        return Charge(u, arriving, {what: int(n) for what, n in counts.items() if n})

    def _accumulated(self, arriving: Array) -> Array:
        """Sums as the accumulator keeps them, in two's complement."""
        least = self.profile.accumulator_least
        if least is None:
            return np.asarray(arriving)
        if self.profile.accumulator_overflow == "refuse":
            refuse_overflow(self.profile, int(np.count_nonzero((arriving < least) | (arriving >= -least))))
            return np.asarray(arriving)
        return np.asarray(np.mod(arriving - least, -2 * least) + least)

    def threshold(self, node: LIF, t: int) -> Array:
        return np.asarray(schedule_over_neurons(node.threshold, node.shape)[t] * float(2**STATE_SHIFT))

    def fires(self, node: LIF, u: Array, t: int) -> Array:
        """Strictly above (Lava 0.10, proc/lif/models.py); Xylo's also at their threshold."""
        return meaning.fires(node, u, self.threshold(node, t))

    def after(self, node: LIF, u: Array, fired: Array, t: int) -> Array:
        return meaning.reset(node, u, fired, self.threshold(node, t))

    def active(self, node: LIF, v: Array, x: Array) -> Array:
        return meaning.busy(node, v, x)

    def read_out(self, node: Readout, x: Array) -> Array:
        return meaning.weighted(node, x * 2**STATE_SHIFT)


def refuse_overflow(profile: Profile, count: int, where: str = "") -> None:
    """Raise SP122 where ``count`` sums left the accumulator of a profile that refuses it."""
    if count:
        fail(
            "SP122",
            f"{count} sums of a step leave the accumulator of {profile.accumulator_bits} bits",
            where=where or f"profile {profile.name!r}",
            why='the profile says accumulator_overflow = "refuse".',
            mend='smaller exponents or fewer weight bits, or accumulator_overflow = "wrap" to see what a chip would do',
        )
