"""The engine as targets: `reference` runs real numbers, `integer` runs Loihi's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from spikeport.engine.run import simulate
from spikeport.findings import Finding, raise_errors
from spikeport.graph import Array, Graph, Loihi, Real
from spikeport.graph.messages import wide_messages
from spikeport.record import Record
from spikeport.targets import Availability, Request, expected_seconds


@dataclass(frozen=True)
class Engine:
    """The batched engine for one arithmetic."""

    name: str
    arithmetic: type[Real] | type[Loihi]
    device: str = "cpu"

    def availability(self) -> Availability:
        return Availability(ready=True, version=f"torch {torch.__version__}")

    def check(self, graph: Graph) -> list[Finding]:
        if isinstance(graph.arithmetic, self.arithmetic):
            return list(wide_messages(graph))
        real = isinstance(graph.arithmetic, Real)
        return [
            Finding(
                "SP505",
                f"the target {self.name!r} runs {'integers' if real else 'real numbers'}, this graph holds the other",
                mend="quantise it first, or use --target reference" if real else "use --target integer",
            )
        ]

    def seconds_a_sample(self, graph: Graph) -> float:
        """About how long one sample takes."""
        return expected_seconds(graph)

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        notes = raise_errors(self.check(graph))
        record = simulate(graph, samples, request, self.device)
        return replace(record, findings=(*notes, *record.findings))


def Reference() -> Engine:  # noqa: N802
    """Real arithmetic on the CPU."""
    return Engine("reference", Real)


def Integer() -> Engine:  # noqa: N802
    """Loihi arithmetic on the CPU."""
    return Engine("integer", Loihi)
