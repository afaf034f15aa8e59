"""The engine as targets: `reference` runs real numbers, `integer` runs Loihi's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch

from spikeport.engine import cuda
from spikeport.engine.run import simulate
from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import Array, Graph, Loihi, Real
from spikeport.graph.accumulators import wide_currents, wide_sums
from spikeport.graph.messages import wide_messages
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

    def availability(self) -> Availability:
        version = f"torch {torch.__version__}"
        if self.device == "cpu" or torch.cuda.is_available():
            return Availability(ready=True, version=version)
        built = torch.version.cuda is not None
        why = "torch finds no NVIDIA GPU that it can use" if built else "this torch is built without CUDA"
        mend = "see nvidia-smi: the driver, and CUDA_VISIBLE_DEVICES" if built else "install torch's CUDA build"
        return Availability(ready=False, version=version, why=why, mend=mend)

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
        availability = self.availability()
        if not availability.ready:
            fail(
                "SP514",
                availability.why,
                where=f"target {self.name!r}",
                mend=f"{availability.mend}, or use --target {self.name.removesuffix('-cuda')}",
            )
        request.check_layers(graph)
        notes = raise_errors(self.check(graph))
        with nullcontext() if self.device == "cpu" else _whole_factors():
            record = simulate(graph, samples, request, self.device)
        return replace(record, target=self.name, findings=(*notes, *self.ways(), *record.findings))

    def ways(self) -> Iterator[Finding]:
        """SP520 where a GPU could be faster."""
        if self.device != "cpu" and self.arithmetic is Loihi and (missing := cuda.missing()):
            yield Finding(
                "SP520",
                f"{missing}: layers run as exact products of TF32 and PyTorch's own operations, some times slower",
                where=f"target {self.name!r}",
                mend="install torch's CUDA build, which brings Triton, a C compiler and Python's headers",
                severity="note",
            )


@contextmanager
def _whole_factors() -> Iterator[None]:
    """No TF32, which keeps 10 bits of each factor, so that spikes would move; torch has it on for convolutions."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


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
