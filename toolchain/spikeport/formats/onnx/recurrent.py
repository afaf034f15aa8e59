"""Recurrent networks: one Scan over time whose body is the single step of the whole network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx import number_of_steps
from spikeport.formats.onnx.builder import Builder
from spikeport.formats.onnx.layout import Layout, spiking
from spikeport.formats.onnx.one_step import State, Step, infos
from spikeport.graph import Peak


@dataclass
class Looped(Layout):
    """The whole network inside one Scan."""

    def run(self) -> None:
        """Write everything, the outputs last."""
        self.reserve()
        build = self.builder
        inside = Builder(build.dtype, build.hollow, build.apart, model=build.model, functions=build.functions)
        step = Step(self.graph, inside, free=self.free, old=self.old, portable=self.portable)
        step.run()
        leaving = list(self.leaving.values())
        self.stored = step.stored
        build.names |= inside.names
        frames = self.graph.entry.coding == "events"
        kind = onnx.TensorProto.FLOAT if self.integers else helper.np_dtype_to_tensor_dtype(build.dtype)
        spikes = [f"spikes/{name}" for name in spiking(self.graph)]
        scanned = [helper.make_tensor_value_info("t", onnx.TensorProto.INT64, [])]
        if frames:
            scanned.append(helper.make_tensor_value_info("input", kind, ["batch", *self.graph.entry.shape]))
        body_outputs = infos(step.states, out=True)
        body_outputs += [onnx.ValueInfoProto(name=name) for name in (*leaving, *spikes)]
        body = helper.make_graph(inside.nodes, "step", [*infos(step.states, out=False), *scanned], body_outputs)
        body = _prefixed(
            body,
            {
                "t",
                *(["input"] if frames else []),
                *spikes,
                *leaving,
                *(name for state in step.states for name in (state.name, state.out)),
            },
        )
        steps = (
            number_of_steps.numbers(build, self.count)
            if self.free
            else build.constant(np.arange(self.graph.timesteps), np.int64, "steps")
        )
        outer = [steps, *(["input"] if frames else [])]
        starts = [self._start(state, frames=frames) for state in step.states]
        ends = [build.name(f"{state.name}/end") for state in step.states]
        shares = [build.name(f"{to}/steps") for to in leaving]
        outputs = [*ends, *shares, *spikes]
        build.nodes.append(
            helper.make_node("Scan", [*starts, *outer], outputs, name="time", body=body, num_scan_inputs=len(outer))
        )
        front = build.constant([0], np.int64, "front")
        for (name, to), share in zip(self.leaving.items(), shares, strict=True):
            if isinstance(self.graph.nodes[name], Peak):
                build.op("ReduceMax", [share], to, exact=True, axes=[0], keepdims=0)
            else:
                build.op("ReduceSum", [share, front], to, exact=True, keepdims=0)

    def _start(self, state: State, *, frames: bool) -> str:
        """A state of zeros, as many as there are samples."""
        build = self.builder
        first = 1 if frames else 0
        batch = build.op("Shape", ["input"], f"{state.name}/batch", start=first, end=first + 1)
        parts = [batch if part == "batch" else build.constant([part], np.int64, "size") for part in state.shape]
        shape = build.op("Concat", parts, f"{state.name}/shape", axis=0)
        zero = helper.make_tensor("zero", helper.np_dtype_to_tensor_dtype(state.dtype), [1], [0])
        return build.op("ConstantOfShape", [shape], f"{state.name}/start", value=zero)


def _prefixed(body: onnx.GraphProto, own: set[str]) -> onnx.GraphProto:
    """The body with names of its own for its ends: a subgraph may not reuse a name of the graph around it."""

    def renamed(name: str) -> str:
        return f"step/{name}" if name in own else name

    for info in (*body.input, *body.output):
        info.name = renamed(info.name)
    for node in body.node:
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    return body
