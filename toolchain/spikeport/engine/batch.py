"""One batch on its way through a graph: many steps of a layer at once, and step by step only what feeds back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine import enter, events, kept
from spikeport.engine.enter import Frames
from spikeport.engine.later import Later, Parcel
from spikeport.engine.neuron import Counted, Fired
from spikeport.engine.program import Program
from spikeport.engine.readout import Results
from spikeport.engine.stretches import Stretch
from spikeport.graph import LIF, Array, Delay, Graph, Input, Node, Operation, Peak, Readout, Samples, Synapse
from spikeport.record import Events, Record, SynapseEvents
from spikeport.spike_train import Train
from spikeport.target import Request
from spikeport.threads import still_wanted


@dataclass
class Run:
    """One batch on its way through a graph."""

    program: Program
    request: Request
    results: Results
    batch: int = 0
    states: dict[str, Any] = field(default_factory=dict)
    carried: dict[tuple[str, ...], Any] = field(default_factory=dict)  #: by circuits
    pasts: dict[str, Tensor] = field(default_factory=dict)
    counted: dict[str, list[Callable[[], Counted]]] = field(default_factory=dict)
    spikes: dict[str, list[Tensor]] = field(default_factory=dict)  #: of the steps at hand
    trains: dict[str, list[Callable[[], Train]]] = field(default_factory=dict)
    membranes: dict[str, list[Later[Array]]] = field(default_factory=dict)
    events: dict[str, list[Callable[[], SynapseEvents]]] = field(default_factory=dict)
    sums: dict[frozenset[str], Tensor] = field(default_factory=dict)  #: of spikes of two layers, as one of them made it
    parcel: Parcel | None = None  #: of a card, all that is read of it

    @property
    def graph(self) -> Graph:
        """What is run."""
        return self.program.graph

    def launch(self, samples: Samples | Frames, most: int) -> None:
        """Run all steps, at ``most`` so many at a time. Outputs of a card come with `record`: nothing waits for it."""
        total = self.graph.timesteps
        steps = -(-total // -(-total // most))
        for start in range(0, total, steps):
            now = min(steps, total - start)
            for name, output in self.walk(samples.during(start, start + now), start, now).items():
                self.results.add(name, output, start, now)
        if self.program.later:
            whole = (self.counted, self.trains, self.membranes, self.events)
            read = [each for what in whole for parts in what.values() for each in parts]
            self.parcel = Parcel([*self.results.on_card.values(), *(each for each in read if isinstance(each, Later))])

    def send(self) -> None:
        """Have brought what a card computes and somebody reads."""
        if self.parcel is not None:
            self.parcel.send()

    def walk(self, samples: Samples | Frames, start: int, steps: int) -> dict[str, Tensor]:
        """Steps ``start`` ... ``start + steps - 1`` of every node, stretch by stretch; what leaves the output nodes.

        ``samples``: the frames of these steps. What a node carries from step to step stays for the next call.
        """
        entry = self.graph.input
        values = {entry: enter.values(self.program, samples)}
        self.batch = samples.number
        for stretch, done in self.program.turns:
            still_wanted()
            name = stretch.names[0]
            if stretch.feeds_back:
                values |= self._cycle(stretch, values, start, steps)
            elif name != entry:
                values[name] = self._at(name, values, start, steps)
            for source in done:
                values.pop(source, None)
        for name, parts in self.spikes.items():
            train = kept.packed(parts, self.graph.nodes[name], later=self.program.later)
            self.trains.setdefault(name, []).append(train)
        self.spikes.clear()
        self.sums.clear()
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
        if stretch.names in self.program.circuits:
            return self._circuit(stretch, values, start, steps)
        outside = {source for name in stretch.names for source in graph.sources(name)}.difference(stretch.names)
        delays = {name: node for name in stretch.names if isinstance(node := graph.nodes[name], Delay)}
        wanted: dict[str, list[Tensor]] = {name: [] for name in stretch.wanted}
        for step in range(steps):
            still_wanted()
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
            others = [each for each in stretch.names if each != name]  # the delay first, which may be behind the matrix
            for other in others if self.graph.sources(others[0]) == (name,) else reversed(others):
                known[other] = self._at(other, known, start, steps)
        return {each: known[each] for each in stretch.wanted}

    def _circuit(self, stretch: Stretch, values: Mapping[str, Tensor], start: int, steps: int) -> dict[str, Tensor]:
        """A cycle of other nodes, in one loop; where events are asked for, what its synapses read is kept besides."""
        graph, run = self.graph, self.program.circuits[stretch.names]
        neurons = [name for name in stretch.names if name in self.program.layers]
        synapses = [name for name in stretch.names if isinstance(graph.nodes[name], Synapse) and self.request.events]
        read = {source for name in synapses for source in graph.sources(name)}.intersection(stretch.names)
        asked = {"keep": any(map(self.request.keeps_membrane, neurons)), "watch": self.request.events}
        entering = {name: values[name] for name in run.outside}
        state, wanted = self.carried.get(stretch.names), sorted(stretch.wanted | read)
        fired, known, self.carried[stretch.names] = run(entering, state, start, steps, wanted, **asked)
        known |= {name: self._kept(name, each) for name, each in fired.items()}
        for name in synapses:
            x = self._sum(graph.sources(name), name, {**values, **known})
            self.events.setdefault(name, []).append(events.of_synapse(self.program, name, x, steps))
        return {name: known[name] for name in stretch.wanted}

    def _operands(self, name: str, values: Mapping[str, Tensor]) -> list[Tensor]:
        """What enters a node: of all but operations one value, the sum over its edges."""
        return [self._sum(group, name, values) for group in self.program.operands[name]]

    def _sum(self, sources: Iterable[str], name: str, values: Mapping[str, Tensor]) -> Tensor:
        dtype, sources = self.program.entering[name], tuple(sources)
        known = self.sums.get(frozenset(sources))
        if known is not None:
            return known if known.dtype == dtype else known.to(dtype)
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
        other = self.program.adding.get(name)
        if other is not None:
            wishes["onto"] = values[other]
        fired = self.program.neurons[name](x, self.states.get(name), start, steps, **wishes)
        if other is not None and fired.summed is not None:
            self.sums[frozenset((name, other))] = fired.summed
        return self._kept(name, fired)

    def _kept(self, name: str, fired: Fired) -> Tensor:
        """The spikes of a neuron layer, of a `Peak` its membranes; state, counts and what was asked for are kept."""
        self.states[name] = fired.state
        self.counted.setdefault(name, []).append(fired.counted)
        if self.request.keeps_train(name):
            self.spikes.setdefault(name, []).append(fired.spikes)
        if self.request.keeps_membrane(name) and fired.after is not None:
            self.membranes.setdefault(name, []).append(Later((fired.after,), np.asarray))
        if isinstance(self.graph.nodes[name], Peak):
            assert fired.after is not None
            return fired.after
        return fired.spikes

    def record(self, *, whole: bool) -> Record:
        """What happened; waits for a card that still computes.

        The record holds the outputs if these are the ``whole`` run's samples; else whoever joins it does.
        """
        if self.parcel is not None:
            self.parcel.open()
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
            membranes={name: kept.widened([read() for read in parts]) for name, parts in self.membranes.items()},
            events={name: events.over_time(watched[name]) for name in self.graph.order if name in watched}
            if watched
            else {},
            overflows={name: total for name in layers if (total := kept.total(counted[name]))},
        )
