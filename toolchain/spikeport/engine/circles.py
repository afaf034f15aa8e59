"""The order in which nodes can be computed over all steps at once, where neurons' spikes are known beforehand.

States that stand outside of neurons are circles through delays: their nodes are computed again until every step is
right, one step further each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from spikeport.graph import LIF, Delay, Graph


@dataclass(frozen=True)
class Group:
    """Nodes in the order in which they are computed; ``delays`` among them, last, start from zero in a circle."""

    names: tuple[str, ...]
    delays: tuple[str, ...] = ()


def groups(graph: Graph) -> list[Group]:
    """Every node behind its sources, neurons' own spikes apart, which count as known."""
    known, waiting = set(graph.nodes_of(LIF)), list(graph.nodes)
    order: list[Group] = []
    while waiting:
        ready = [name for name in waiting if known.issuperset(graph.sources(name))]
        group = Group(tuple(ready)) if ready else _circle(graph, waiting, known)
        order.append(group)
        known.update(group.names)
        waiting = [name for name in waiting if name not in group.names]
    return order


def _circle(graph: Graph, waiting: list[str], known: set[str]) -> Group:
    """The next circle of which everything that enters it is known."""
    between = [name for name in waiting if not isinstance(graph[name], LIF)]
    circles = (_around(graph, name, between) for name in between)
    circle = next(c for c in circles if c and all(known.union(c).issuperset(graph.sources(name)) for name in c))
    delays = tuple(name for name in circle if isinstance(graph[name], Delay))
    names: list[str] = []
    while len(names) + len(delays) < len(circle):  # every circle of a graph passes through a delay
        at_hand = known.union(delays, names)
        left = (name for name in circle if name not in names and name not in delays)
        names += [name for name in left if at_hand.issuperset(graph.sources(name))]
    return Group((*names, *delays), delays)


def _around(graph: Graph, name: str, among: list[str]) -> list[str]:
    """The nodes by which what leaves a node comes back to it."""
    ahead, back = (_reached(name, way, set(among)) for way in (graph.targets, graph.sources))
    return [each for each in among if each in ahead & back]


def _reached(name: str, way: Callable[[str], Iterable[str]], among: set[str]) -> set[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        fresh = among.intersection(way(waiting.pop())) - reached
        reached |= fresh
        waiting += fresh
    return reached
