"""Writes a Graph as ONNX and runs it with onnxruntime on the CPU."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib import metadata, util
from typing import Any

import numpy as np

from spikeport.findings import Finding, SpikeportError, fail, raise_errors
from spikeport.graph import LIF, Array, Conv, Graph, Input, Pool, Real
from spikeport.record import Record, Train, join
from spikeport.targets import Availability, Request, check_input

BATCH = 256  #: samples at once where the caller does not say


@dataclass(frozen=True)
class OnnxRuntime:
    """onnxruntime's CPU provider. Records outputs and spikes; it does not count events and shows no membranes."""

    name: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"

    def availability(self) -> Availability:
        if util.find_spec("onnxruntime") is None:
            return Availability(False, why="onnxruntime is not installed", mend="pip install onnxruntime")
        return Availability(True, version=f"onnxruntime {metadata.version('onnxruntime')}")

    def check(self, graph: Graph) -> list[Finding]:
        from spikeport.formats import onnx

        try:
            onnx.build(graph)
        except SpikeportError as error:
            return list(error.findings)
        double = isinstance(graph.arithmetic, Real) and graph.arithmetic.dtype == "float64"
        return [_no_double(name) for name in graph.nodes_of(Conv, Pool)] if double else []

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        raise_errors(self.check(graph))
        total = check_input(graph, samples)
        _refuse(request)
        session = _session(graph, self.provider)
        node = graph.nodes[graph.input]
        assert isinstance(node, Input)
        axis = 1 if node.coding == "events" else 0
        size = request.batch or BATCH
        records = []
        for start in range(0, total, size):
            stop = min(start + size, total)
            part = np.ascontiguousarray(samples.take(range(start, stop), axis=axis), dtype=_dtype(graph))
            records.append(self._batch(session, graph, part, request))
            request.progress(stop, total)
        return join(records)

    def _batch(self, session: Any, graph: Graph, samples: Array, request: Request) -> Record:
        layers = graph.nodes_of(LIF)
        begun = time.perf_counter()
        output, *spikes = session.run(["output", *(f"spikes/{name}" for name in layers)], {"input": samples})
        seconds = time.perf_counter() - begun
        trains = dict(zip(layers, spikes, strict=True))
        counts = {name: np.count_nonzero(v.reshape(len(v), -1), axis=1).astype(np.int64) for name, v in trains.items()}
        record = Record(
            target=self.name,
            outputs=output,
            neurons={name: layer.size for name, layer in layers.items()},
            spike_counts=counts,
            seconds=seconds,
        )
        if not request.trains:
            return record
        return replace(record, trains={name: Train.pack(train) for name, train in trains.items()})


def _dtype(graph: Graph) -> np.dtype[Any]:
    """Type of the samples: integers are made of them inside the model."""
    return np.dtype(graph.arithmetic.dtype if isinstance(graph.arithmetic, Real) else np.float32)


def _session(graph: Graph, provider: str) -> Any:
    import onnxruntime

    from spikeport.formats import onnx

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    data = onnx.build(graph).SerializeToString()
    try:
        return onnxruntime.InferenceSession(data, options, providers=[provider])
    except Exception as error:  # onnxruntime raises a class of its own for each kind of failure
        fail("SP261", f"onnxruntime refuses the model ({str(error).splitlines()[0][:300]})",
             mend="use --target reference, and please report it with the model")  # fmt: skip


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
