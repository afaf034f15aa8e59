"""Runs a Graph in batches: many steps of a layer at once, and step by step only what feeds back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import build, enter, events, kept
from spikeport.engine.devices import whole_factors
from spikeport.engine.neuron import Counted, Fired
from spikeport.engine.program import Kernels, Program
from spikeport.engine.readout import Results
from spikeport.engine.stretches import Stretch
from spikeport.graph import LIF, Array, Delay, Graph, Input, Node, Operation, Peak, Readout, Samples, Synapse
from spikeport.record import Events, Record, SynapseEvents, Train, join
from spikeport.target import Request


def simulate(
    graph: Graph, samples: Array, request: Request = Request(), device: str = "cpu", kernels: Kernels | None = None
) -> Record:
    """Run ``samples`` ([B, *input], or [T, B, *input] for event frames) and record what happened.

    Real arithmetic runs in the graph's float type, Loihi arithmetic in exact integers. Integers are the same to the bit
    whatever the batch size, device, number of threads and kernels. ``request.batch`` sets how many samples run at once,
    or ``request.memory`` how many bytes their values may take; a long sample is cut into blocks of steps.

    Raises SP502 for input of the wrong shape or type, SP504 for input beyond what the integers were made for, SP509 for
    integers that may grow too large, SP512 past ``request.seconds``, which is looked at between batches.
    """
    return Engine(graph, device, kernels).simulate(samples, request)


class Engine:
    """A graph and what was prepared to run it, for callers that run it more than once."""

    def __init__(
        self, graph: Graph, device: str = "cpu", kernels: Kernels | None = None, steps: int | None = None
    ) -> None:
        """``steps`` at once, or as many as the memory for their values holds."""
        self.graph = graph
        self.steps = steps
        self.device = device
        self.kernels: Kernels = kernels or build.kernels_here(device)
        self._program: Program | None = None
        self._entering: Any = None

    def simulate(self, samples: Array, request: Request = Request()) -> Record:
        """As the function of this name."""
        entering, ends = enter.check(self.graph, samples)
        total = entering.number
        ready = self.ready(ends)
        size = request.batch or ready.samples_at_once(total, request.memory, kept_bytes(self.graph, request))
        steps = self.steps or ready.steps_at_once(size, request.memory)
        shapes = {name: self.graph.shapes[name] for name in self.graph.outputs}
        outputs = {name: np.empty((total, *shape), ready.leaving) for name, shape in shapes.items()}
        records: list[Record] = []
        launched: deque[tuple[int, Run]] = deque()
        begun = last = time.perf_counter()

        def finish() -> None:
            nonlocal last
            start, run = launched.popleft()
            record = run.record(whole=size >= total)
            now, last = last, time.perf_counter()
            records.append(replace(record, seconds=last - now))
            request.progress(min(start + size, total), total)

        for start in range(0, total, size):
            request.check_time(begun, start, total)
            with torch.inference_mode(), whole_factors(self.device):
                here = {name: array[start : start + size] for name, array in outputs.items()}
                run = Run(ready, request, Results(ready.outs, here))
                run.launch(entering.cut(start, start + size), steps)
            launched.append((start, run))
            if len(launched) > ready.ahead:
                finish()
        while launched:
            finish()
        if len(records) == 1:
            return records[0]
        first = outputs.pop(self.graph.output)
        return replace(join(records), outputs=first, further=outputs)

    def ready(self, entering: Any) -> Program:
        """The program for inputs in a range; made anew only where the range grows."""
        if self._program is None or (entering is not None and self._entering | entering != self._entering):
            self._entering = entering if self._entering is None else self._entering | entering
            self._program = build.build(self.graph, self.device, self.kernels, self._entering)
        return self._program


def kept_bytes(graph: Graph, request: Request) -> int:
    """Bytes of one sample that stay until all its steps are done: a bit a spike, eight bytes a membrane."""
    return sum(
        node.timesteps * (request.keeps_train(name) * -(-node.size // 8) + 8 * node.size * request.keeps_membrane(name))
        for name, node in graph.nodes_of(LIF).items()
    )


@dataclass
class Run:
    """One batch on its way through a graph."""

    program: Program
    request: Request
    results: Results
    batch: int = 0
    states: dict[str, Any] = field(default_factory=dict)
    pasts: dict[str, Tensor] = field(default_factory=dict)
    counted: dict[str, list[Callable[[], Counted]]] = field(default_factory=dict)
    spikes: dict[str, list[Tensor]] = field(default_factory=dict)  #: of the steps at hand
    trains: dict[str, list[Callable[[], Train]]] = field(default_factory=dict)
    membranes: dict[str, list[Tensor]] = field(default_factory=dict)
    events: dict[str, list[Callable[[], SynapseEvents]]] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """What is run."""
        return self.program.graph

    def launch(self, samples: Samples, most: int) -> None:
        """Run all steps, at ``most`` so many at a time. Outputs of a card come with `record`: nothing waits for it."""
        total = self.graph.timesteps
        steps = -(-total // -(-total // most))
        for start in range(0, total, steps):
            now = min(steps, total - start)
            for name, output in self.walk(samples.during(start, start + now), start, now).items():
                self.results.add(name, output, start, now)

    def walk(self, samples: Samples, start: int, steps: int) -> dict[str, Tensor]:
        """Steps ``start`` ... ``start + steps - 1`` of every node, stretch by stretch; what leaves the output nodes.

        ``samples``: the frames of these steps. What a node carries from step to step stays for the next call.
        """
        entry = self.graph.input
        values = {entry: enter.values(self.program, samples)}
        self.batch = samples.number
        for stretch, done in self.program.turns:
            name = stretch.names[0]
            if stretch.feeds_back:
                values |= self._cycle(stretch, values, start, steps)
            elif name != entry:
                values[name] = self._at(name, values, start, steps)
            for source in done:
                values.pop(source, None)
        for name, parts in self.spikes.items():
            self.trains.setdefault(name, []).append(kept.packed(parts, self.graph.nodes[name]))
        self.spikes.clear()
        return {name: values[name] for name in self.graph.outputs}

    def _at(self, name: str, values: Mapping[str, Tensor], start: int, steps: int) -> Tensor:
        """Steps ``start`` ... ``start + steps - 1`` of a node."""
        node = self.graph.nodes[name]
        if isinstance(node, LIF):
            return self._neuron(name, values, start, steps)
        if isinstance(node, Operation) and node.schedules:
            return self.program.steps[name](*self._operands(name, values), at=slice(start, start + steps))
        return self._node(name, node, self._operands(name, values), steps)

    def _cycle(self, stretch: Stretch, values: Mapping[str, Tensor], start: int, steps: int) -> dict[str, Tensor]:
        """Some steps of the nodes of a cycle; the values of those that something outside reads."""
        graph = self.graph
        whole = next((name for name in stretch.names if name in self.program.cycles), None)
        if whole is not None:
            return self._fed_back(whole, stretch, values, start, steps)
        outside = {source for name in stretch.names for source in graph.sources(name)}.difference(stretch.names)
        delays = {name: node for name in stretch.names if isinstance(node := graph.nodes[name], Delay)}
        wanted: dict[str, list[Tensor]] = {name: [] for name in stretch.wanted}
        for step in range(steps):
            now = {name: values[name][min(step, len(values[name]) - 1)][None] for name in outside}
            now |= {name: self._past(name, node)[:1] for name, node in delays.items()}
            for name in stretch.names:
                if name not in delays:
                    now[name] = self._at(name, now, start + step, 1)
            for name in delays:
                self.pasts[name] = torch.cat([self.pasts[name], *self._operands(name, now)])[1:]
            for name, parts in wanted.items():
                parts.append(now[name])
        return {name: torch.cat(parts) for name, parts in wanted.items()}

    def _fed_back(
        self, name: str, stretch: Stretch, values: Mapping[str, Tensor], start: int, steps: int
    ) -> dict[str, Tensor]:
        """A cycle of neurons and a matrix, in one loop; what else is read of it is what came back."""
        sources = [source for source in self.graph.sources(name) if source not in stretch.names]
        x = self._sum(sources, name, values)
        run = self.program.cycles[name]
        spikes = self._kept(name, run(x, self.states.get(name), start, steps, **self._wishes(name)))
        known = {name: spikes}
        if self.request.events or len(stretch.wanted) > 1:
            for other in (each for each in stretch.names if each != name):  # the delay, then the matrix
                known[other] = self._at(other, known, start, steps)
        return {each: known[each] for each in stretch.wanted}

    def _operands(self, name: str, values: Mapping[str, Tensor]) -> list[Tensor]:
        """What enters a node: of all but operations one value, the sum over its edges."""
        return [self._sum(group, name, values) for group in self.program.operands[name]]

    def _sum(self, sources: Iterable[str], name: str, values: Mapping[str, Tensor]) -> Tensor:
        dtype = self.program.entering[name]
        first, *others = (
            value if value.dtype == dtype else value.to(dtype) for value in map(values.__getitem__, sources)
        )
        for other in others:
            first = first + other
        return first

    def _node(self, name: str, node: Node, operands: list[Tensor], steps: int) -> Tensor:
        if isinstance(node, Operation):
            return self.program.steps[name](*operands)
        (x,) = operands
        if isinstance(node, Input | Readout):
            return x
        if isinstance(node, Delay):
            whole = torch.cat([self._past(name, node), x.expand(steps, *x.shape[1:])])
            self.pasts[name] = whole[steps:].clone()
            return whole[:steps]
        if isinstance(node, Synapse) and self.request.events:
            self.events.setdefault(name, []).append(events.of_synapse(self.program, name, x, steps))
        return self.program.steps[name](x) if name in self.program.steps else x  # or its neurons make the sums

    def _past(self, name: str, node: Delay) -> Tensor:
        """The values that a delay still holds, oldest first: zero before the first step."""
        if name not in self.pasts:
            size = (node.steps, self.batch, *node.shape)
            self.pasts[name] = torch.zeros(size, dtype=self.program.entering[name], device=self.program.device)
        return self.pasts[name]

    def _wishes(self, name: str) -> dict[str, Any]:
        """What is asked of a neuron layer besides its spikes."""
        keep = self.request.keeps_membrane(name) or isinstance(self.graph.nodes[name], Peak)
        return {"keep": keep, "watch": self.request.events}

    def _neuron(self, name: str, values: Mapping[str, Tensor], start: int, steps: int) -> Tensor:
        own, sources = self.program.joined.get(name), self.graph.sources(name)
        x = self._sum(sources, name, values) if own is None else values[own]
        wishes = self._wishes(name)
        if own and len(sources) > 1:
            wishes["beside"] = self._sum([source for source in sources if source != own], name, values)
        return self._kept(name, self.program.neurons[name](x, self.states.get(name), start, steps, **wishes))

    def _kept(self, name: str, fired: Fired) -> Tensor:
        """The spikes of a neuron layer, of a `Peak` its membranes; state, counts and what was asked for are kept."""
        self.states[name] = fired.state
        self.counted.setdefault(name, []).append(fired.counted)
        if self.request.keeps_train(name):
            self.spikes.setdefault(name, []).append(fired.spikes)
        if self.request.keeps_membrane(name) and fired.after is not None:
            self.membranes.setdefault(name, []).append(fired.after)
        if isinstance(self.graph.nodes[name], Peak):
            assert fired.after is not None
            return fired.after
        return fired.spikes

    def record(self, *, whole: bool) -> Record:
        """What happened; waits for a card that still computes.

        The record holds the outputs if these are the ``whole`` run's samples; else whoever joins it does.
        """
        self.results.fetch()
        outputs = {name: array if whole else array[:0] for name, array in self.results.arrays.items()}
        layers = self.program.layers
        counted = {name: [read() for read in self.counted[name]] for name in layers}
        watched: dict[str, list[Events]] = {name: [read() for read in parts] for name, parts in self.events.items()}
        if self.request.events:
            watched |= {
                name: [events.of_neurons(node, each, self.batch) for each in counted[name]]
                for name, node in layers.items()
            }
        return Record(
            target="integer" if self.program.integers else "reference",
            outputs=outputs.pop(self.graph.output),
            further=outputs,
            neurons={name: node.size for name, node in layers.items()},
            spike_counts={name: kept.joined_counts(counted[name]) for name in layers},
            trains={name: kept.over_time([read() for read in parts]) for name, parts in self.trains.items()},
            membranes={name: kept.widened(kept.joined(parts)) for name, parts in self.membranes.items()},
            events={name: events.over_time(watched[name]) for name in self.graph.order if name in watched}
            if watched
            else {},
            overflows={name: total for name in layers if (total := kept.total(counted[name]))},
        )
