"""One timestep with its states as inputs and outputs: for streaming, and the body of recurrent networks.

Inputs: ``input`` [B, ...] (this step's frame), ``t`` (which step, int64, from 0; below T unless the schedules say how
they go on), and the states, zero at the start:
``v/<node>`` and ``i/<node>`` [B, *neurons], ``past/<node>`` [steps, B, ...] of a Delay. Outputs: ``output`` (what this
step adds to the result, or of a `Peak` its membranes, the highest of which it is; ``output/<node>`` for further ones),
``spikes/<node>`` [B, *neurons], and each state as ``v_out/<node>`` and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx import neuron_functions, number_of_steps, stateless
from spikeport.formats.onnx.all_steps import biased, entering, parameters, readout_weight
from spikeport.formats.onnx.builder import DOMAIN
from spikeport.formats.onnx.layout import Layout, Value
from spikeport.formats.onnx.operations import operation
from spikeport.graph import LIF, Delay, Input, Node, Operation, Peak, Readout


@dataclass(frozen=True)
class State:
    """One state: its name, its shape with "batch" in it, and its type."""

    kind: str  #: v, i, a or past
    node: str
    shape: tuple[int | str, ...]
    dtype: np.dtype[Any]

    @property
    def name(self) -> str:
        """Name of the input."""
        return f"{self.kind}/{self.node}"

    @property
    def out(self) -> str:
        """Name of the output."""
        return f"{self.kind}_out/{self.node}"


@dataclass
class Step(Layout):
    """Every node once, for one timestep."""

    states: list[State] = field(default_factory=list)

    def run(self) -> None:
        """Write everything; what this step adds to each output."""
        self.reserve()
        own: dict[type[Node], Any] = {
            Input: _input,
            Readout: _readout,
            **dict.fromkeys(neuron_functions.STATES, _neuron),
        }
        self.rules = {**stateless.RULES, Operation: operation, **own}
        delays = self.graph.nodes_of(Delay)
        for name, node in delays.items():
            self.stored[name] = {}
            self.values[name] = self._past(name, node)
        for name in self.graph.order:
            if name not in delays:
                self.values[name] = self.node(name)
        for name, node in delays.items():
            self._shift(name, node)
        for name, to in self.leaving.items():
            value = self.values[name].name
            if isinstance(self.graph.nodes[name], Readout):
                continue
            if self.integers:
                self.builder.op("Cast", [value], to, exact=True, to=onnx.TensorProto.INT64)
            else:
                self.builder.op("Identity", [value], to, exact=True)

    @cached_property
    def entry(self) -> str:
        """Which entry of the schedules this step reads."""
        return number_of_steps.within(self.builder, "t", self.graph.timesteps, self.free) if self.free else "t"

    def stepwise(self, value: Value) -> Value:
        return value

    def at(self, stored: str) -> str:
        return self.now(stored)

    def now(self, schedule: str) -> str:
        """A schedule at this step."""
        return self.builder.op("Gather", [schedule, self.entry], f"{schedule}/now", axis=0)

    def _past(self, name: str, node: Delay) -> Value:
        """What entered ``steps`` steps ago."""
        self.states.append(State("past", name, (node.steps, "batch", *node.shape), self.builder.dtype))
        first = self.builder.constant(0, np.int64, "index")
        return Value(self.builder.op("Gather", [f"past/{name}", first], name, axis=0), "still", node.shape)

    def _shift(self, name: str, node: Delay) -> None:
        x = self.sum(name)
        front = self.builder.constant([0], np.int64, "front")
        row = self.builder.op("Unsqueeze", [x.name, front], f"{name}/row")
        if node.steps == 1:
            self.builder.op("Identity", [row], f"past_out/{name}", exact=True)
            return
        first, last = (self.builder.constant([n], np.int64, "index") for n in (1, node.steps))
        kept = self.builder.op("Slice", [f"past/{name}", first, last, front], f"{name}/kept")
        self.builder.op("Concat", [kept, row], f"past_out/{name}", exact=True, axis=0)


def _input(self: Step, name: str, node: Input, x: None) -> Value:
    return entering(self, name, node.with_(coding="direct"), x)


def _neuron(self: Step, name: str, node: LIF, x: Value) -> Value:
    called = neuron_functions.function_name(node, "step", self.profile)
    if called not in self.builder.functions:
        self.builder.functions[called] = neuron_functions.function(
            node, "step", self.builder.dtype, profile=self.profile, old=self.old
        )
    inputs = parameters(self, name, node, self.now)
    kinds = neuron_functions.STATES[type(node)]
    dtype = np.dtype(np.int64) if self.integers else self.builder.dtype
    states = [State(kind, name, ("batch", *node.shape), dtype) for kind in kinds]
    self.states += states
    shown = f"membranes/{name}" if isinstance(node, Peak) else f"spikes/{name}"
    outputs = [shown, *(state.out for state in states)]
    call = helper.make_node(
        called, [x.name, *inputs, *(state.name for state in states)], outputs, name=outputs[0], domain=DOMAIN
    )
    self.builder.nodes.append(call)
    return Value(outputs[0], "still", node.shape)


def _readout(self: Step, name: str, node: Readout, x: Value) -> Value:
    """This step's share of the output."""
    entering, weight = biased(self, name, node, x), self.now(readout_weight(self, name, node, leading=0))
    return Value(self.builder.op("Mul", [entering, weight], self.leaving[name], exact=True), "still", x.shape)


def infos(states: Sequence[State], *, out: bool) -> list[onnx.ValueInfoProto]:
    """The states as inputs or outputs of a model."""
    return [
        helper.make_tensor_value_info(
            state.out if out else state.name, helper.np_dtype_to_tensor_dtype(state.dtype), list(state.shape)
        )
        for state in states
    ]
