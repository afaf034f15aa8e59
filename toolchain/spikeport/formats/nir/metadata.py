"""What NIR cannot say, in its metadata: the schema of docs/formats/nir.md, written and read back to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

import numpy as np

from spikeport.findings import Finding, SpikeportError, fail, require
from spikeport.formats import facts as facts_
from spikeport.formats.choices import Thresholds
from spikeport.formats.nir.file import Filled, Packed, Tree, equal_or
from spikeport.formats.nir.safe_names import safe_names
from spikeport.formats.nir.to_nir import Context, Lowered, lower, own_word, readable, weight_size
from spikeport.graph import OPERATIONS, Array, Conv, Graph, Node, Readout

KEY = "spikeport"
NEURONS = ("schedule", "decay", "reset-subtract", "reset-none", "several-spikes", "lower-bound")
WHOLE = ("integers", "arithmetic", "outputs", "readout-channels")
OTHERS = ("ALIF", "Peak", "Conv3d", "Pool3d", "Norm3d")
FEATURES = frozenset([*NEURONS, *WHOLE, *OTHERS, *(kind.__name__ for kind in OPERATIONS)])  #: what this version knows
SUM = "digest"
LARGEST_WEIGHT = 2**29  #: numbers in one weight of NIR's


def to_tree(graph: Graph, thresholds: Thresholds, dt: float) -> tuple[Tree, list[Finding]]:
    """A graph in NIR's words with our metadata, and what others should know of it."""
    names = _names(graph)
    findings: list[Finding] = []
    no_word: dict[str, list[str]] = {}
    nodes: Tree = {}
    needs: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        size = weight_size(node, graph.input_shape(name))
        require(
            size <= LARGEST_WEIGHT,
            "SP206",
            f"its weight would take {size:,} numbers, most of them zeros",
            where=f"node {name!r}",
            mend="fold normalisations, or export to ONNX",
        )
        lowered = lower(node, _context(graph, name, thresholds, dt))
        for need in sorted(lowered.needs):
            needs.setdefault(need, []).append(names[name])
        facts, arrays = facts_.node_facts(node)
        facts["kept"] = lowered.kept
        extra = {key: equal_or(value) for key, value in arrays.items() if key not in lowered.kept}
        meta: Tree = {"facts": facts_.to_json(facts), **extra}
        nodes[names[name]] = {**lowered.fields, "metadata": {KEY: meta}}
        if own := own_word(node, graph.input_shape(name)):
            no_word.setdefault(own, []).append(name)
        elif isinstance(node, Conv) and not readable(node):
            findings.append(_unreadable(name, node))
    findings += [_no_word(own, among) for own, among in no_word.items()]
    edges = [[names[a], names[b]] for a, b in graph.edges]
    about = facts_.graph_facts(graph) | {
        "version": facts_.VERSION,
        "requires": sorted(needs),
        "guarded": needs if thresholds == "guard" else {},
        "thresholds": thresholds,
        "dt": dt,
        "names": [[safe, name] for name, safe in names.items()],
    }
    ends = []
    for output in graph.outputs:
        if not isinstance(graph.nodes[output], Readout):
            end = safe_names(["output"], nodes)["output"]
            nodes[end] = {"type": "Output", "shape": np.array(graph.shapes[output], dtype=np.int64)}
            edges.append([names[output], end])
            ends.append(end)
    if graph.named_outputs:
        about |= {"requires": sorted({*needs, "outputs"}), "ends": ends}
    elif ends:
        about["end"] = ends[0]
    tree: Tree = {"type": "NIRGraph", "nodes": nodes, "edges": edges}
    meta = {"facts": facts_.to_json(about)}
    tree["metadata"] = {KEY: meta}
    meta[SUM] = facts_.digest(_parts(tree))
    return tree, findings


def _names(graph: Graph) -> dict[str, str]:
    """Safe names; other tools look for a node called "input", and for "output"."""
    fixed = {graph.input: "input"}
    if isinstance(graph.nodes[graph.output], Readout):
        fixed[graph.output] = "output"
    others = safe_names([name for name in graph.nodes if name not in fixed], ["input", "output"])
    return {name: fixed.get(name) or others[name] for name in graph.nodes}


def _context(graph: Graph, name: str, thresholds: Thresholds, dt: float) -> Context:
    return Context(graph.arithmetic, dt, thresholds, graph.input_shape(name))


def _unreadable(name: str, node: Conv) -> Finding:
    return Finding(
        "SP208",
        f"a kernel of {node.kernel} cannot be written so that nir 1.0.8's type check accepts it",
        where=f"node {name!r}",
        why="that check takes the first kernel size for both axes.",
        mend="other tools open the file with nir.read(path, type_check=False)",
        severity="note",
    )


def _no_word(own: str, names: list[str]) -> Finding:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Finding(
        "SP219",
        f"NIR has no {own}; spikeport reads it, other tools refuse the file",
        where=f"node {names[0]!r}{more}",
        why="NIR's nodes add what enters them, its windows have one axis or two, its thresholds stay.",
        mend="nothing if spikeport reads the file; ONNX says it with standard operators",
        severity="note",
    )


def _parts(tree: Tree) -> Iterator[tuple[str, str | Array]]:
    """Everything of ours in a file, in an order that does not depend on the order in it."""
    yield "graph", tree["metadata"][KEY]["facts"]
    yield "edges", json.dumps(sorted([str(a), str(b)] for a, b in tree["edges"]))
    for name in sorted(tree["nodes"]):
        node = tree["nodes"][name]
        meta = node.get("metadata", {}).get(KEY)
        if meta is None:
            continue
        yield f"{name}/facts", meta["facts"]
        for key in sorted(set(meta) - {"facts"}):
            yield f"{name}/{key}", _array(meta[key])
        for key, source in sorted(json.loads(meta["facts"])["kept"].items()):
            yield f"{name}/{key}", _array(node[source])


def _array(value: Any) -> Array:
    if isinstance(value, Filled):
        return np.broadcast_to(value.value, value.shape)
    return value.array if isinstance(value, Packed) else np.asarray(value)


def announced(tree: Mapping[str, Any]) -> bool:
    """Whether a file says that it carries our metadata."""
    metadata = tree.get("metadata")
    return isinstance(metadata, Mapping) and KEY in metadata


def from_tree(tree: Tree, where: str) -> Graph:
    """The graph that `to_tree` wrote.

    Raises SP202 (damaged), SP203 (metadata gone), SP204 (altered), SP205 (needs what this version does not know).
    """
    try:
        about = json.loads(tree["metadata"][KEY]["facts"])
        _known(about, where)
        names: dict[str, str] = dict(about["names"])
        _complete(tree, names, about, where)
        if facts_.digest(_parts(tree)) != tree["metadata"][KEY].get(SUM):
            _altered("its contents and their digest disagree", where)
        nodes = {name: _node(tree["nodes"][safe]) for safe, name in names.items()}
        edges = [(names[a], names[b]) for a, b in tree["edges"] if b not in _ends(about)]
        graph = facts_.graph_from(about, nodes, edges)
        _same_words(tree, graph, about, where)
    except SpikeportError as error:
        if error.code.startswith(("SP2", "SP124")):
            raise
        fail("SP202", f"holds a graph that cannot be ({facts_.misread(error)})", where=where, mend="export it again")
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        RecursionError,
        ArithmeticError,
        MemoryError,
    ) as error:
        fail("SP202", f"its metadata is damaged ({facts_.misread(error)})", where=where, mend="export it again")
    return graph


def _known(about: Mapping[str, Any], where: str) -> None:
    mend = "update spikeport, or ask for the file in an older form"
    if about["version"] != facts_.VERSION:
        fail(
            "SP205",
            f"its metadata have version {about['version']}, this spikeport reads {facts_.VERSION}",
            where=where,
            mend=mend,
        )
    unknown = sorted(set(about["requires"]) - FEATURES)
    if unknown:
        fail(
            "SP205",
            f"it requires {', '.join(map(repr, unknown))}, which this spikeport does not know",
            where=where,
            why="without that its spikes would be others.",
            mend=mend,
        )


def _complete(tree: Tree, names: Mapping[str, str], about: Mapping[str, Any], where: str) -> None:
    nodes = tree["nodes"]
    lost = [names[safe] for safe in names if not announced(nodes.get(safe, {}))]
    if lost:
        fail(
            "SP203",
            "the metadata that the file announces are gone from " + ", ".join(map(repr, lost[:8])),
            where=where,
            why="another tool rewrote the file and dropped them; running it would give different spikes.",
            mend="export it again from the model that it came from",
        )
    added = sorted(set(nodes) - set(names) - _ends(about))
    if added:
        _altered(f"it holds nodes that its metadata do not know: {', '.join(map(repr, added[:8]))}", where)


def _ends(about: Mapping[str, Any]) -> set[str]:
    """The nodes that only say where an output leaves."""
    return {about["end"]} if "end" in about else set(about.get("ends", ()))


def _altered(what: str, where: str) -> None:
    fail(
        "SP204",
        what,
        where=where,
        why="something changed the file after spikeport wrote it, so nobody knows which network it is.",
        mend="export it again; to change a model on purpose, change it before the export",
    )


def _node(tree: Tree) -> Node:
    meta = tree["metadata"][KEY]
    facts = json.loads(meta["facts"])
    arrays = {key: np.asarray(value) for key, value in meta.items() if key != "facts"}
    arrays |= {key: np.asarray(tree[source]) for key, source in facts.pop("kept").items()}
    return facts_.node_from(facts, arrays)


def _same_words(tree: Tree, graph: Graph, about: Mapping[str, Any], where: str) -> None:
    """NIR's own words must still say what they said: nobody else reads the metadata."""
    thresholds = about["thresholds"]
    if thresholds not in get_args(Thresholds):
        raise ValueError(f"thresholds written as {thresholds!r}")
    for safe, name in about["names"]:
        size = weight_size(graph.nodes[name], graph.input_shape(name))
        if size and np.asarray(tree["nodes"][safe].get("weight")).size != size:  # before anything of that size is made
            _altered(f"the weight of the node {name!r} is not what spikeport wrote", where)
        lowered: Lowered = lower(graph.nodes[name], _context(graph, name, cast(Thresholds, thresholds), about["dt"]))
        for key, value in lowered.fields.items():
            if key in lowered.kept.values():
                continue
            written = tree["nodes"][safe].get(key)
            same = written == value if isinstance(value, str) else np.array_equal(np.asarray(written), _array(value))
            if not same:
                _altered(f"{key} of the node {name!r} is not what spikeport wrote", where)
