"""Arithmetic: what the numbers of a graph mean. `Real` and `Loihi` are two; a plug-in can bring another.

A graph carries its arithmetic. What has no state and no format (pools, flatten, delays) is the same in all and stands
in `meaning`; what an arithmetic must say itself is the protocol below. `definition.run` computes a graph in any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

from spikeport.findings import Finding
from spikeport.graph.arrays import Array
from spikeport.graph.bounds import Range
from spikeport.graph.neurons import LIF
from spikeport.graph.node import Node
from spikeport.graph.plumbing import Input, Readout
from spikeport.graph.synapses import Synapse

GROUP = "spikeport.arithmetics"  #: entry points of classes, named as their ``kind``


class Charge(NamedTuple):
    """Neurons before their comparison."""

    u: Array  #: [B, *shape] membrane
    current: Array  #: [B, *shape] synaptic current; what arrived where a layer has none
    overflows: dict[str, int]  #: how many numbers left the format, by what happened to them; nothing where none did


@runtime_checkable
class Arithmetic(Protocol):
    """What numbers mean: a frozen dataclass, equal where it means the same.

    One whose neurons may fire several times a step says so: ``several_spikes: ClassVar[bool] = True``.

    Arrays are float64 [T or 1, B, *shape], or [B, *shape] within a step; whole numbers are exact below 2**53.
    """

    kind: ClassVar[str]  #: its name in files and in the group of entry points
    whole: ClassVar[bool]  #: whether all its numbers are whole, so that nothing rounds

    def facts(self) -> dict[str, Any]:
        """Itself as JSON values, beside its kind."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """What `facts` described. Raises KeyError, TypeError or ValueError for anything else."""

    def findings(self, node: Node) -> Iterator[Finding]:
        """Why it does not know a node, and every number of a node that its format cannot hold (SP115, SP116)."""

    def entering(self, node: Input, samples: Array) -> Array:
        """Samples [B, *input] (direct) or [T, B, *input] (events) as values [T or 1, B, *input]."""

    def synapse(self, node: Synapse, x: Array) -> Array:
        """What a synapse makes of ``x`` [T or 1, B, *shape]."""

    def reach(self, node: Synapse, x: Range) -> tuple[Range, Range]:
        """How far a synapse's sums and partial sums go for inputs in ``x``, and what leaves it."""

    def charge(self, node: LIF, v: Array, current: Array, x: Array) -> Charge:
        """The membranes of a step before the comparison; ``v`` and ``current`` are those after the step before."""

    def threshold(self, node: LIF, t: int) -> Array:
        """The thresholds of step ``t`` over the neurons, in the membrane's unit."""

    def fires(self, node: LIF, u: Array, t: int) -> Array:
        """How often each neuron fires: bool, or whole numbers where `most_spikes` lets it fire several times."""

    def after(self, node: LIF, u: Array, fired: Array, t: int) -> Array:
        """The membranes after the reset of those that fired."""

    def active(self, node: LIF, v: Array, x: Array) -> Array:
        """Which neurons a chip has to compute in a step, bool: the event that update energies count."""

    def read_out(self, node: Readout, x: Array) -> Array:
        """The output [B, *shape] of ``x`` [T or 1, B, *shape]."""
