"""States that stand outside of neurons: a loop of sums through a delay, which no integer format holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import LIF, Delay, Graph, Scale


def loose_states(graph: Graph) -> Iterator[Finding]:
    """SP437 for each delay by which values come back to themselves without passing neurons, with a bound.

    A value that is kept in whole units and truncated at every step, as membranes are, lacks less than
    ``1 + rho + rho^2 + ...`` units after T steps, rho the sum of the factors of all ways round, at their largest
    (`graph.adaptive.no_adaptation`; spikes that gate them are 1 at most).
    """
    for name, node in graph.nodes_of(Delay).items():
        loop = _loop(graph, name)
        if not loop:
            continue
        rho = sum(_gain(graph, source, name, loop, frozenset()) for source in graph.sources(name) if source in loop)
        off = sum(rho**step for step in range(-(-graph.timesteps // node.steps)))
        lacks = f"it would lack up to {off:.3g} units" if np.isfinite(off) else "what it would lack has no simple bound"
        ways = ", ".join(sorted(loop - {name})[:3])
        yield Finding(
            "SP437",
            f"keeps a state outside of neurons (by {ways}); truncated at every step {lacks}",
            where=f"node {name!r}",
            why="formats say how many bits membranes have and how they are rounded, not what a delay brings back.",
            mend="run it in real numbers, or train neurons that one node computes (LIF, CubaLIF); of two signs those "
            "that take the threshold off (u - theta * spikes) and have no synaptic current",
        )


def _gain(graph: Graph, name: str, start: str, loop: set[str], passed: frozenset[str]) -> float:
    """By how much what leaves the delay ``start`` counts at most in what leaves a node of its loop."""
    if name == start:
        return 1.0
    if name in passed:  # a loop within the loop
        return float("inf")
    node = graph[name]
    factor = float(np.abs(node.factor).max()) if isinstance(node, Scale) else 1.0
    return factor * sum(
        _gain(graph, source, start, loop, passed | {name}) for source in graph.sources(name) if source in loop
    )


def _loop(graph: Graph, name: str) -> set[str]:
    """The nodes by which what leaves a delay comes back to it without passing neurons."""
    ahead, back = (_reached(graph, name, way) for way in (graph.targets, graph.sources))
    return ahead & back


def _reached(graph: Graph, name: str, way: Callable[[str], Iterable[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [each for each in way(name) if not isinstance(graph[each], LIF)]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += [each for each in way(here) if not isinstance(graph[each], LIF)]
    return reached
