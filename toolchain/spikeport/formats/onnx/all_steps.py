"""All timesteps at once: [T, B, ...] between neuron layers, [T * B, ...] inside synapses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from spikeport.formats.onnx import neuron_functions, stateless, whole_floats
from spikeport.formats.onnx.builder import DOMAIN
from spikeport.formats.onnx.layout import Layout, Value, spiking
from spikeport.formats.onnx.operations import operation
from spikeport.graph import (
    LIF,
    STATE_SHIFT,
    Delay,
    Input,
    Node,
    Operation,
    Peak,
    Readout,
    over_neurons,
    schedule_over_neurons,
)


@dataclass
class Whole(Layout):
    """Every node once, for all timesteps."""

    time: Literal["scan", "unroll"] = "scan"

    @cached_property
    def floats(self) -> np.dtype[Any] | None:
        """In which floats neurons of whole numbers compute: the type that serves all of them, or none."""
        profile = self.profile
        if profile is None or self.old or self.portable:
            return None
        layers = spiking(self.graph).items()
        types = [whole_floats.floats(node, self.entering(name), profile) for name, node in layers]
        known = [dtype for dtype in types if dtype is not None]
        return max(known, key=lambda dtype: dtype.itemsize) if known and len(known) == len(types) else None

    def run(self) -> None:
        """Write everything, the outputs last."""
        self.reserve()
        own: dict[type[Node], Any] = {Input: entering, Delay: delay, Readout: readout}
        own |= dict.fromkeys(neuron_functions.STATES, neuron)
        self.rules = {**stateless.RULES, Operation: operation, **own}
        for name in self.graph.order:
            self.values[name] = self.node(name)
        for node in self.graph.outputs:
            if not isinstance(self.graph.nodes[node], Readout):
                value, to = self.as_time(self.values[node]), self.leaving[node]
                if isinstance(self.graph.nodes[node], Peak):
                    self.builder.op("ReduceMax", [value.name], to, exact=True, axes=[0], keepdims=0)
                    continue
                summands = self.builder.cast(value.name, np.int64, f"{to}/wide") if self.integers else value.name
                self.total(summands, to, value)

    def total(self, name: str, to: str, value: Value) -> Value:
        """The sum over time, called ``to``."""
        front = self.builder.constant([0], np.int64, "front")
        output = self.builder.op("ReduceSum", [name, front], to, exact=True, keepdims=0)
        return Value(output, "still", value.shape)


def entering(self: Layout, name: str, node: Input, x: None) -> Value:
    """The samples; in Loihi arithmetic ``round(x / unit)``, ties to even, computed in float64."""
    value = Value("input", "time" if node.coding == "events" else "still", node.shape)
    if not self.integers:
        return value
    build = self.builder
    exact = build.cast("input", np.float64, "input/wide")
    unit = self.array(name, "unit", node.unit, np.float64)
    rounded = build.op("Round", [build.op("Div", [exact, unit], "input/units")], "input/rounded")
    whole = build.cast(rounded, build.dtype, "input/whole")
    return Value(whole, value.form, node.shape)


def neuron(self: Whole, name: str, node: LIF, x: Value) -> Value:
    """One call to the function of the layer's kind."""
    floats, to = (None, f"membranes/{name}") if isinstance(node, Peak) else (self.floats, f"spikes/{name}")
    called = neuron_functions.function_name(node, self.time, self.profile)
    if called not in self.builder.functions:
        self.builder.functions[called] = neuron_functions.function(
            node, self.time, self.builder.dtype, profile=self.profile, old=self.old, floats=floats
        )
    inputs = [self.as_time(x).name, *parameters(self, name, node, self.schedule)]
    return Value(self.builder.op(called, inputs, to, domain=DOMAIN, exact=True), "time", node.shape)


def parameters(self: Layout, name: str, node: LIF, at: Callable[[str], str]) -> list[str]:
    """The inputs of a neuron function, behind x; ``at`` reads a schedule at the steps that are meant."""
    dtype = np.int64 if self.integers else self.builder.dtype

    def over(key: str) -> str:
        return self.array(name, key, over_neurons(getattr(node, key), node.shape), dtype)

    threshold = self.array(name, "threshold", schedule_over_neurons(node.threshold, node.shape), dtype)
    inputs = [over("decay"), at(threshold)]
    inputs += [] if self.integers else [over("gain")]
    zero = self.builder.constant(0, dtype, "zero")
    inputs += [over("bias"), over("reset_value") if node.reset == "value" else zero]
    more = neuron_functions.further(type(node), bounded=node.lower_bound is not None)
    return inputs + [over(key) for key in more]


def delay(self: Layout, name: str, node: Delay, x: Value) -> Value:
    """Zeros in front, as many steps less behind."""
    x = self.as_time(x)
    steps, rank = node.steps if self.free else min(node.steps, self.graph.timesteps), len(x.shape) + 2
    pads = self.builder.constant([steps] + [0] * (2 * rank - 1), np.int64, "pads")
    later = self.builder.op("Pad", [x.name, pads], f"{name}/later")
    first, last = (self.builder.constant([n], np.int64, "index") for n in (0, -steps))
    return Value(self.builder.op("Slice", [later, first, last, first], name), "time", x.shape)


def readout(self: Whole, name: str, node: Readout, x: Value) -> Value:
    """The weighted sum over time."""
    x = self.as_time(x)
    entering, weight = biased(self, name, node, x), self.schedule(readout_weight(self, name, node, leading=1))
    return self.total(self.builder.op("Mul", [entering, weight], f"{name}/weighted"), self.leaving[name], x)


def readout_weight(self: Layout, name: str, node: Readout, *, leading: int) -> str:
    """The weights as [T, ...], ``leading`` ones for the batch."""
    weight = schedule_over_neurons(node.weight, node.shape)
    weight = weight.reshape(len(weight), *(1,) * leading, *weight.shape[1:])
    return self.array(name, "weight", weight, np.int64 if self.integers else self.builder.dtype)


def biased(self: Layout, name: str, node: Readout, x: Value) -> str:
    """``x + bias``, x shifted into the membrane's scale in Loihi arithmetic."""
    build = self.builder
    entering = x.name
    if self.integers:
        whole = build.cast(x.name, np.int64, f"{name}/wide")
        entering = build.op("Mul", [whole, build.constant(1 << STATE_SHIFT, np.int64)], f"{name}/lifted")
    bias = self.array(name, "bias", over_neurons(node.bias, node.shape), np.int64 if self.integers else build.dtype)
    return build.op("Add", [entering, bias], f"{name}/biased")
