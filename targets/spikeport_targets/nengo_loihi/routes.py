"""The ways of spikes into the layers of a graph, and how they are timed where each of them takes a step.

On the chip one synapse stands between any two layers. Pools, whole factors and sums of branches before it are messages:
a neuron sends one to each input position that it enters, two where it enters twice. Behind it nothing stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spikeport.findings import Finding
from spikeport.graph import LIF, Conv, Delay, Flatten, Graph, Input, Linear, Norm, Pool, Readout, Scale
from spikeport.graph.hosted import analog
from spikeport.passes.align_delays import smallest_depths


@dataclass(frozen=True, slots=True)
class Route:
    """One way from a layer, or the input, into a layer."""

    source: str
    target: str
    synapse: str = ""  #: "" where spikes enter without one: a weight of one
    before: tuple[str, ...] = ()  #: pools and scales that messages pass, from the source on
    wait: int = 0  #: steps by which the graph's own delays hold it back


def layers(graph: Graph) -> list[str]:
    """The neurons, and where the network ends: what follows its last neurons is read out by the host."""
    return list(dict.fromkeys((*graph.nodes_of(LIF, Readout), graph.output)))


def routes(graph: Graph) -> tuple[list[Route], list[Finding]]:
    """Every way into every layer, and SP631 for each that the chip has not."""
    steps = [step for name in layers(graph) for step in _into(graph, name)]
    ways = [step for step in steps if isinstance(step, Route)]
    findings = [step for step in steps if isinstance(step, Finding)]
    return ways, list(dict.fromkeys(findings))


def _into(graph: Graph, layer: str) -> Iterator[Route | Finding]:
    """Backwards from a layer; a node that was passed already is a cycle without neurons."""
    starts = graph.sources(layer) if isinstance(graph.nodes[layer], LIF | Readout) else (layer,)
    waiting = [(name, Route("", layer), frozenset[str]()) for name in starts]
    while waiting:
        name, way, passed = waiting.pop()
        node = graph.nodes[name]
        if isinstance(node, LIF | Input):
            yield Route(name, layer, way.synapse, way.before, way.wait)
            continue
        refused = "is in a cycle without neurons" if name in passed else _refused(graph, name, way)
        if refused:
            yield Finding("SP631", refused, f"node {name!r}", mend=MEND.get(type(node), "take it out"))
            continue
        synapse = name if isinstance(node, Linear | Conv) else way.synapse
        before = (name, *way.before) if isinstance(node, Pool | Scale) else way.before
        wait = way.wait + (node.steps if isinstance(node, Delay) else 0)
        further = Route("", layer, synapse, before, wait)
        waiting += [(source, further, passed | {name}) for source in graph.sources(name)]


MEND: dict[type, str] = {
    Norm: "fold it first: passes.fold_norm",
    Pool: "pool after the neurons",
    Scale: "fold it into the weights",
}


def _refused(graph: Graph, name: str, way: Route) -> str:
    """Why the chip has no such node here, or nothing."""
    node = graph.nodes[name]
    if type(node) not in (Linear, Conv, Pool, Scale, Flatten, Delay):
        return f"nengo-loihi cannot run a {type(node).__name__}"
    if not isinstance(node, Linear | Conv):
        return ""
    if way.synapse:
        return f"leads into the synapse {way.synapse!r} without neurons in between"
    if way.before:
        kind = type(graph.nodes[way.before[0]]).__name__
        return f"a {kind}, {way.before[0]!r}, stands between this synapse and its neurons"
    return ""


def is_current(graph: Graph, way: Route) -> bool:
    """Whether the host forms what a way brings: input that enters neurons, or analog input that never changes."""
    node = graph.nodes[way.source]
    return isinstance(node, Input) and (not way.synapse or analog(node))


@dataclass(frozen=True, slots=True)
class Timing:
    """When each layer runs: its step t is the emulator's step ``t + depth``, from 0; the input's depth is 0."""

    depth: dict[str, int]

    def relays(self, way: Route) -> int:
        """Steps that messages must wait besides the one that every way takes."""
        return self.depth[way.target] - self.depth[way.source] - 1 + way.wait


def timing(graph: Graph, ways: Sequence[Route]) -> Timing:
    """The smallest depths. Raises SP612 for feedback that comes too late."""
    leads = [(way.source, way.target, 1 - way.wait) for way in ways if not is_current(graph, way)]
    return Timing(smallest_depths((graph.input, *layers(graph)), leads))
