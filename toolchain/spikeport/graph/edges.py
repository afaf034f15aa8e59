"""Whether the edges of a graph make a network: both ends there, one input, the outputs that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from spikeport.findings import Finding
from spikeport.graph.node import Node
from spikeport.graph.operation import named
from spikeport.graph.peak import Peak
from spikeport.graph.plumbing import Input

Edges = Sequence[tuple[str, str]]


def edge_findings(nodes: Mapping[str, Node], edges: Edges, outputs: Sequence[str]) -> Iterator[Finding]:
    """SP110, SP112 and SP119; ``outputs``: those that a graph of several names."""
    for edge in edges:
        if edge[0] in nodes and edge[1] in nodes:
            continue
        for end in sorted({end for end in edge if end not in nodes}):
            yield Finding("SP110", f"the edge {edge[0]!r} -> {edge[1]!r} names {end!r}, which is no node")
    unique = len(set(edges)) == len(edges)
    for edge in () if unique else sorted(edge for edge, count in Counter(edges).items() if count > 1):
        yield Finding(
            "SP110", f"the edge {edge[0]!r} -> {edge[1]!r} is there twice", mend="put a Scale of 2 into one edge"
        )
    inputs = [name for name, node in nodes.items() if isinstance(node, Input)]
    if len(inputs) != 1:
        yield Finding("SP112", f"{len(inputs)} inputs: {inputs}", mend="a graph has exactly one Input")
    yield from _output_findings(nodes, edges, outputs)
    heads: dict[str, list[str]] = {}
    for a, b in edges:
        heads.setdefault(b, []).append(a)
    yield from _operand_findings(nodes, heads)
    for name, node in nodes.items():
        if isinstance(node, Input) == (name in heads):
            yield Finding(
                "SP112", "an input takes no edge" if name in heads else "nothing enters it", where=f"node {name!r}"
            )


def _output_findings(nodes: Mapping[str, Node], edges: Edges, outputs: Sequence[str]) -> Iterator[Finding]:
    starts = {a for a, _ in edges}
    ends = [name for name in nodes if name not in starts]
    for name, node in nodes.items():
        if isinstance(node, Peak) and name in starts:
            what = "neurons that are read at their highest lead on, and nothing ever leaves them"
            yield Finding("SP112", what, f"node {name!r}", mend="put them at the end, beside what goes on")
    if not outputs and len(ends) != 1:
        mend = f"a graph of several outputs names them: named_outputs={tuple(ends)}" if ends else ""
        yield Finding("SP112", f"{len(ends)} nodes lead nowhere: {ends}", mend=mend or "a graph has an output")
    elif outputs and (len(outputs) < 2 or sorted(outputs) != sorted(ends)):
        yield Finding(
            "SP112",
            f"the outputs that it names are {list(outputs)}, the nodes that lead nowhere {ends}",
            mend="name each of two or more of these once; behind a node that leads on put a Scale of 1",
        )


def _operand_findings(nodes: Mapping[str, Node], heads: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    for name, node in nodes.items():
        if (names := named(node)) and set(names) != set(heads.get(name, ())):
            entering = sorted(heads.get(name, ()))
            yield Finding(
                "SP119",
                f"its operands are {', '.join(map(repr, names))}, its edges come from "
                f"{', '.join(map(repr, entering)) or 'nowhere'}",
                where=f"node {name!r}",
                mend="one edge from each node that is an operand, and no other",
            )
