"""Where a recurrent network of continuous equations gets the delay that steps need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spikeport.graph import LIF, Delay, Input, Node

Edge = tuple[str, str]


def cuts(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> list[Edge]:
    """One edge of every cycle that passes through no Delay."""
    return [_behind_the_neuron(nodes, edges, edge) for edge in _closing(nodes, edges)]


def _behind_the_neuron(nodes: Mapping[str, Node], edges: Sequence[Edge], edge: Edge) -> Edge:
    """Where to delay a feedback edge: in front of its synapses, whose biases are there from the first step on."""
    while True:
        name = edge[0]
        sources = [a for a, b in edges if b == name]
        alone = len(sources) == 1 and sum(a == name for a, _ in edges) == 1
        if isinstance(nodes[name], LIF) or not alone:
            return edge
        edge = (sources[0], name)


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
