"""Runs a Graph in batches: all T of a layer at once where nothing feeds back, else step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import events, neuron, synapse
from spikeport.findings import Finding
from spikeport.graph import LIF, STATE_SHIFT, Array, Delay, Graph, Input, Loihi, Node, Readout, Synapse
from spikeport.record import Events, Record, Train, join
from spikeport.targets import Request, check_input

BATCH = 256  #: samples at once where the caller does not say


def simulate(graph: Graph, samples: Array, request: Request = Request(), device: str = "cpu") -> Record:
    """Run ``samples`` ([B, *input], or [T, B, *input] for event frames) and record what happened.

    Real arithmetic runs in the graph's float type, Loihi arithmetic in exact integers; results do not depend on the
    batch size. Raises SP502 for input of the wrong shape or type, SP504 for input beyond the message format.
    """
    total = check_input(graph, samples)
    axis = 1 if samples.ndim == len(graph.shapes[graph.input]) + 2 else 0
    size = request.batch or BATCH
    records = []
    for start in range(0, total, size):
        part = samples.take(range(start, min(start + size, total)), axis=axis)
        begun = time.perf_counter()
        run = Run(graph, request, device)
        with torch.inference_mode():
            record = run.record(run.enter(part))
        records.append(replace(record, seconds=time.perf_counter() - begun))
        request.progress(min(start + size, total), total)
    return join(records)


@dataclass
class Run:
    """One batch on its way through a graph."""

    graph: Graph
    request: Request
    device: str
    states: dict[str, neuron.State] = field(default_factory=dict)
    pasts: dict[str, Tensor] = field(default_factory=dict)
    trains: dict[str, list[Tensor]] = field(default_factory=dict)
    membranes: dict[str, list[Tensor]] = field(default_factory=dict)
    events: dict[str, list[Events]] = field(default_factory=dict)
    overflows: dict[str, dict[str, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def integers(self) -> bool:
        """Whether the graph is in Loihi arithmetic."""
        return isinstance(self.graph.arithmetic, Loihi)

    def enter(self, samples: Array) -> Tensor:
        """The samples as [T or 1, B, *input]: integers in units of the input, or floats of the graph's type."""
        node = self.graph.nodes[self.graph.input]
        assert isinstance(node, Input)
        if self.integers:
            value = torch.as_tensor(np.rint(np.asarray(samples, dtype=np.float64) / node.unit)).long()
            self.findings += events.beyond_message(node, self.graph, value)
        else:
            dtype = torch.float64 if getattr(self.graph.arithmetic, "dtype", "") == "float64" else torch.float32
            value = torch.as_tensor(np.asarray(samples)).to(dtype)
        return (value if node.coding == "events" else value.unsqueeze(0)).to(self.device)

    def record(self, samples: Tensor) -> Record:
        """Run all steps."""
        steps = self.graph.timesteps
        if not self.graph.recurrent:
            output = self.advance(samples, 0, steps)
        else:
            parts = [self.advance(samples[min(t, samples.shape[0] - 1)][None], t, 1) for t in range(steps)]
            output = torch.cat(parts)
        return self._record(self._read(output))

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
        first, *others = (values[source] for source in self.graph.sources(name))
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
            self.events.setdefault(name, []).append(events.of_synapse(node, x, steps))
        return synapse.apply(node, x)

    def _past(self, name: str, node: Delay, like: Tensor) -> Tensor:
        if name not in self.pasts:
            self.pasts[name] = like.new_zeros((node.steps, like.shape[1], *node.shape))
        return self.pasts[name]

    def _neuron(self, name: str, node: LIF, x: Tensor, start: int, steps: int) -> Tensor:
        step = neuron.loihi if self.integers else neuron.real
        fired = step(node, x, self.states.get(name), start, steps)
        if self.request.events:
            self.events.setdefault(name, []).append(events.of_neurons(node, x, fired, self.states.get(name)))
        self.states[name] = fired.state
        self.trains.setdefault(name, []).append(fired.spikes)
        if self.request.membranes:
            self.membranes.setdefault(name, []).append(fired.after)
        for kind, count in fired.overflows.items():
            kinds = self.overflows.setdefault(name, {})
            kinds[kind] = kinds.get(kind, 0) + count
        return fired.spikes.to(x.dtype)

    def _read(self, output: Tensor) -> Tensor:
        node = self.graph.nodes[self.graph.output]
        steps = self.graph.timesteps
        if not isinstance(node, Readout):
            return output.expand(steps, *output.shape[1:]).sum(0)
        weight = synapse.tensor(node.weight, output).reshape(-1, *(1,) * (output.ndim - 1))
        entering = output << STATE_SHIFT if self.integers else output
        return (weight * (entering + synapse.spread(node.bias, output))).sum(0)

    def _record(self, outputs: Tensor) -> Record:
        trains = {name: torch.cat(parts) for name, parts in self.trains.items()}
        counts = {name: train.flatten(1).sum(1, dtype=torch.int64).cpu().numpy() for name, train in trains.items()}
        kept = trains if self.request.trains else {}
        return Record(
            target="integer" if self.integers else "reference",
            outputs=outputs.cpu().numpy(),
            neurons={name: node.size for name, node in self.graph.nodes_of(LIF).items()},
            spike_counts={name: counts[name] for name in self.graph.nodes_of(LIF)},
            trains={name: Train.pack(train.cpu().numpy()) for name, train in kept.items()},
            membranes={name: torch.cat(parts).cpu().numpy() for name, parts in self.membranes.items()},
            events={name: events.over_time(parts) for name, parts in self.events.items()},
            overflows=self.overflows,
            findings=tuple(self.findings),
        )
