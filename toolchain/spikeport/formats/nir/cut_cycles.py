"""Where a recurrent network of continuous equations gets the delay that steps need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spikeport.graph import LIF, Delay, Input, Node

Edge = tuple[str, str]


def cuts(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> list[Edge]:
    """One edge of every cycle that passes through no Delay."""
    closing = _closing(nodes, edges)
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    leaving = dict.fromkeys(nodes, 0)
    for a, b in edges if closing else ():
        sources[b].append(a)
        leaving[a] += 1
    return [_behind_the_neuron(nodes, sources, leaving, edge) for edge in closing]


def _behind_the_neuron(
    nodes: Mapping[str, Node], sources: Mapping[str, list[str]], leaving: Mapping[str, int], edge: Edge
) -> Edge:
    """Where to delay a feedback edge: in front of its synapses, whose biases are there from the first step on."""
    while True:
        name = edge[0]
        if isinstance(nodes[name], LIF) or len(sources[name]) != 1 or leaving[name] != 1:
            return edge
        edge = (sources[name][0], name)


def _closing(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> list[Edge]:
    """The edges that close a cycle without Delay, found depth first from the input."""
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for a, b in edges:
        if not isinstance(nodes[a], Delay) and not isinstance(nodes[b], Delay):
            after[a].append(b)
    start = [name for name, node in nodes.items() if isinstance(node, Input)]
    on_path: dict[str, bool] = {}
    closing: list[tuple[str, str]] = []
    for root in start + [name for name in nodes if name not in start]:
        if root in on_path:
            continue
        on_path[root] = True
        stack = [(root, iter(after[root]))]
        while stack:
            name, following = stack[-1]
            target = next(following, None)
            if target is None:
                on_path[name] = False
                stack.pop()
            elif target not in on_path:
                on_path[target] = True
                stack.append((target, iter(after[target])))
            elif on_path[target]:
                closing.append((name, target))
    return closing
