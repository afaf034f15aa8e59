"""From a Graph to a `Plan`: each node's process, Lava's own or ours, and the wires with their delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
    Loihi,
    Node,
    Pool,
    Readout,
    Scale,
    over_neurons,
    schedule_over_neurons,
)
from spikeport.passes.align_delays import Link, align_delays
from spikeport_targets.lava.layout import columns, kernels, lava_shape, pair, to_lava
from spikeport_targets.lava.plan import CLOCK, Plan, Wire
from spikeport_targets.lava.support import Placement, bias_parts, flattens_by_port, placements

MESSAGE_BITS = 24  #: Lava asks only whether there are any; 0 would turn every message into a bool


def lower(graph: Graph, samples: Array, *, membranes: Callable[[str], bool]) -> Plan:
    """The Lava network for ``samples`` ([N, T, *input], in units of the input), streamed back to back."""
    pipeline = align_delays(graph)
    integers = isinstance(graph.arithmetic, Loihi)
    count = samples.shape[0]
    steps = count * graph.timesteps + pipeline.drain + 1
    builder = Builder(
        graph, Plan(steps, "fixed_pt" if integers else "floating_pt", pipeline), count, membranes, placements(graph)
    )
    return builder.build(samples)


@dataclass
class Builder:
    """A plan in the making."""

    graph: Graph
    plan: Plan
    samples: int
    membranes: Callable[[str], bool]  #: of which neuron layers they are written down
    placed: dict[str, Placement]
    outlets: dict[str, list[Wire]] = field(default_factory=dict)  #: where a node's output leaves; target still open

    @property
    def integers(self) -> bool:
        """Whether the graph is in Loihi arithmetic."""
        return isinstance(self.graph.arithmetic, Loihi)

    @property
    def number(self) -> type[np.generic]:
        """The type of values between processes."""
        return np.int32 if self.integers else np.float64

    @property
    def message_bits(self) -> int:
        """0 for messages that are spikes only."""
        binary = isinstance(self.graph.arithmetic, Loihi) and self.graph.arithmetic.profile.message_bits == 1
        return 0 if binary else MESSAGE_BITS

    def build(self, samples: Array) -> Plan:
        """Every node's processes first, then every connection."""
        for name, node in self.graph.nodes.items():
            if name in self.plan.pipeline.depth:
                BUILD[type(node)](self, name, node) if not isinstance(node, Input) else self.source(name, samples)
        self.recorders()
        for link in self.plan.pipeline.links:
            self.connect(link)
        return self.plan

    def source(self, name: str, samples: Array) -> None:
        """The whole stream, then zeros until the pipeline has run dry; RingBuffer wants time as the last axis."""
        stream = to_lava(samples.reshape(-1, *samples.shape[2:]), self.graph.shapes[name]).astype(self.number)
        padded = np.zeros((self.plan.steps, *stream.shape[1:]), self.number)
        padded[: len(stream)] = stream
        self.leaves(name, self.plan.add(name, "source", {"data": np.moveaxis(padded, 0, -1)}))

    def leaves(self, name: str, process: str) -> None:
        """The node's output is this process's."""
        self.outlets[name] = [Wire(process, "")]

    def linear(self, name: str, node: Node) -> None:
        """Lava keeps mixed-sign weights even: twice the mantissa, one less in the exponent (proc/dense/models.py)."""
        assert isinstance(node, Linear)
        source = self.graph.sources(name)[0]
        weight = node.weight
        if isinstance(self.graph.nodes[source], Flatten) and flattens_by_port(self.graph, source):
            shape = self.graph.input_shape(source)
            weight = columns(weight, shape) if len(shape) > 1 else weight
        if self.integers:
            arrays = {"weights": 2 * np.rint(weight).astype(np.int32)}
            self.plan.add(name, "dense", arrays, weight_exp=node.exponent - 1, num_message_bits=self.message_bits)
        else:
            self.plan.add(name, "dense", {"weights": weight.astype(np.float64)}, num_message_bits=MESSAGE_BITS)
        self.leaves(name, name)

    def conv(self, name: str, node: Node) -> None:
        """Lava's convolution flips its kernels and knows no exponent: a positive one goes into the weights."""
        assert isinstance(node, Conv)
        weight = kernels(node.weight)
        options: dict[str, Any] = {
            "stride": pair(node.stride, 1),
            "padding": pair(node.padding, 0),
            "dilation": pair(node.dilation, 1),
            "groups": node.groups,
        }
        shape = lava_shape(self.graph.input_shape(name))
        if self.placed[name].stock:
            weight = weight[:, ::-1, ::-1].astype(self.number)
            weight = weight << node.exponent if self.integers else weight
            bits = self.message_bits
            self.plan.add(name, "conv", {"weight": weight}, input_shape=shape, num_message_bits=bits, **options)
        else:
            output = lava_shape(self.graph.shapes[name])
            arrays = {"weight": np.rint(weight).astype(np.int32)}
            self.plan.add(name, "shifted conv", arrays, shape=shape, output=output, exponent=node.exponent, **options)
        self.leaves(name, name)

    def neuron(self, name: str, node: Node) -> None:
        """Lava's LIFReset, or ours."""
        assert isinstance(node, LIF)
        (self.stock_neuron if self.placed[name].stock else self.own_neuron)(name, node)
        self.leaves(name, name)

    def stock_neuron(self, name: str, node: LIF) -> None:
        """Scalars of the layer, and a reset whose phase is the depth; spikes and membranes are read from outside."""
        shape = lava_shape(node.shape)
        depth = self.plan.pipeline.depth[name]
        arrays, scalars = self.lif_numbers(node)
        self.plan.add(
            name,
            "lif",
            arrays,
            shape=shape,
            reset_interval=self.graph.timesteps,
            reset_offset=(1 + depth) % self.graph.timesteps,
            **scalars,
        )
        log = self.plan.log(f"spikes/{name}", shape, "uint8")
        self.plan.add(f"{name}\0recorder", "recorder", shape=shape, file_log=log)
        self.plan.wires.append(Wire(name, f"{name}\0recorder"))
        if self.membranes(name):
            log = self.plan.log(f"membrane/{name}", shape, self.number.__name__)
            self.plan.add(f"{name}\0probe", "probe", shape=shape, file_log=log, of=name)

    def lif_numbers(self, node: LIF) -> tuple[dict[str, Array], dict[str, Any]]:
        """A layer's bias as arrays, its decays and threshold as numbers, in Lava's terms."""
        decay = node.decay.flat[0].item()
        current = node.current_decay.flat[0].item() if isinstance(node, CubaLIF) else 0
        threshold = node.threshold.flat[0].item()
        if not self.integers:
            bias = self.per_neuron(node.bias, node)
            return {"bias_mant": bias}, {"dv": 1 - decay, "du": 1 - current, "vth": threshold}
        parts = bias_parts(node.bias)
        assert parts is not None
        mantissa, exponent = (self.per_neuron(part, node) for part in parts)
        scalars = {"dv": int(4096 - decay), "du": int(4095 - current), "vth": int(threshold)}
        return {"bias_mant": mantissa, "bias_exp": exponent}, scalars

    def per_neuron(self, value: Array, node: LIF) -> Array:
        """A parameter for every neuron."""
        spread = np.broadcast_to(over_neurons(np.asarray(value), node.shape), node.shape)
        return to_lava(spread, node.shape).astype(self.number)

    def own_neuron(self, name: str, node: LIF) -> None:
        """ScheduledLIF writes down its own spikes, membranes and overflows."""
        shape = lava_shape(node.shape)
        schedule = schedule_over_neurons(node.threshold, node.shape)
        full = np.broadcast_to(schedule, (node.timesteps, *node.shape))
        current = node.current_decay if isinstance(node, CubaLIF) else np.zeros(())
        values = {
            "decay": node.decay,
            "current_decay": current,
            "bias": node.bias,
            "gain": node.gain,
            "reset_value": node.reset_value,
        }
        arrays = {key: self.per_neuron(value, node) for key, value in values.items()}
        arrays["threshold"] = to_lava(full, node.shape).astype(self.number)
        membranes = f"membrane/{name}"
        self.plan.add(
            name,
            "scheduled lif",
            arrays,
            shape=shape,
            reset=node.reset,
            compare=node.compare,
            depth=self.plan.pipeline.depth[name],
            samples=self.samples,
            spike_log=self.plan.log(f"spikes/{name}", shape, "uint8"),
            membrane_log=self.plan.log(membranes, shape, self.number.__name__) if self.membranes(name) else None,
            overflow_log=self.plan.log(f"overflow/{name}", (2,), "int64", rows=False),
        )

    def pool(self, name: str, node: Node) -> None:
        """Over one or two axes."""
        assert isinstance(node, Pool)
        self.plan.add(
            name,
            "window sum",
            shape=lava_shape(self.graph.input_shape(name)),
            output=lava_shape(self.graph.shapes[name]),
            kernel=pair(node.kernel, 1),
            stride=pair(node.stride, 1),
            padding=pair(node.padding, 0),
            divisor=int(np.prod(node.kernel)) if node.kind == "average" else 1,
        )
        self.leaves(name, name)

    def flatten(self, name: str, node: Node) -> None:
        """A reshape port where the columns of the next weights can be permuted, else a process that reorders."""
        if flattens_by_port(self.graph, name):
            self.outlets[name] = []  # filled by `connect`, from whatever enters
        else:
            self.plan.add(name, "channels first", shape=lava_shape(self.graph.input_shape(name)))
            self.leaves(name, name)

    def scale(self, name: str, node: Node) -> None:
        """A constant for each value."""
        assert isinstance(node, Scale)
        shape = self.graph.shapes[name]
        factor = np.broadcast_to(over_neurons(node.factor, shape), shape)
        arrays = {"factor": to_lava(factor, shape).astype(self.number)}
        self.plan.add(name, "multiply", arrays, shape=lava_shape(shape))
        self.leaves(name, name)

    def end(self, name: str, node: Node) -> None:
        """A readout, or a delay at the end: recorded as any other output."""
        self.leaves(name, f"{name}\0output")

    def recorders(self) -> None:
        """What enters a readout, or leaves any other output, is written down; it also counts the steps done."""
        name = self.graph.output
        shape = lava_shape(self.graph.shapes[name])
        log = self.plan.log("output", shape, self.number.__name__)
        self.plan.add(f"{name}\0output", "recorder", shape=shape, file_log=log, clock_log=CLOCK)
        if name in self.plan.processes:
            self.plan.wires.append(Wire(name, f"{name}\0output"))

    def connect(self, link: Link) -> None:
        """Wire one connection, through ring-buffer delays where it must wait or keep quiet."""
        sources = self.outlets[link.source]  # links come in the order of the graph, so a reshape port is filled by now
        if link.logical:
            sources = self.quiet(link, sources)
        elif link.steps:
            sources = self.waiting(link.source, link.steps)
        if isinstance(self.graph.nodes[link.target], Flatten) and link.target not in self.plan.processes:
            flat = self.graph.shapes[link.target]
            self.outlets[link.target] += [Wire(wire.source, "", flat) for wire in sources]
            return
        target = link.target if link.target in self.plan.processes else f"{link.target}\0output"
        self.plan.wires += [Wire(wire.source, target, wire.shape) for wire in sources]

    def quiet(self, link: Link, sources: list[Wire]) -> list[Wire]:
        """A delay of the graph's own: nothing in the first steps of a sample, counted where it is read."""
        name = f"{link.source}\0{link.target}\0{link.logical}"
        depth = self.plan.pipeline.depth[link.target]
        return self.delayed(name, link.source, sources, link.steps, quiet=link.logical, depth=depth)

    def waiting(self, source: str, steps: int) -> list[Wire]:
        """What left a node ``steps`` steps ago: a chain of delays, shared by all who wait for it."""
        waits = sorted({link.steps for link in self.plan.pipeline.links if link.source == source and not link.logical})
        wires, before = self.outlets[source], 0
        for wait in (wait for wait in waits if 0 < wait <= steps):
            name = f"{source}\0after {wait}"
            if name in self.plan.processes:
                wires = [Wire(name, "")]
            else:
                wires = self.delayed(name, source, wires, wait - before, quiet=0, depth=0)
            before = wait
        return wires

    def delayed(self, name: str, source: str, wires: list[Wire], steps: int, *, quiet: int, depth: int) -> list[Wire]:
        """One ring buffer behind some wires."""
        shape = lava_shape(self.graph.shapes[source])
        period = self.graph.timesteps
        self.plan.add(name, "ring delay", shape=shape, steps=steps, quiet=quiet, depth=depth, period=period)
        self.plan.wires += [Wire(wire.source, name, wire.shape) for wire in wires]
        return [Wire(name, "")]


BUILD: dict[type[Node], Callable[[Builder, str, Node], None]] = {
    Linear: Builder.linear,
    Conv: Builder.conv,
    LIF: Builder.neuron,
    CubaLIF: Builder.neuron,
    Pool: Builder.pool,
    Flatten: Builder.flatten,
    Scale: Builder.scale,
    Readout: Builder.end,
    Delay: Builder.end,
}
