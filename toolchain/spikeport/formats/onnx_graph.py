"""Lays a Graph out as ONNX, all timesteps at once: [T, B, ...] between neuron layers, [T * B, ...] inside synapses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

import numpy as np

from spikeport.formats import onnx_neuron
from spikeport.formats.onnx_build import DOMAIN, Builder
from spikeport.graph import (
    LIF,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    Norm,
    Pool,
    Readout,
    Scale,
    Shape,
    over_neurons,
    schedule_over_neurons,
)

Form = Literal["still", "flat", "time"]  #: [B, ...] the same at every step; [T * B, ...]; [T, B, ...]
Time = Literal["scan", "unroll", "step"]


@dataclass(frozen=True)
class Value:
    """A value on its way through the graph."""

    name: str
    form: Form
    shape: Shape


@dataclass
class Layout:
    """Writes the nodes of a Graph, one by one, into a builder."""

    graph: Graph
    builder: Builder
    time: Time
    values: dict[str, Value] = field(default_factory=dict)
    stored: dict[str, dict[str, str]] = field(default_factory=dict)  #: node -> array -> initialiser

    def run(self) -> Value:
        """Write everything; the value that leaves the graph, [B, ...]."""
        self.builder.names |= {"input", "output", *(f"spikes/{name}" for name in self.graph.nodes_of(LIF))}
        for name in self.graph.order:
            node = self.graph.nodes[name]
            self.stored[name] = {}
            x = self._sum(name) if self.graph.sources(name) else None
            self.values[name] = RULES[type(node)](self, name, node, x)
        end = self.values[self.graph.output]
        if isinstance(self.graph.nodes[self.graph.output], Readout):
            return end
        return self._total(self.as_time(end))

    # -- values ---------------------------------------------------------------------------------------------------

    def _sum(self, name: str) -> Value:
        values = [self.values[source] for source in self.graph.sources(name)]
        if len({value.form for value in values}) > 1:
            values = [self._row(value) for value in values]
        return reduce(lambda a, b: self._added(a, b, f"{name}/sum"), values)

    def _added(self, a: Value, b: Value, wish: str) -> Value:
        return Value(self.builder.op("Add", [a.name, b.name], wish), a.form, a.shape)

    def _row(self, value: Value) -> Value:
        """[T, B, ...], or [1, B, ...] where the value is still: both broadcast."""
        if value.form != "still":
            return self.as_time(value)
        front = self.builder.constant([0], np.int64, "front")
        return Value(self.builder.op("Unsqueeze", [value.name, front], f"{value.name}/row"), "time", value.shape)

    def as_time(self, value: Value) -> Value:
        """The value as [T, B, ...]."""
        if value.form == "time":
            return value
        if value.form == "flat":
            shape = self.builder.constant([self.graph.timesteps, -1, *value.shape], np.int64, "shape")
            return Value(self.builder.op("Reshape", [value.name, shape], f"{value.name}/steps"), "time", value.shape)
        shape = self.builder.constant([self.graph.timesteps, *(1,) * (1 + len(value.shape))], np.int64, "shape")
        row = self._row(value)
        return Value(self.builder.op("Expand", [row.name, shape], f"{value.name}/steps"), "time", value.shape)

    def as_batch(self, value: Value) -> Value:
        """The value as [T * B, ...], or [B, ...] where it is still."""
        if value.form != "time":
            return value
        shape = self.builder.constant([-1, *value.shape], np.int64, "shape")
        return Value(self.builder.op("Reshape", [value.name, shape], f"{value.name}/flat"), "flat", value.shape)

    def _total(self, value: Value) -> Value:
        front = self.builder.constant([0], np.int64, "front")
        name = self.builder.op("ReduceSum", [value.name, front], "output", exact=True, keepdims=0)
        return Value(name, "still", value.shape)

    def array(self, name: str, key: str, value: Array) -> str:
        """An array of a node in the type of the values; remembers where its bits lie."""
        stored, cast = self.builder.array(value, f"{name}/{key}")
        self.stored[name][key] = stored
        return cast

    # -- nodes ----------------------------------------------------------------------------------------------------

    def input(self, name: str, node: Input, x: None) -> Value:
        return Value("input", "time" if node.coding == "events" else "still", node.shape)

    def linear(self, name: str, node: Linear, x: Value) -> Value:
        x = self.as_batch(x)
        inputs = [x.name, self.array(name, "weight", node.weight)]
        if node.bias is not None:
            inputs.append(self.array(name, "bias", node.bias))
        return Value(self.builder.op("Gemm", inputs, name, transB=1), x.form, self.graph.shapes[name])

    def conv(self, name: str, node: Conv, x: Value) -> Value:
        x = self.as_batch(x)
        inputs = [x.name, self.array(name, "weight", node.weight)]
        if node.bias is not None:
            inputs.append(self.array(name, "bias", node.bias))
        output = self.builder.op(
            "Conv", inputs, name, strides=node.stride, pads=[*node.padding] * 2, dilations=node.dilation,
            group=node.groups, kernel_shape=node.kernel,
        )  # fmt: skip
        return Value(output, x.form, self.graph.shapes[name])

    def pool(self, name: str, node: Pool, x: Value) -> Value:
        x = self.as_batch(x)
        window: dict[str, Any] = {"kernel_shape": node.kernel, "strides": node.stride, "pads": [*node.padding] * 2}
        if node.kind == "average":
            output = self.builder.op("AveragePool", [x.name], name, count_include_pad=1, **window)
        else:  # there is no sum pool, and nine times an average of nine is not exact
            ones = self.builder.constant(np.ones((x.shape[0], 1, *node.kernel)), wish=f"{name}/ones")
            output = self.builder.op("Conv", [x.name, ones], name, group=x.shape[0], **window)
        return Value(output, x.form, self.graph.shapes[name])

    def flatten(self, name: str, node: Flatten, x: Value) -> Value:
        x = self.as_batch(x)
        return Value(self.builder.op("Flatten", [x.name], name, axis=1), x.form, self.graph.shapes[name])

    def scale(self, name: str, node: Scale, x: Value) -> Value:
        factor = self.array(name, "factor", over_neurons(node.factor, x.shape))
        return Value(self.builder.op("Mul", [x.name, factor], name), x.form, x.shape)

    def norm(self, name: str, node: Norm, x: Value) -> Value:
        x = self.as_batch(x)
        gamma, beta, mean, var = (self.array(name, key, getattr(node, key)) for key in node.arrays)
        if node.scale != 1.0:
            gamma = self.builder.op("Mul", [gamma, self.builder.constant(node.scale)], f"{name}/scaled")
        inputs = [x.name, gamma, beta, mean, var]
        return Value(self.builder.op("BatchNormalization", inputs, name, epsilon=node.eps), x.form, x.shape)

    def delay(self, name: str, node: Delay, x: Value) -> Value:
        x = self.as_time(x)
        steps, rank = min(node.steps, self.graph.timesteps), len(x.shape) + 2
        first, last = (self.builder.constant([n], np.int64, "index") for n in (0, self.graph.timesteps - steps))
        kept = self.builder.op("Slice", [x.name, first, last, first], f"{name}/kept")
        pads = self.builder.constant([steps] + [0] * (2 * rank - 1), np.int64, "pads")
        return Value(self.builder.op("Pad", [kept, pads], name), "time", x.shape)

    def neuron(self, name: str, node: LIF, x: Value) -> Value:
        called = onnx_neuron.function_name(node, self.time)
        if called not in self.builder.functions:
            self.builder.functions[called] = onnx_neuron.function(node, self.time)
        inputs = [self.as_time(x).name, *self.parameters(name, node)]
        return Value(self.builder.op(called, inputs, f"spikes/{name}", domain=DOMAIN, exact=True), "time", node.shape)

    def parameters(self, name: str, node: LIF) -> list[str]:
        """The inputs of a neuron function, behind x."""

        def over(key: str) -> str:
            return self.array(name, key, over_neurons(getattr(node, key), node.shape))

        threshold = schedule_over_neurons(node.threshold, node.shape)
        inputs = [over("decay"), self.array(name, "threshold", threshold), over("gain"), over("bias")]
        inputs.append(over("reset_value") if node.reset == "value" else self.builder.constant(0.0, wish="zero"))
        return inputs + ([over("current_decay")] if isinstance(node, CubaLIF) else [])

    def readout(self, name: str, node: Readout, x: Value) -> Value:
        x = self.as_time(x)
        bias = self.array(name, "bias", over_neurons(node.bias, node.shape))
        weight = self.array(name, "weight", node.weight.reshape(-1, *(1,) * (1 + len(node.shape))))
        entering = self.builder.op("Add", [x.name, bias], f"{name}/biased")
        weighted = self.builder.op("Mul", [entering, weight], f"{name}/weighted")
        return self._total(Value(weighted, "time", x.shape))


RULES: dict[type[Node], Callable[[Layout, str, Any, Any], Value]] = {
    Input: Layout.input, Linear: Layout.linear, Conv: Layout.conv, Pool: Layout.pool, Flatten: Layout.flatten,
    Scale: Layout.scale, Norm: Layout.norm, Delay: Layout.delay, LIF: Layout.neuron, CubaLIF: Layout.neuron,
    Readout: Layout.readout,
}  # fmt: skip
