"""Runs a Graph in batches: all T of a layer at once where nothing feeds back, else step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import cpu, enter, events, program, synapse
from spikeport.engine.program import Kernels, Program
from spikeport.graph import LIF, STATE_SHIFT, Array, Delay, Graph, Input, Node, Readout, Synapse
from spikeport.record import Counts, Events, Record, Train, join
from spikeport.target import Request


def simulate(
    graph: Graph, samples: Array, request: Request = Request(), device: str = "cpu", kernels: Kernels | None = None
) -> Record:
    """Run ``samples`` ([B, *input], or [T, B, *input] for event frames) and record what happened.

    Real arithmetic runs in the graph's float type, Loihi arithmetic in exact integers. Integers are the same to the bit
    whatever the batch size, device, number of threads and kernels. ``request.batch`` sets how many samples run at once,
    or ``request.memory`` how many bytes their values may take. Raises SP502 for input of the wrong shape or type, SP504
    for input beyond what the integers were made for, SP509 for integers that may grow too large, SP512 past
    ``request.seconds``, which is looked at between batches.
    """
    return Engine(graph, device, kernels).simulate(samples, request)


class Engine:
    """A graph and what was prepared to run it, for callers that run it more than once."""

    def __init__(self, graph: Graph, device: str = "cpu", kernels: Kernels | None = None) -> None:
        self.graph = graph
        self.device = device
        self.kernels: Kernels = kernels or program.kernels_here(device)
        self._program: Program | None = None
        self._entering: Any = None

    def simulate(self, samples: Array, request: Request = Request()) -> Record:
        """As the function of this name."""
        entering, ends = enter.check(self.graph, samples)
        total = entering.number
        ready = self._ready(ends)
        size = request.batch or ready.samples_at_once(total, request.memory, kept_bytes(self.graph, request))
        records: list[Record] = []
        outputs = np.empty((total, *self.graph.shapes[self.graph.output]), ready.leaving)
        first = time.perf_counter()
        for start in range(0, total, size):
            request.check_time(first, start, total)
            begun = time.perf_counter()
            with torch.inference_mode():
                values = enter.values(ready, entering.cut(start, start + size))
                record = Run(ready, request).record(values, outputs[start : start + size])
            records.append(replace(record, seconds=time.perf_counter() - begun))
            request.progress(min(start + size, total), total)
        return replace(join(records), outputs=outputs)

    def _ready(self, entering: Any) -> Program:
        """The program for inputs in a range; made anew only where the range grows."""
        if self._program is None or (entering is not None and self._entering | entering != self._entering):
            self._entering = entering if self._entering is None else self._entering | entering
            self._program = program.build(self.graph, self.device, self.kernels, self._entering)
        return self._program


def kept_bytes(graph: Graph, request: Request) -> int:
    """Bytes of one sample that stay until its block is done: spikes a byte each, membranes eight."""
    return sum(
        node.timesteps * node.size * (request.keeps_train(name) + 8 * request.keeps_membrane(name))
        for name, node in graph.nodes_of(LIF).items()
    )


@dataclass
class Run:
    """One batch on its way through a graph."""

    program: Program
    request: Request
    states: dict[str, Any] = field(default_factory=dict)
    pasts: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, list[Counts]] = field(default_factory=dict)
    trains: dict[str, list[Tensor]] = field(default_factory=dict)
    membranes: dict[str, list[Tensor]] = field(default_factory=dict)
    events: dict[str, list[Events]] = field(default_factory=dict)
    overflows: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """What is run."""
        return self.program.graph

    def record(self, samples: Tensor, outputs: Array) -> Record:
        """Run all steps; the outputs go to ``outputs`` [B, *output], and the record holds none of them."""
        steps = self.graph.timesteps
        if not self.graph.recurrent:
            output = self.advance(samples, 0, steps)
        else:
            parts = [self.advance(samples[min(t, samples.shape[0] - 1)][None], t, 1) for t in range(steps)]
            output = torch.cat(parts)
        self._read(output, outputs)
        return self._record(outputs[:0])

    def advance(self, samples: Tensor, start: int, steps: int) -> Tensor:
        """Steps ``start`` ... ``start + steps - 1`` of every node; what leaves the output node."""
        values: dict[str, Tensor] = {}
        pending = {name: len(self.graph.targets(name)) for name in self.graph.nodes}
        for name in self.graph.order:
            node = self.graph.nodes[name]
            if isinstance(node, Delay) and self.graph.recurrent:
                values[name] = self._past(name, node, samples)[:1]
                continue
            x = samples if isinstance(node, Input) else self._sum(name, values)
            values[name] = self._node(name, node, x, start, steps)
            for source in self.graph.sources(name):
                pending[source] -= 1
                if pending[source] == 0 and not self.graph.recurrent:
                    del values[source]
        if self.graph.recurrent:
            for name, node in self.graph.nodes_of(Delay).items():
                self.pasts[name] = torch.cat([self._past(name, node, samples), self._sum(name, values)])[1:]
        return values[self.graph.output]

    def _sum(self, name: str, values: Mapping[str, Tensor]) -> Tensor:
        dtype, sources = self.program.entering[name], self.graph.sources(name)
        first, *others = (values[source].to(dtype) for source in sources)
        for other in others:
            first = first + other
        return first

    def _node(self, name: str, node: Node, x: Tensor, start: int, steps: int) -> Tensor:
        if isinstance(node, Input | Readout):
            return x
        if isinstance(node, LIF):
            return self._neuron(name, node, x, start, steps)
        if isinstance(node, Delay):
            past = self._past(name, node, x)
            return torch.cat([past, x.expand(steps, *x.shape[1:])])[:steps]
        if isinstance(node, Synapse) and self.request.events:
            self.events.setdefault(name, []).append(events.of_synapse(self.program, name, x, steps))
        return x if name in self.program.joined else self.program.steps[name](x)

    def _past(self, name: str, node: Delay, like: Tensor) -> Tensor:
        """The values that a delay still holds, oldest first: zero before the first step."""
        if name not in self.pasts:
            size = (node.steps, like.shape[1], *node.shape)
            self.pasts[name] = torch.zeros(size, dtype=self.program.entering[name], device=like.device)
        return self.pasts[name]

    def _neuron(self, name: str, node: LIF, x: Tensor, start: int, steps: int) -> Tensor:
        wanted = {"keep": self.request.keeps_membrane(name), "watch": self.request.events}
        fired = self.program.neurons[name](x, self.states.get(name), start, steps, **wanted)
        if self.request.events:
            self.events.setdefault(name, []).append(events.of_neurons(node, fired, int(x.shape[1])))
        self.states[name] = fired.state
        self.counts.setdefault(name, []).append(fired.count)
        if self.request.keeps_train(name):
            self.trains.setdefault(name, []).append(fired.spikes)
        if wanted["keep"] and fired.after is not None:
            self.membranes.setdefault(name, []).append(fired.after)
        for kind, count in fired.overflows.items():
            kinds = self.overflows.setdefault(name, {})
            kinds[kind] = kinds.get(kind, 0) + count
        return fired.spikes

    def _read(self, output: Tensor, into: Array) -> None:
        node = self.graph.nodes[self.graph.output]
        steps, integers = self.graph.timesteps, self.program.integers
        if isinstance(node, LIF) and integers and output.device.type == "cpu":
            cpu.count(output, into)
            return
        output = output.long() if integers else output.to(self.program.entering[self.graph.input])
        if not isinstance(node, Readout):
            into[:] = output.expand(steps, *output.shape[1:]).sum(0).cpu().numpy()
            return
        weight = synapse.tensor(node.weight, output).reshape(-1, *(1,) * (output.ndim - 1))
        entering = output << STATE_SHIFT if integers else output
        into[:] = (weight * (entering + synapse.spread(node.bias, output))).sum(0).cpu().numpy()

    def _record(self, outputs: Array) -> Record:
        layers = self.graph.nodes_of(LIF)
        return Record(
            target="integer" if self.program.integers else "reference",
            outputs=outputs,
            neurons={name: node.size for name, node in layers.items()},
            spike_counts={name: np.concatenate(self.counts[name]) for name in layers},
            trains={name: Train.pack(_joined(parts)) for name, parts in self.trains.items()},
            membranes={name: _widened(_joined(parts)) for name, parts in self.membranes.items()},
            events={name: events.over_time(parts) for name, parts in self.events.items()},
            overflows=self.overflows,
        )


def _joined(parts: list[Tensor]) -> Array:
    return torch.cat([part.contiguous() for part in parts]).cpu().numpy()


def _widened(membranes: Array) -> Array:
    """Integers as int64, whichever kernel made them."""
    return membranes.astype(np.int64) if membranes.dtype.kind == "i" else membranes
