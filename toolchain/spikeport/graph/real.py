"""Real arithmetic: floating point, as networks are trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import meaning
from spikeport.graph.adaptive import ALIF
from spikeport.graph.arithmetic import Charge
from spikeport.graph.arrays import Array, over_neurons, schedule_over_neurons
from spikeport.graph.bounds import Range
from spikeport.graph.neurons import LIF, CubaLIF
from spikeport.graph.node import Node
from spikeport.graph.plumbing import Input, Readout
from spikeport.graph.rules import between
from spikeport.graph.synapses import Synapse


@dataclass(frozen=True, slots=True)
class Real:
    """Real numbers in floating point; a neuron whose membrane equals its threshold fires where `compare` is ">="."""

    kind: ClassVar[str] = "real"
    whole: ClassVar[bool] = False
    several_spikes: ClassVar[bool] = True

    dtype: Literal["float32", "float64"] = "float32"

    def __init_subclass__(cls) -> None:
        raise TypeError("bring an arithmetic of your own: what is a Real, the engine runs as one")

    def facts(self) -> dict[str, Any]:
        return {"dtype": self.dtype}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        if facts["dtype"] not in ("float32", "float64"):
            raise ValueError(f"no arithmetic has the type {facts['dtype']!r}")
        return cls(facts["dtype"])

    def findings(self, node: Node) -> Iterator[Finding]:
        if isinstance(node, LIF):
            yield from between("decay", node.decay, 0.0, 1.0)
        if isinstance(node, ALIF):
            yield from between("adaptation_decay", node.adaptation_decay, 0.0, 1.0)
        if isinstance(node, Synapse) and node.exponent:
            yield Finding("SP115", f"real weights have no exponent, here {node.exponent}", mend="scale the weights")

    def entering(self, node: Input, samples: Array) -> Array:
        return meaning.frames(node, samples)

    def synapse(self, node: Synapse, x: Array) -> Array:
        y = meaning.products(node, x)
        return y if node.bias is None else y + over_neurons(node.bias, y.shape[2:])

    def reach(self, node: Synapse, x: Range) -> tuple[Range, Range]:
        sums = node.sums(Range(float(x.low), float(x.high)))
        if node.bias is None:
            return sums, sums
        return sums, sums + Range(float(node.bias.min()), float(node.bias.max()))

    def charge(self, node: LIF, v: Array, current: Array, x: Array) -> Charge:
        """DS-ATGO, AAAI 2026, eq. 1; a synaptic current decays by itself (`CubaLIF`)."""
        decay, bias, gain = (
            over_neurons(value, node.shape).astype(np.float64) for value in (node.decay, node.bias, node.gain)
        )
        arriving = gain * x
        if isinstance(node, CubaLIF):
            arriving = over_neurons(node.current_decay, node.shape).astype(np.float64) * current + arriving
        return Charge(decay * v + arriving + bias, arriving, {})

    def threshold(self, node: LIF, t: int) -> Array:
        return np.asarray(schedule_over_neurons(node.threshold, node.shape)[t], dtype=np.float64)

    def fires(self, node: LIF, u: Array, t: int) -> Array:
        return meaning.fires(node, u, self.threshold(node, t))

    def after(self, node: LIF, u: Array, fired: Array, t: int) -> Array:
        return meaning.reset(node, u, fired, self.threshold(node, t))

    def active(self, node: LIF, v: Array, x: Array) -> Array:
        return meaning.busy(node, v, x)

    def read_out(self, node: Readout, x: Array) -> Array:
        return meaning.weighted(node, x)
