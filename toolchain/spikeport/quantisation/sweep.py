"""Looks at one layer at a time: what enters it, its sums, and what its neurons make of them.

Everything runs through the callable ``run``, on graphs of one layer: this room knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spikeport.graph import (
    LIF,
    LOIHI2,
    Array,
    Delay,
    Flatten,
    Graph,
    Input,
    Loihi,
    Node,
    Operation,
    Pool,
    Real,
    Scale,
    StepAffine,
    Synapse,
    meaning,
)
from spikeport.graph.samples import Samples, running
from spikeport.quantisation.layers import Layer, between, carries_sums
from spikeport.quantisation.plan import Plan
from spikeport.record import Record
from spikeport.spike_train import Train
from spikeport.target import Request

Run = Callable[[Graph, Array, Request], Record]
STATES = 2**26  #: neuron states (samples x steps x neurons of all layers) that a sweep looks at


@dataclass(frozen=True)
class Calibration:
    """Some samples, and what the real network does with them."""

    run: Run
    samples: Samples
    reference: Record  #: of the real graph, with its spike trains

    @classmethod
    def of(cls, run: Run, real: Graph, samples: Array | Samples) -> Calibration:
        """As many of the samples as keep within STATES, but at least 16; ``run`` takes each as far as it goes."""
        states = max(1, sum(node.size for node in real.nodes_of(LIF).values()) * real.timesteps)
        few = Samples.of(real, samples).first(max(16, STATES // states))
        return cls(run, few, run(real, few.array, Request(trains=True, batch=batch_size(real))))

    def own(self, values: Array, *, ahead: bool = False) -> Array:
        """Of ``values`` [T or 1, B, ...] those of samples' own steps, [P, ...], none of the padding behind their ends.

        ``ahead`` takes the steps alone that another one of the sample follows.
        """
        lengths, steps = self.samples.lengths, len(values)
        if lengths is None:
            return values[: steps - ahead].reshape(-1, *values.shape[2:])
        return values[running(lengths - ahead, steps)]


def batch_size(graph: Graph) -> int:
    """Samples at once so that a layer's states stay near 2**21."""
    largest = max([int(np.prod(shape)) for shape in graph.shapes.values()]) * graph.timesteps
    return int(np.clip(2**22 // largest, 1, 256))


@dataclass
class Sweep:
    """A walk through the layers, from the input on, in which each layer gets what the layers before really send.

    In a recurrent graph each layer gets what the real network's layers send.
    """

    plan: Plan
    calibration: Calibration
    messages: dict[str, Array] = field(default_factory=dict)  #: [T or 1, B, *shape], integers in float32
    last: tuple[str, list[Node], Array] | None = None  #: the last sums asked for: sink, terms, sums

    def __post_init__(self) -> None:
        real = self.plan.real
        frames = self.calibration.samples.frames.astype(np.float64)
        self.messages[real.input] = np.rint(frames / self.plan.grid.unit).astype(np.float32)
        if real.recurrent:
            self.messages |= {name: self.truth(name).unpack().astype(np.float32) for name in real.nodes_of(LIF)}

    def truth(self, name: str) -> Train:
        """The real network's spikes, [T, B, *neurons]."""
        return self.calibration.reference.trains[name]

    def layers(self) -> Iterable[Layer]:
        """The layers with spiking neurons, in order; call `settle` before asking for the next one."""
        return [layer for layer in self.plan.layers if all(isinstance(self.plan.real[s], LIF) for s in layer.sinks)]

    def settle(self, plan: Plan, layer: Layer) -> None:
        """Take over a plan, and let the layer's neurons fire as it says."""
        self.plan = plan
        if plan.real.recurrent:
            return
        nodes, _ = plan.nodes(layer)
        for name in layer.sinks:
            node = nodes[name]
            assert isinstance(node, LIF)
            self.messages[name] = self.spikes(node, self.sums(nodes, layer, name)).unpack().astype(np.float32)

    def entering(self, name: str) -> Array:
        """The integers that enter a node."""
        return _added([self._leaving(source) for source in self.plan.real.sources(name)])

    def _leaving(self, name: str) -> Array:
        if name not in self.messages:
            node = self.plan.real[name]
            if isinstance(node, Operation):
                operands = self.plan.real.operands(name)
                x = [_added([self._leaving(source) for source in group]) for group in operands]
                self.messages[name] = np.asarray(node.compute(*x), dtype=np.float32)
            else:
                self.messages[name] = _plumbing(node, self.entering(name), self.plan.real.timesteps)
        return self.messages[name]

    def sums(self, nodes: Mapping[str, Node], layer: Layer, sink: str) -> Array:
        """What enters the neurons of ``sink`` when its terms are ``nodes``, float32 [T or 1, B, *neurons].

        Of integer terms the sum in units of a sum, exact (all below 2**24); of real terms the sum for integer input.
        """
        steps = between(self.plan.real, layer)
        terms = [nodes[name] for name in (*(term.name for term in layer.terms), *steps)]
        if self.last is not None and self.last[0] == sink and self.last[1] == terms:
            return self.last[2]
        parts = []
        for term in layer.terms:
            chain = path(self.plan.real, term.name, sink)
            if chain is not None:
                parts.append(self._sum(term.name, nodes[term.name], self.entering(term.name), chain, sink))
        number = 1 if self.calibration.samples.lengths is None else self.calibration.samples.number
        for name in steps:  # their biases once, their gains with each term
            chain = path(self.plan.real, name, sink)
            if chain is not None:
                nothing = np.zeros((1, number, *self.plan.real.shapes[name]), np.float32)
                parts.append(self._sum(name, nodes[name], nothing, chain, sink))
        self.last = (sink, terms, _added(parts))
        return self.last[2]

    def _sum(self, name: str, node: Node, x: Array, chain: list[str], sink: str) -> Array:
        """What one node makes of ``x``, as it arrives at the neurons; what lies between adds nothing of its own."""
        shape = self.plan.real.shapes[sink]
        real = self.plan.real
        passed = {each: _without_bias(real[each]) for each in chain}
        if any(isinstance(each, StepAffine) for each in (node, *passed.values())):
            x = np.broadcast_to(x, (real.timesteps, *x.shape[1:]))
        steps = x.shape[0]
        exponent = 0
        if isinstance(node, Synapse):
            exponent = node.exponent
            node = node.with_(weight=node.weight.astype(np.float32), bias=None, exponent=0)
        elif isinstance(node, Scale):
            node = node.with_(factor=node.factor.astype(np.float32))
        elif isinstance(node, StepAffine):
            node = node.with_(gain=node.gain.astype(np.float32), bias=node.bias.astype(np.float32))
        probe = LIF(shape, np.zeros((), np.float32), np.full(steps, np.inf, np.float32), reset="none")
        nodes = {"input": Input(tuple(x.shape[2:]), "events"), name: node, **passed, "probe": probe}
        ends = {name, *chain}
        edges = [(a, b) for a, b in real.edges if a in ends and b in chain]
        edges += [(a, "probe") for a, b in real.edges if a in ends and b == sink]
        graph = Graph(nodes, (("input", name), *edges), steps, Real())
        record = self.calibration.run(graph, x, Request(membranes=True, batch=batch_size(graph)))
        sums = record.membranes["probe"]
        return np.floor(sums * np.float32(2.0**exponent)) if exponent else sums

    def spikes(self, node: LIF, sums: Array) -> Train:
        """What integer neurons make of sums, [T, B, *neurons]."""
        return self.trains([node], sums)[0]

    def trains(self, nodes: Sequence[LIF], sums: Array) -> list[Train]:
        """What each of several such layers makes of the same sums, in one run."""
        trains = self.neurons(nodes, sums).trains
        return [trains[f"neurons{number}"] for number in range(len(nodes))]

    def neurons(self, nodes: Sequence[LIF], sums: Array, *, membranes: bool = False) -> Record:
        """A run of integer neurons alone: layers of one shape beside each other, neurons0, neurons1, …"""
        first, constant = nodes[0], sums.shape[0] == 1
        profile = self.plan.profile
        if profile.neuron != "xylo":
            profile = replace(LOIHI2, most_spikes=first.most_spikes)
        layers = {f"neurons{number}": node for number, node in enumerate(nodes)}
        graph = Graph(
            {"input": Input(first.shape, "direct" if constant else "events"), **layers},
            tuple(("input", name) for name in layers),
            first.timesteps,
            Loihi(profile),
            named_outputs=tuple(layers) if len(layers) > 1 else (),
        )
        request = Request(trains=True, membranes=membranes, batch=batch_size(graph))
        return self.calibration.run(graph, sums[0] if constant else sums, request)


def path(graph: Graph, term: str, sink: str) -> list[str] | None:
    """The plumbing between a term and its neurons, in order; None where the term does not reach them."""
    plumbing: list[str] = []

    def back(name: str) -> bool:
        reached = False
        for source in graph.sources(name):
            if source == term:
                reached = True
            elif _passes(graph[source]) and back(source):
                plumbing.append(source)
                reached = True
        return reached

    if not back(sink):
        return None
    return [name for name in graph.order if name in plumbing]


def _passes(node: Node) -> bool:
    return isinstance(node, Pool | Flatten | Delay | StepAffine) or carries_sums(node)


def _without_bias(node: Node) -> Node:
    return node.with_(bias=0 * node.bias) if isinstance(node, StepAffine) else node


def differing(sweep: Sweep, plan: Plan, layer: Layer) -> int:
    """In how many spikes a layer of the plan differs from the real network, given what the layers before it send."""
    nodes, findings = plan.nodes(layer)
    if any(finding.severity == "error" for finding in findings):
        return int(1e18)
    total = 0
    for name in layer.sinks:
        node = nodes[name]
        assert isinstance(node, LIF)
        total += sum(sweep.spikes(node, sweep.sums(nodes, layer, name)).beside(sweep.truth(name)))
    return total


def where_nearer(plan: Plan, calibration: Calibration, change: Callable[[Sweep, Plan, Layer], Plan]) -> Plan:
    """Change one layer after the other, on what the layers before it really send.

    A layer of neurons keeps the change only where its spikes come nearer to the real network's; a readout takes it.
    """
    sweep = Sweep(plan, calibration)
    for layer in plan.layers:
        candidate = change(sweep, plan, layer)
        spiking = all(isinstance(plan.real[name], LIF) for name in layer.sinks)
        if not spiking or differing(sweep, candidate, layer) < differing(sweep, plan, layer):
            plan = candidate
        if spiking:
            sweep.settle(plan, layer)
    return plan


def _added(parts: list[Array]) -> Array:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _plumbing(node: Node, x: Array, steps: int) -> Array:
    """What a node without weights makes of integers; a scale that is not whole is taken into the synapses behind it."""
    if isinstance(node, Delay):
        return np.asarray(meaning.delayed(node, x, steps), dtype=np.float32)
    if isinstance(node, Scale) and not np.array_equal(node.factor, np.rint(node.factor)):
        return x
    return np.asarray(meaning.apply(node, x, Real("float64")), dtype=np.float32)
