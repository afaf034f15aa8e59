"""The engine as targets: `reference` runs real numbers, `integer` runs Loihi's. To check a graph imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version

from spikeport.findings import Finding, raise_errors
from spikeport.graph import Array, Graph, Loihi, Real
from spikeport.graph.accumulators import wide_currents, wide_sums
from spikeport.graph.messages import wide_messages
from spikeport.process import loading
from spikeport.record import Record
from spikeport.target import Availability, Request, Show, clipped_thresholds, expected_seconds


@dataclass(frozen=True)
class EngineTarget:
    """The batched engine for one arithmetic."""

    name: str
    arithmetic: type[Real] | type[Loihi]
    device: str = "cpu"

    @property
    def shows(self) -> frozenset[Show]:
        """Everything; integers never round."""
        integers: frozenset[Show] = frozenset({"integers"}) if self.arithmetic is Loihi else frozenset()
        return integers | {"membranes", "events"}

    @property
    def devices(self) -> frozenset[str]:
        """The kinds of processors that it computes on."""
        return frozenset({"cpu", "cuda"}) if self.device == "cpu" else frozenset({self.device})

    def availability(self) -> Availability:
        why = mend = ""
        if self.device != "cpu":
            from spikeport.engine.devices import absent

            why, mend = absent()
        return Availability(ready=not why, version=f"torch {version('torch')}", why=why, mend=mend)

    def check(self, graph: Graph) -> list[Finding]:
        if isinstance(graph.arithmetic, self.arithmetic):
            return [*wide_messages(graph), *wide_sums(graph), *wide_currents(graph), *clipped_thresholds(graph)]
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
        with loading():
            from spikeport.engine.devices import remembers, resolve
            from spikeport.engine.run import simulate

        where = f"target {self.name!r}"
        if self.device == "cpu":
            device, found = resolve(request.device, where)
        else:
            device, found = resolve(self.device, where, f"--target {self.name.removesuffix('-cuda')}")
        request.check_layers(graph)
        notes = raise_errors(self.check(graph))
        record = simulate(graph, samples, request, device)
        findings = (*notes, *found, *self.ways(device), *record.findings)
        return replace(
            record,
            target=self.name,
            findings=findings,
            origin={**record.origin, **remembers(device, real=self.arithmetic is not Loihi)},
        )

    def ways(self, device: str) -> Iterator[Finding]:
        """SP520 where a GPU could be faster, SP523 where the target's name says what a device should."""
        from spikeport.engine import cuda

        if device != "cpu" and self.arithmetic is Loihi and (missing := cuda.missing()):
            yield Finding(
                "SP520",
                f"{missing}: layers run as exact products of TF32 and PyTorch's own operations, some times slower",
                where=f"target {self.name!r}",
                mend="install torch's CUDA build, which brings Triton, a C compiler and Python's headers",
                severity="note",
            )
        if self.device != "cpu":
            yield Finding(
                "SP523",
                f"{self.name} is another name of --target {self.name.removesuffix('-cuda')} --device cuda",
                where=f"target {self.name!r}",
                mend="write that: the name goes with 0.3",
                severity="note",
            )


def Reference() -> EngineTarget:  # noqa: N802
    """Real arithmetic on the CPU."""
    return EngineTarget("reference", Real)


def Integer() -> EngineTarget:  # noqa: N802
    """Loihi arithmetic on the CPU."""
    return EngineTarget("integer", Loihi)


def ReferenceCuda() -> EngineTarget:  # noqa: N802
    """Real arithmetic on an NVIDIA GPU."""
    return EngineTarget("reference-cuda", Real, "cuda")


def IntegerCuda() -> EngineTarget:  # noqa: N802
    """Loihi arithmetic on an NVIDIA GPU."""
    return EngineTarget("integer-cuda", Loihi, "cuda")
