"""A NIR tree as one flat network: subgraphs opened, every edge checked, all problems reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikeport.findings import Finding, SpikeportError
from spikeport.formats.nir.file import Tree
from spikeport.graph import Array

#: NIR 1.0.8's vocabulary: required fields, optional ones
FIELDS: Mapping[str, tuple[set[str], set[str]]] = {
    "Input": ({"shape"}, set()),
    "Output": ({"shape"}, set()),
    "Affine": ({"weight", "bias"}, set()),
    "Linear": ({"weight"}, set()),
    "Scale": ({"scale"}, set()),
    "Conv1d": ({"weight"}, {"bias", "stride", "padding", "dilation", "groups", "input_shape"}),
    "Conv2d": ({"weight"}, {"bias", "stride", "padding", "dilation", "groups", "input_shape"}),
    "SumPool2d": ({"kernel_size", "stride", "padding"}, set()),
    "AvgPool2d": ({"kernel_size", "stride", "padding"}, set()),
    "Flatten": (set(), {"start_dim", "end_dim", "input_type"}),
    "Delay": ({"delay"}, set()),
    "Threshold": ({"threshold"}, set()),
    "I": ({"r"}, set()),
    "IF": ({"r", "v_threshold"}, {"v_reset"}),
    "LI": ({"tau", "r", "v_leak"}, set()),
    "LIF": ({"tau", "r", "v_leak", "v_threshold"}, {"v_reset"}),
    "CubaLI": ({"tau_syn", "tau_mem", "r", "v_leak"}, {"w_in"}),
    "CubaLIF": ({"tau_syn", "tau_mem", "r", "v_leak", "v_threshold"}, {"w_in", "v_reset"}),
}
MOST_ERRORS = 100  #: that are listed of a file; the others are likely more of the same
MOST_EDGES = 2**20  #: of a network
TEXT = {"padding"}  #: the field that may be a word


@dataclass(frozen=True)
class Raw:
    """One node as the file has it."""

    kind: str
    fields: Mapping[str, Any]

    def array(self, name: str) -> Array:
        """A field as an array."""
        return np.asarray(self.fields[name])

    def parameter(self, name: str) -> Array:
        """A field of a neuron: [] where the file holds one value for all, so that nothing is made that it claims."""
        value = self.array(name)
        once = value.size > 0 and all(step == 0 or n == 1 for step, n in zip(value.strides, value.shape, strict=True))
        return value[tuple(slice(0, 1) for _ in value.shape)].reshape(()) if once else value


@dataclass(frozen=True)
class Flat:
    """A network without subgraphs; nodes in the order of the file."""

    nodes: Mapping[str, Raw]
    edges: tuple[tuple[str, str], ...]

    @cached_property
    def sources(self) -> Mapping[str, list[str]]:
        """The nodes that enter each node, in the order of the edges."""
        return self._ends(1, 0)

    @cached_property
    def targets(self) -> Mapping[str, list[str]]:
        """The nodes that each node enters."""
        return self._ends(0, 1)

    def _ends(self, of: int, other: int) -> dict[str, list[str]]:
        ends: dict[str, list[str]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            ends[edge[of]].append(edge[other])
        return ends


def flat(tree: Tree, where: str) -> tuple[Flat, list[Finding]]:
    """Open all subgraphs. Raises SP202 for what is no graph, SP210 for nodes that NIR does not have, SP211 for edges.

    Returns also the fields that nobody knows, as notes.
    """
    nodes: dict[str, Raw] = {}
    edges: list[tuple[str, str]] = []
    findings: list[Finding] = []
    wrong = 0
    for finding in _open(tree, "", nodes, edges):
        findings.append(finding)
        wrong += finding.severity == "error"
        if wrong >= MOST_ERRORS:
            break
    if not wrong:
        edges, more = _through(nodes, edges)
        findings += more
    findings = [
        Finding(f.code, f.what, f"{where}, {f.where}" if f.where else where, f.why, f.mend, f.severity)
        for f in findings
    ]
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise SpikeportError(errors)
    return Flat(nodes, tuple(edges)), findings


def _open(tree: Any, prefix: str, nodes: dict[str, Raw], edges: list[tuple[str, str]]) -> Iterator[Finding]:
    """Put the nodes of a graph under ``prefix``; the ends of a subgraph become nodes of kind In and Out."""
    inside = f"subgraph {prefix[:-1]!r}" if prefix else ""
    if not isinstance(tree, Mapping) or not isinstance(tree.get("nodes"), Mapping):
        yield Finding("SP202", "holds no nodes", inside, mend="a NIR graph has a group 'nodes'")
        return
    entries = list(_named(tree["nodes"], ""))
    subgraphs: dict[str, tuple[str, str]] = {}
    for name, node in entries:
        kind = node.get("type") if isinstance(node, Mapping) else None
        kind = kind if isinstance(kind, str) else None
        where = f"node {prefix + name!r}"
        if kind == "NIRGraph":
            ends = {part: [n for n, v in _items(node) if v.get("type") == part] for part in ("Input", "Output")}
            if any(len(names) != 1 for names in ends.values()):
                yield Finding(
                    "SP211",
                    f"has {len(ends['Input'])} inputs and {len(ends['Output'])} outputs",
                    where,
                    mend="a subgraph needs one of each",
                )
                continue
            subgraphs[name] = (f"{prefix}{name}.{ends['Input'][0]}", f"{prefix}{name}.{ends['Output'][0]}")
            yield from _open(node, f"{prefix}{name}.", nodes, edges)
        elif not isinstance(kind, str) or kind not in FIELDS:
            yield Finding(
                "SP210",
                f"is of the type {kind!r}, which NIR 1.0.8 does not have",
                where,
                mend="use one of " + ", ".join(sorted({*FIELDS, "NIRGraph"})),
            )
        else:
            if prefix + name in nodes:
                yield Finding(
                    "SP211", "is there twice: in a subgraph and under a name with a dot", where, mend="rename one"
                )
            yield from _fields(kind, node, where)
            nodes[prefix + name] = Raw(kind, {k: v for k, v in node.items() if k not in ("type", "metadata")})
    opened = _opened(entries)
    for name in opened:
        first, last = (f"{prefix}{name}.{end}" for end in ("input", "output"))
        what = f"edges name a subgraph {name!r} whose nodes stand beside it; they are taken to lead to its ends"
        mend = f"name {first!r} and {last!r} in the edges"
        yield Finding("SP224", what, inside, mend=mend, severity="note")
        subgraphs[name] = (first, last)
    yield from _edges(tree.get("edges"), {name for name, _ in entries}, subgraphs, prefix, edges, inside)


def _opened(entries: list[tuple[str, Any]]) -> list[str]:
    """Subgraphs that a tool opened, but not in the edges: NAME.input and NAME.output are there, NAME is not."""
    kinds = {name: node.get("type") for name, node in entries if isinstance(node, Mapping)}
    stems = [name.removesuffix(".input") for name, kind in kinds.items() if name.endswith(".input") and kind == "Input"]
    return [stem for stem in stems if stem not in kinds and kinds.get(f"{stem}.output") == "Output"]


def _named(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Nodes by name; HDF5 made groups within groups of a name with slashes."""
    for name, node in tree.items():
        inner = isinstance(node, Mapping) and "type" not in node and bool(node)
        if inner and all(isinstance(value, Mapping) for value in node.values()):
            yield from _named(node, f"{prefix}{name}/")
        else:
            yield prefix + name, node


def _items(tree: Any) -> list[tuple[str, Any]]:
    nodes = tree.get("nodes")
    return [(n, v) for n, v in nodes.items() if isinstance(v, Mapping)] if isinstance(nodes, Mapping) else []


def _fields(kind: str, node: Mapping[str, Any], where: str) -> Iterator[Finding]:
    needed, optional = FIELDS[kind]
    missing = sorted(needed - set(node))
    if missing:
        yield Finding("SP202", f"the {kind} has no {', '.join(missing)}", where, mend="export it again")
    wrong = sorted(key for key in (needed | optional) & set(node) if not _fits(key, node[key]))
    if wrong:
        yield Finding(
            "SP202", f"{', '.join(wrong)} of the {kind} is no array of numbers", where, mend="export it again"
        )
    unknown = sorted(set(node) - needed - optional - {"type", "metadata"})
    if unknown:
        yield Finding(
            "SP212",
            f"{', '.join(unknown)} is no field of a {kind} and is left out",
            where,
            mend="if it changes what the node computes, say it in NIR's own fields",
            severity="note",
        )


def _fits(key: str, value: Any) -> bool:
    if isinstance(value, str):
        return key in TEXT and value in ("same", "valid")
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _edges(
    table: Any,
    names: set[str],
    subgraphs: Mapping[str, tuple[str, str]],
    prefix: str,
    edges: list[tuple[str, str]],
    inside: str,
) -> Iterator[Finding]:
    if not isinstance(table, np.ndarray) or (table.size and (table.ndim != 2 or table.shape[1] != 2)):
        yield Finding("SP202", "holds no table of edges", inside, mend="export it again")
        return
    if len(table) + len(edges) > MOST_EDGES:
        yield Finding("SP207", f"holds {len(table):,} edges; {MOST_EDGES:,} are read", inside, mend="split the network")
        return
    seen: set[tuple[str, str]] = set()
    every = names | set(subgraphs)
    rows = [(a, b) for a, b in table.reshape(-1, 2).tolist()]
    if not prefix and not subgraphs and len(set(rows)) == len(rows) and names.issuperset(table.flat):
        edges.extend(rows)  # nothing is wrong with them, and nothing is to be opened
        return
    for a, b in rows:
        known = names if a == b else every  # a subgraph that feeds itself is more than a wrong name
        if a not in known or b not in known:
            lost = sorted({a, b} - known)
            yield Finding(
                "SP211",
                f"the edge {a!r} -> {b!r} leads to no node called {', '.join(map(repr, lost))}",
                inside,
                mend="mend the name, or take the edge out",
            )
            continue
        if (a, b) in seen:
            yield Finding(
                "SP211",
                f"the edge {a!r} -> {b!r} is there twice",
                inside,
                why="NIR forbids it: some tools add twice, others once.",
                mend="keep one; for a factor of 2 put a Scale into it",
            )
            continue
        seen.add((a, b))
        start = subgraphs[a][1] if a in subgraphs else prefix + a
        end = subgraphs[b][0] if b in subgraphs else prefix + b
        edges.append((start, end))


def _through(nodes: dict[str, Raw], edges: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[Finding]]:
    """Take out the inputs and outputs of subgraphs, joining what enters to what leaves."""
    tails, heads = {a for a, _ in edges}, {b for _, b in edges}
    ends = {"Input": heads, "Output": tails}
    inner = [name for name, raw in nodes.items() if name in ends.get(raw.kind, ())]
    if not inner:
        return edges, []
    before: dict[str, dict[str, None]] = {name: {} for name in nodes}
    after: dict[str, dict[str, None]] = {name: {} for name in nodes}
    for a, b in edges:
        before[b][a] = after[a][b] = None
    findings = []
    count = len(edges)
    for name in inner:
        joined = [(a, b) for a in before[name] for b in after[name]]
        doubled = sorted((a, b) for a, b in joined if b in after[a])
        if doubled or name in before[name]:
            what = f"around {name!r} the same value would enter {doubled[:8]} twice"
            findings.append(Finding("SP211", what, mend="put a Scale into one of the edges"))
        count += len(joined)
        if count > MOST_EDGES:
            what = f"joins more than {MOST_EDGES:,} edges through its subgraphs"
            return edges, [Finding("SP207", what, mend="split the network")]
        for a in before[name]:
            del after[a][name]
        for b in after[name]:
            del before[b][name]
        for a, b in joined:
            after[a][b] = before[b][a] = None
        del nodes[name], before[name], after[name]
    return [(a, b) for a in after for b in after[a]], findings
