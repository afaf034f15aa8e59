"""Times a graph for a target on which every synapse takes a step: depths, delays, and quiet steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Never

from spikeport.findings import fail
from spikeport.graph import Delay, Graph, Synapse


@dataclass(frozen=True, slots=True)
class Link:
    """A connection in the pipeline, between nodes that are not delays."""

    source: str
    target: str
    logical: int  #: steps by which the graph itself delays it; quiet for as long at the start of each sample
    steps: int  #: steps that the target must wait on this connection

    @property
    def plain(self) -> bool:
        """Whether the target can connect the two directly."""
        return self.logical == 0 and self.steps == 0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A graph timed for a pipelined target; times are in the target's steps, from 0.

    A node handles step t of sample n at time ``n * timesteps + t + depth[node]``: its thresholds and its reset shift by
    its depth.
    """

    depth: Mapping[str, int]
    links: tuple[Link, ...]

    def into(self, name: str) -> tuple[Link, ...]:
        """The connections that enter a node."""
        return tuple(link for link in self.links if link.target == name)

    @property
    def drain(self) -> int:
        """Steps that the pipeline runs on after the last input."""
        return max(self.depth.values())


def align_delays(graph: Graph) -> Pipeline:
    """Give each node its depth in a pipeline, and each connection the delay that keeps the network the same.

    1. A synapse hands on its sum one step later, every other node at once (Lava 0.10, ``proc/dense/models.py``).
    2. A node's depth is the longest way to it in steps, the graph's own delays taken off, and never negative: the
       smallest solution of ``depth[target] >= depth[source] + latency[source] - logical``.
    3. What is left over on a shorter way becomes a delay: the skip of a residual waits for its main path.
    4. A Delay of the graph is no node of the pipeline: it shortens the way through it, so that in a recurrent network
       the synapse's own step is the delay. What it delays is quiet for the first steps of each sample, so that no
       message in flight crosses into the next one.
    5. A cycle with more synapses than steps of delay cannot run at one step a timestep: SP612.

    Requires: nothing. Ensures: the target's run equals the layer-synchronous one, sample after sample without a gap.
    """
    kept = {name for name, node in graph.nodes.items() if not isinstance(node, Delay) or name in graph.outputs}
    ways = [(source, name, wait) for name in kept for source, wait in _sources(graph, name)]
    latency = {name: int(isinstance(graph.nodes[name], Synapse)) for name in kept}
    leads = [(source, target, latency[source] - wait) for source, target, wait in ways]
    depth = smallest_depths((name for name in graph.order if name in kept), leads)
    links = [Link(s, t, wait, depth[t] - depth[s] - latency[s] + wait) for s, t, wait in ways]
    order = {name: place for place, name in enumerate(graph.order)}
    return Pipeline(
        depth, tuple(sorted(links, key=lambda link: (order[link.target], order[link.source], link.logical)))
    )


def smallest_depths(names: Iterable[str], leads: Iterable[tuple[str, str, int]]) -> dict[str, int]:
    """The smallest depths, none negative, where each ``(source, target, lead)`` asks for that much between the two.

    ``depth[target] >= depth[source] + lead``. Raises SP612 where a cycle asks for more and more.
    """
    depth = dict.fromkeys(names, 0)
    leads = list(leads)
    for _ in range(len(depth) + 1):
        late: dict[str, int] = {}
        for source, target, lead in leads:
            due = depth[source] + lead
            if due > max(depth[target], late.get(target, 0)):
                late[target] = due
        if not late:
            return depth
        depth |= late
    _too_slow(sorted(late))


def _sources(graph: Graph, name: str) -> list[tuple[str, int]]:
    """What enters a node, through its delays, with the steps these take."""
    node = graph.nodes[name]
    sources: list[tuple[str, int]] = []
    waiting = [(source, node.steps if isinstance(node, Delay) else 0, {name}) for source in graph.sources(name)]
    while waiting:
        source, wait, passed = waiting.pop()
        between = graph.nodes[source]
        if not isinstance(between, Delay):
            sources.append((source, wait))
        elif source in passed:
            _too_slow(sorted(passed))
        else:
            waiting += [(before, wait + between.steps, passed | {source}) for before in graph.sources(source)]
    return sources


def _too_slow(names: list[str]) -> Never:
    fail(
        "SP612",
        f"a cycle through {', '.join(map(repr, names))} has fewer steps of delay than synapses, or no neuron at all",
        why="each synapse takes one step of the pipeline, so the feedback would come too late.",
        mend="give the cycle as many steps of Delay as it has synapses, and train it so",
    )
