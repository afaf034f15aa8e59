"""From a Graph to a `Plan`: each node's process, Lava's own or ours, and the wires with their delays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.graph import LIF, Array, Conv, Flatten, Graph, Linear, Loihi, Node, Pool, Scale, over_neurons
from spikeport.passes.align_delays import Link, align_delays
from spikeport_targets.lava.layout import columns, kernels, lava_shape, pair, to_lava
from spikeport_targets.lava.neurons import own_numbers, stock_numbers
from spikeport_targets.lava.plan import CLOCK, Plan, Wire
from spikeport_targets.lava.support import flattens_by_port, placements

MESSAGE_BITS = 24  #: Lava asks only whether there are any; 0 would turn every message into a bool


def lower(graph: Graph, samples: Array, *, membranes: Callable[[str], bool]) -> Plan:
    """The Lava network for ``samples`` ([N, T, *input], in units of the input), streamed back to back."""
    pipeline = align_delays(graph)
    steps = len(samples) * graph.timesteps + pipeline.drain + 1
    tag = "fixed_pt" if isinstance(graph.arithmetic, Loihi) else "floating_pt"
    return Builder(graph, Plan(steps, tag, pipeline), samples, membranes).build()


@dataclass
class Builder:
    """A plan in the making."""

    graph: Graph
    plan: Plan
    samples: Array  #: [N, T, *input]
    membranes: Callable[[str], bool]  #: of which neuron layers they are written down
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

    def build(self) -> Plan:
        """Every node's processes first, then every connection."""
        for name, place in placements(self.graph).items():
            if name in self.plan.pipeline.depth:
                self.outlets[name] = [Wire(name, "")]  # unless its rule says otherwise
                BUILD[place.process](self, name, self.graph.nodes[name])
        self.recorders()
        for link in self.plan.pipeline.links:
            self.connect(link)
        return self.plan

    def source(self, name: str, node: Node) -> None:
        """The whole stream, then zeros until the pipeline has run dry; RingBuffer wants time as the last axis."""
        stream = self.samples.reshape(-1, *self.samples.shape[2:])
        padded = np.zeros((self.plan.steps, *lava_shape(self.graph.shapes[name])), self.number)
        padded[: len(stream)] = to_lava(stream, self.graph.shapes[name])
        self.plan.add(name, "RingBuffer", {"data": np.moveaxis(padded, 0, -1)})

    def linear(self, name: str, node: Linear) -> None:
        """Lava keeps mixed-sign weights even: twice the mantissa, one less in the exponent (proc/dense/models.py)."""
        source = self.graph.sources(name)[0]
        weight = node.weight
        if isinstance(self.graph.nodes[source], Flatten) and flattens_by_port(self.graph, source):
            shape = self.graph.input_shape(source)
            weight = columns(weight, shape) if len(shape) > 1 else weight
        options = {"weight_exp": node.exponent - 1} if self.integers else {}
        weight = 2 * np.rint(weight).astype(np.int32) if self.integers else weight.astype(np.float64)
        self.plan.add(name, "Dense", {"weights": weight}, num_message_bits=self.message_bits, **options)

    def conv(self, name: str, node: Conv) -> None:
        """Lava's convolution flips its kernels and knows no exponent: a positive one goes into the weights."""
        weight = kernels(node.weight)[:, ::-1, ::-1].astype(self.number)
        arrays = {"weight": weight << node.exponent if self.integers else weight}
        shape = lava_shape(self.graph.input_shape(name))
        self.plan.add(name, "Conv", arrays, input_shape=shape, num_message_bits=self.message_bits, **over_axes(node))

    def shifted_conv(self, name: str, node: Conv) -> None:
        """Ours flips nothing, and shifts its sum."""
        shapes = {"shape": self.graph.input_shape(name), "output": self.graph.shapes[name]}
        options = {key: lava_shape(shape) for key, shape in shapes.items()} | over_axes(node)
        arrays = {"weight": np.rint(kernels(node.weight)).astype(np.int32)}
        self.plan.add(name, "ShiftedConv", arrays, exponent=node.exponent, **options)

    def stock_neuron(self, name: str, node: LIF) -> None:
        """Scalars of the layer, and a reset whose phase is the depth; spikes and membranes are read from outside."""
        shape, period = lava_shape(node.shape), self.graph.timesteps
        arrays, scalars = stock_numbers(node, self.number)
        offset = (1 + self.plan.pipeline.depth[name]) % period
        self.plan.add(name, "LIFReset", arrays, shape=shape, reset_interval=period, reset_offset=offset, **scalars)
        log = self.plan.log(f"spikes/{name}", shape, "uint8")
        self.plan.add(f"{name}\0recorder", "Recorder", shape=shape, file_log=log)
        self.plan.wires.append(Wire(name, f"{name}\0recorder"))
        if self.membranes(name):
            log = self.plan.log(f"membrane/{name}", shape, self.number.__name__)
            self.plan.add(f"{name}\0probe", "Probe", shape=shape, file_log=log, of=name)

    def own_neuron(self, name: str, node: LIF) -> None:
        """ScheduledLIF writes down its own spikes, membranes and overflows."""
        shape = lava_shape(node.shape)
        membranes = f"membrane/{name}"
        self.plan.add(
            name,
            "ScheduledLIF",
            own_numbers(node, self.number),
            shape=shape,
            reset=node.reset,
            compare=node.compare,
            depth=self.plan.pipeline.depth[name],
            samples=len(self.samples),
            spike_log=self.plan.log(f"spikes/{name}", shape, "uint8"),
            membrane_log=self.plan.log(membranes, shape, self.number.__name__) if self.membranes(name) else None,
            overflow_log=self.plan.log(f"overflow/{name}", (2,), "int64", rows=False),
        )

    def pool(self, name: str, node: Pool) -> None:
        """Over one or two axes."""
        self.plan.add(
            name,
            "WindowSum",
            shape=lava_shape(self.graph.input_shape(name)),
            output=lava_shape(self.graph.shapes[name]),
            kernel=pair(node.kernel, 1),
            stride=pair(node.stride, 1),
            padding=pair(node.padding, 0),
            divisor=int(np.prod(node.kernel)) if node.kind == "average" else 1,
        )

    def reshape(self, name: str, node: Flatten) -> None:
        """A port where the columns of the next weights can be permuted: `connect` fills in whatever enters."""
        self.outlets[name] = []

    def channels_first(self, name: str, node: Flatten) -> None:
        """A process that reorders."""
        self.plan.add(name, "ChannelsFirst", shape=lava_shape(self.graph.input_shape(name)))

    def scale(self, name: str, node: Scale) -> None:
        """A constant for each value."""
        shape = self.graph.shapes[name]
        factor = np.broadcast_to(over_neurons(node.factor, shape), shape)
        self.plan.add(name, "Multiply", {"factor": to_lava(factor, shape).astype(self.number)}, shape=lava_shape(shape))

    def end(self, name: str, node: Node) -> None:
        """A readout, or a delay at the end: recorded as any other output."""
        self.outlets[name] = [Wire(f"{name}\0output", "")]

    def recorders(self) -> None:
        """What enters a readout, or leaves any other output, is written down; it also counts the steps done."""
        name = self.graph.output
        shape = lava_shape(self.graph.shapes[name])
        log = self.plan.log("output", shape, self.number.__name__)
        self.plan.add(f"{name}\0output", "Recorder", shape=shape, file_log=log, clock_log=CLOCK)
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
        """One ring buffer behind the wires."""
        shape = lava_shape(self.graph.shapes[source])
        period = self.graph.timesteps
        self.plan.add(name, "RingDelay", shape=shape, steps=steps, quiet=quiet, depth=depth, period=period)
        self.plan.wires += [Wire(wire.source, name, wire.shape) for wire in wires]
        return [Wire(name, "")]


def over_axes(node: Conv) -> dict[str, Any]:
    """How a convolution walks over two axes."""
    return {
        "stride": pair(node.stride, 1),
        "padding": pair(node.padding, 0),
        "dilation": pair(node.dilation, 1),
        "groups": node.groups,
    }


#: by the process that `placements` chooses
BUILD: dict[str, Callable[[Builder, str, Any], None]] = {
    "io.source.RingBuffer": Builder.source,
    "Dense": Builder.linear,
    "Conv": Builder.conv,
    "ShiftedConv": Builder.shifted_conv,
    "LIFReset": Builder.stock_neuron,
    "ScheduledLIF": Builder.own_neuron,
    "WindowSum": Builder.pool,
    "reshape port": Builder.reshape,
    "ChannelsFirst": Builder.channels_first,
    "Multiply": Builder.scale,
    "Recorder": Builder.end,
    "RingDelay": Builder.end,
}
