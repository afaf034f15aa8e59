"""An arithmetic for spikeport, and a target that runs it: whole numbers whose membranes leak by a right shift."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from spikeport.findings import Finding, raise_errors
from spikeport.graph import LIF, Array, CubaLIF, Graph, Input, Node, Norm, Range, Readout, Synapse, definition, meaning
from spikeport.graph.arithmetic import Charge
from spikeport.graph.arrays import over_neurons, schedule_over_neurons
from spikeport.graph.bounds import product
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport.target import Availability, Request, check_input


@dataclass(frozen=True)
class Shifts:
    """u = v - (v >> decay) + x + bias in `bits` bits, which saturate; fires at its threshold or above."""

    kind: ClassVar[str] = "shifts"
    whole: ClassVar[bool] = True

    bits: int = 16  #: of the membrane, signed

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        return cls(int(facts["bits"]))

    def findings(self, node: Node) -> Iterator[Finding]:
        if isinstance(node, Norm | CubaLIF):
            yield Finding("SP115", f"{type(node).__name__} is unknown to shifts", mend="fold it, or use a LIF")
        if isinstance(node, LIF) and not np.isin(node.decay, np.arange(self.bits)).all():
            yield Finding("SP115", f"decay is a shift by 0 ... {self.bits - 1} bits here")

    def entering(self, node: Input, samples: Array) -> Array:
        return np.rint(meaning.frames(node, samples) / node.unit)

    def synapse(self, node: Synapse, x: Array) -> Array:
        return meaning.products(node, x)

    def reach(self, node: Synapse, x: Range) -> tuple[Range, Range]:
        sums = product(node.weight, x)
        return sums, sums

    def charge(self, node: LIF, v: Array, current: Array, x: Array) -> Charge:
        top = 2 ** (self.bits - 1) - 1
        decay, bias = (over_neurons(value, node.shape) for value in (node.decay, node.bias))
        exact = v - np.floor(v / 2.0**decay) + x + bias
        u = np.clip(exact, -top, top)
        saturated = int(np.count_nonzero(u != exact))
        return Charge(u, x, {"membrane saturated": saturated} if saturated else {})

    def threshold(self, node: LIF, t: int) -> Array:
        return np.asarray(schedule_over_neurons(node.threshold, node.shape)[t], dtype=np.float64)

    def fires(self, node: LIF, u: Array, t: int) -> Array:
        return u >= self.threshold(node, t)

    def after(self, node: LIF, u: Array, fired: Array, t: int) -> Array:
        return meaning.reset(node, u, fired, self.threshold(node, t))

    def active(self, node: LIF, v: Array, x: Array) -> Array:
        return meaning.busy(node, v, x)

    def read_out(self, node: Readout, x: Array) -> Array:
        return meaning.weighted(node, x)


class ShiftTarget:
    """Every step from the definition: slow, and right."""

    name = "shifts"

    def availability(self) -> Availability:
        return Availability(ready=True, version="1")

    def check(self, graph: Graph) -> list[Finding]:
        ours = isinstance(graph.arithmetic, Shifts)
        return [] if ours else [Finding("SP990", "runs shifts only", mend="use --target integer or reference")]

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        raise_errors(self.check(graph))
        check_input(graph, samples)
        begun, run = time.perf_counter(), definition.run(graph, samples)
        trains = {name: Train.pack(run.spikes(name)) for name in graph.nodes_of(LIF)}
        return Record(
            target=self.name,
            outputs=run.outputs,
            neurons={name: node.size for name, node in graph.nodes_of(LIF).items()},
            spike_counts={name: run.spikes(name).sum((1, *range(2, 2 + len(graph.shapes[name])))) for name in trains},
            trains=request.kept(trains),
            overflows=run.overflows,
            seconds=time.perf_counter() - begun,
        )
