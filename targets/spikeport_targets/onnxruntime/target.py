"""Writes a Graph as ONNX and runs it with onnxruntime, on the CPU, or on a GPU where the installed package can."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from spikeport.findings import Finding, SpikeportError, fail, raise_errors
from spikeport.graph import LIF, Array, Conv, Graph, Peak, Pool, Real, Samples
from spikeport.graph.accumulators import wide_sums
from spikeport.graph.inputs import require_samples_within
from spikeport.graph.messages import wide_messages
from spikeport.record import Record, join
from spikeport.spike_train import Train
from spikeport.target import Availability, Request, Show, clipped_thresholds, expected_seconds

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before its import: 1.31 else leaves .ses files in the temp folder
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
BATCH = 256  #: samples at once where the caller does not say


@dataclass(frozen=True)
class OnnxRuntime:
    """One of onnxruntime's providers. Records outputs and spikes; it does not count events and shows no membranes."""

    name: str = "onnxruntime"
    provider: str = CPU
    number: int = 0  #: of the GPU
    shows: ClassVar[frozenset[Show]] = frozenset()

    @property
    def devices(self) -> frozenset[str]:
        """The kinds of processors that it computes on."""
        return frozenset({"cpu", "cuda"}) if self.provider == CPU else frozenset({"cuda"})

    def availability(self) -> Availability:
        try:
            import onnxruntime
        except ImportError as error:
            return Availability(False, why=f"onnxruntime cannot be imported ({error})", mend="pip install onnxruntime")
        if self.provider not in onnxruntime.get_available_providers():
            return Availability(
                False, why=f"this onnxruntime has no {self.provider}", mend="pip install onnxruntime-gpu"
            )
        return Availability(True, version=f"onnxruntime {onnxruntime.__version__}")

    def check(self, graph: Graph) -> list[Finding]:
        from spikeport.formats import onnx

        try:
            onnx.build(graph)
        except SpikeportError as error:
            return list(error.findings)
        double = isinstance(graph.arithmetic, Real) and graph.arithmetic.dtype == "float64"
        if double and self.provider == CPU:
            return [_no_double(name) for name in graph.nodes_of(Conv, Pool)]
        return [*wide_messages(graph), *wide_sums(graph, refuses=False), *clipped_thresholds(graph)]

    def seconds_a_sample(self, graph: Graph) -> float:
        """About how long one sample takes."""
        return expected_seconds(graph)

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        if request.device != "cpu" and self.provider == CPU:
            return self._elsewhere(graph, samples, request)
        here = self.availability()
        if not here.ready:
            fail("SP261", here.why, mend=here.mend)
        request.check_layers(graph)
        notes = raise_errors(self.check(graph))
        entering = Samples.of(graph, samples)
        require_samples_within(graph, entering)
        total = entering.number
        _refuse(request)
        session = _session(graph, self.provider, self.number)
        size = request.samples_at_once(graph, BATCH)
        records, first = [], time.perf_counter()
        for start in range(0, total, size):
            request.check_time(first, start, total)
            stop = min(start + size, total)
            part = np.ascontiguousarray(entering.cut(start, stop).array, dtype=_dtype(graph))
            records.append(self._batch(session, graph, part, request))
            request.progress(stop, total)
        return replace(join(records), findings=notes)

    def _elsewhere(self, graph: Graph, samples: Array, request: Request) -> Record:
        """The same on a GPU; where ``auto`` asks for one and onnxruntime has none, on the CPU, which is said."""
        kind, _, number = request.device.partition(":")
        there, request = replace(self, provider=CUDA, number=int(number or 0)), replace(request, device="cpu")
        absent = there.availability()
        if kind != "auto" or absent.ready:
            return there.run(graph, samples, request)
        record, what = self.run(graph, samples, request), f"{absent.why}: the CPU runs it"
        note = Finding("SP522", what, f"target {self.name!r}", mend=absent.mend, severity="note")
        return replace(record, findings=(note, *record.findings))

    def _batch(self, session: Any, graph: Graph, samples: Array, request: Request) -> Record:
        layers = graph.nodes_of(LIF)
        begun = time.perf_counter()
        leaving = {name: f"output/{name}" for name in graph.outputs} | {graph.output: "output"}
        firing = [name for name, node in layers.items() if not isinstance(node, Peak)]
        results = session.run([*leaving.values(), *(f"spikes/{name}" for name in firing)], {"input": samples})
        outputs = dict(zip(leaving, results, strict=False))
        seconds = time.perf_counter() - begun
        never = {n: np.zeros((graph.timesteps, len(outputs[n]), *layers[n].shape), bool) for n in graph.nodes_of(Peak)}
        spikes = dict(zip(firing, results[len(leaving) :], strict=True)) | never
        trains = {name: spikes[name] for name in layers}
        counts = {name: v.reshape(len(v), -1).sum(1).astype(np.int64) for name, v in trains.items()}
        record = Record(
            target=self.name,
            outputs=outputs.pop(graph.output),
            further=outputs,
            neurons={name: layer.size for name, layer in layers.items()},
            spike_counts=counts,
            seconds=seconds,
        )
        wanted = {name: Train.pack(train) for name, train in trains.items() if request.keeps_train(name)}
        return replace(record, trains=wanted)


def cuda() -> OnnxRuntime:
    """The provider for NVIDIA's GPUs, which onnxruntime-gpu has; operators that it lacks run on the CPU."""
    return OnnxRuntime("onnxruntime-cuda", CUDA)


def _dtype(graph: Graph) -> np.dtype[Any]:
    """Type of the samples: integers are made of them inside the model."""
    return np.dtype(graph.arithmetic.dtype if isinstance(graph.arithmetic, Real) else np.float32)


def _providers(provider: str, number: int) -> list[Any]:
    """What a session is asked for; TF32 keeps 10 bits of each factor, and spikes would move."""
    return [CPU] if provider == CPU else [(CUDA, {"use_tf32": 0, "device_id": number}), CPU]


def _session(graph: Graph, provider: str, number: int) -> Any:
    import onnxruntime

    from spikeport.formats import onnx

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.enable_mem_pattern = False  # 1.17 shares a buffer that is still in use (docs/results/onnxruntimes.md)
    data = onnx.build(graph).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(data, options, providers=_providers(provider, number))
    except Exception as error:  # onnxruntime raises a class of its own for each kind of failure
        fail(
            "SP261",
            f"onnxruntime refuses the model ({str(error).splitlines()[0][:300]})",
            mend="use --target reference, and please report it with the model",
        )
    if session.get_providers()[0] != provider:  # onnxruntime only logs that it could not start one
        fail(
            "SP261",
            f"onnxruntime could not start its {provider}",
            mend="mend the driver or the CUDA libraries that it names, or use --target onnxruntime",
        )
    return session


def _no_double(name: str) -> Finding:
    return Finding(
        "SP260",
        "onnxruntime's CPU provider has no convolutions and pools in float64",
        where=f"node {name!r}",
        mend="run the float32 graph, or use --target reference",
    )


def _refuse(request: Request) -> None:
    asked = [what for what, wanted in (("membranes", request.membranes), ("events", request.events)) if wanted]
    if asked:
        fail("SP262", f"onnxruntime shows no {' and no '.join(asked)}", mend="use --target reference or integer")
