"""In what order the nodes of a graph run: all steps of a node at once, but those of a cycle a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from spikeport.graph import Delay, Graph


@dataclass(frozen=True)
class Stretch:
    """Nodes that run together: a node by itself, or all that lie in cycles with each other."""

    names: tuple[str, ...]  #: in the order of a step
    feeds_back: bool
    wanted: frozenset[str]  #: those of a cycle whose values at all steps something outside reads


def stretches(graph: Graph) -> tuple[Stretch, ...]:
    """Every node in one stretch, each behind those that it reads from."""
    cycle_of = {name: cycle for cycle in _cycles(graph) for name in cycle}
    waiting: list[Stretch] = []
    for name in graph.order:
        cycle = cycle_of.get(name)
        if cycle is None:
            waiting.append(Stretch((name,), False, frozenset((name,))))
        elif name == next(each for each in graph.order if each in cycle):
            outside = {each for each in cycle if each in graph.outputs or not cycle.issuperset(graph.targets(each))}
            waiting.append(Stretch(tuple(each for each in graph.order if each in cycle), True, frozenset(outside)))
    ready: list[Stretch] = []
    done: set[str] = set()
    while waiting:
        first = next(s for s in waiting if all(done.union(s.names).issuperset(graph.sources(name)) for name in s.names))
        waiting.remove(first)
        ready.append(first)
        done.update(first.names)
    return tuple(ready)


def _cycles(graph: Graph) -> list[frozenset[str]]:
    """The nodes that lie in cycles with each other: both behind and before a Delay, which each cycle has."""
    found: list[frozenset[str]] = []
    for name in graph.nodes_of(Delay):
        if any(name in cycle for cycle in found):
            continue
        cycle = _reached(name, graph.targets) & _reached(name, graph.sources)
        if cycle:
            found.append(frozenset(cycle))
    return found


def _reached(name: str, beyond: Callable[[str], Iterable[str]]) -> set[str]:
    """What one gets to from a node, itself only by a way back."""
    reached: set[str] = set()
    todo = list(beyond(name))
    while todo:
        here = todo.pop()
        if here not in reached:
            reached.add(here)
            todo.extend(beyond(here))
    return reached
