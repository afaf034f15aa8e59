"""The single-step form of the ONNX export in onnxruntime: the caller keeps the states, so membranes are seen."""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np
import onnxruntime

from spikeport.findings import raise_errors
from spikeport.formats import onnx
from spikeport.graph import LIF, Array, Graph, Peak, Samples
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport.target import Request, Show
from spikeport_targets.onnxruntime import OnnxRuntime

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


class SingleSteps(OnnxRuntime):
    """Refuses what the target ``onnxruntime`` refuses; one call of the model a timestep."""

    shows: ClassVar[frozenset[Show]] = frozenset({"membranes"})

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        notes = raise_errors(self.check(graph))
        begun = time.perf_counter()
        entering = Samples.of(graph, samples)
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        model = onnx.build(graph, "step").SerializeToString()
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        inputs, names = session.get_inputs(), [output.name for output in session.get_outputs()]
        states = {
            entry.name: np.zeros(
                [entering.number if size == "batch" else size for size in entry.shape], TYPES[entry.type]
            )
            for entry in inputs
            if "/" in entry.name
        }
        over_time = []
        for step in range(graph.timesteps):
            now = entering.array[step] if graph.entry.coding == "events" else entering.array
            given = {"input": now.astype(TYPES[inputs[0].type]), "t": np.asarray(step, np.int64), **states}
            told = session.run(names, {entry.name: given[entry.name] for entry in inputs})
            over_time.append(dict(zip(names, told, strict=True)))
            states = {name: over_time[-1][name.replace("/", "_out/", 1)] for name in states}
        layers = graph.nodes_of(LIF)
        told = {n: [each.get(f"spikes/{n}", 0 * each[f"v_out/{n}"]) for each in over_time] for n in layers}
        trains = {name: np.stack(steps) for name, steps in told.items()}
        ends = {
            n: [each["output" if n == graph.output else f"output/{n}"] for each in over_time] for n in graph.outputs
        }
        read = {n: np.max(e, 0) if isinstance(graph.nodes[n], Peak) else sum(e) for n, e in ends.items()}
        return Record(
            target=self.name,
            outputs=read.pop(graph.output),
            further=read,
            neurons={name: layer.size for name, layer in layers.items()},
            spike_counts={name: v.reshape(len(v), -1).sum(1, dtype=np.int64) for name, v in trains.items()},
            trains={name: Train.pack(train) for name, train in trains.items()},
            membranes={name: np.stack([each[f"v_out/{name}"] for each in over_time]) for name in layers},
            seconds=time.perf_counter() - begun,
            findings=notes,
        )
