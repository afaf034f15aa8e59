"""Recurrent networks: one Scan over time whose body is the single step of the whole network, or that step T times."""

from __future__ import annotations

from collections.abc import Mapping
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
class Recurrent(Layout):
    """What both have: a step of the network in a builder of its own, and states that are zero at the start."""

    def step(self) -> tuple[Step, Builder]:
        """The step, and the nodes that it is."""
        self.reserve()
        build = self.builder
        inside = Builder(build.dtype, build.hollow, build.apart, model=build.model, functions=build.functions)
        step = Step(self.graph, inside, free=self.free, old=self.old, portable=self.portable)
        step.run()
        self.stored = step.stored
        build.names |= inside.names
        return step, inside

    def over_time(self, shares: Mapping[str, str]) -> None:
        """The outputs from what each step adds, [T, B, ...] by output node; of a `Peak` the highest."""
        front = self.builder.constant([0], np.int64, "front")
        for name, to in self.leaving.items():
            if isinstance(self.graph.nodes[name], Peak):
                self.builder.op("ReduceMax", [shares[name]], to, exact=True, axes=[0], keepdims=0)
            else:
                self.builder.op("ReduceSum", [shares[name], front], to, exact=True, keepdims=0)

    def start(self, state: State, *, frames: bool) -> str:
        """A state of zeros, as many as there are samples."""
        build = self.builder
        first = 1 if frames else 0
        batch = build.op("Shape", ["input"], f"{state.name}/batch", start=first, end=first + 1)
        parts = [batch if part == "batch" else build.constant([part], np.int64, "size") for part in state.shape]
        shape = build.op("Concat", parts, f"{state.name}/shape", axis=0)
        zero = helper.make_tensor("zero", helper.np_dtype_to_tensor_dtype(state.dtype), [1], [0])
        return build.op("ConstantOfShape", [shape], f"{state.name}/start", value=zero)


@dataclass
class Unrolled(Recurrent):
    """The step as often as there are steps, for tools that know no loop."""

    def run(self) -> None:
        """Write everything, the outputs last."""
        step, inside = self.step()
        build, graph = self.builder, self.graph
        frames = graph.entry.coding == "events"
        now = {state.name: self.start(state, frames=frames) for state in step.states}
        shown = [*self.leaving.values(), *(f"spikes/{name}" for name in spiking(graph))]
        rows: dict[str, list[str]] = {name: [] for name in shown}
        front = build.constant([0], np.int64, "front")
        for t in range(graph.timesteps):
            place = build.constant(t, np.int64, "step")
            known = {"t": place, **now}
            if frames:
                known["input"] = build.op("Gather", ["input", place], f"input/{t}", axis=0)
            for node in inside.nodes:
                known |= {output: build.name(f"{output}/{t}") for output in node.output}
                again = onnx.NodeProto()
                again.CopyFrom(node)
                again.name = known[node.output[0]]
                again.input[:] = [known.get(name, name) for name in node.input]
                again.output[:] = [known[name] for name in node.output]
                build.nodes.append(again)
            now = {state.name: known[state.out] for state in step.states}
            for name in shown:
                rows[name].append(build.op("Unsqueeze", [known[name], front], f"{name}/row/{t}"))
        leaving = set(self.leaving.values())
        whole = {
            n: build.op("Concat", r, f"{n}/steps" if n in leaving else n, exact=n not in leaving, axis=0)
            for n, r in rows.items()
        }
        self.over_time({name: whole[to] for name, to in self.leaving.items()})


@dataclass
class Looped(Recurrent):
    """The whole network inside one Scan."""

    def run(self) -> None:
        """Write everything, the outputs last."""
        step, inside = self.step()
        build = self.builder
        leaving = list(self.leaving.values())
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
        starts = [self.start(state, frames=frames) for state in step.states]
        ends = [build.name(f"{state.name}/end") for state in step.states]
        shares = [build.name(f"{to}/steps") for to in leaving]
        outputs = [*ends, *shares, *spikes]
        build.nodes.append(
            helper.make_node("Scan", [*starts, *outer], outputs, name="time", body=body, num_scan_inputs=len(outer))
        )
        self.over_time(dict(zip(self.leaving, shares, strict=True)))


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
