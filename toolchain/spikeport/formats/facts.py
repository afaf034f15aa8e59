"""A graph as plain facts (JSON values) and arrays, and back to the bit: what both formats store beside their own words.

`version` is raised when a reader of the old version would misread the new one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from spikeport import graph as nodes
from spikeport.findings import SpikeportError, fail, require
from spikeport.formats.typed import require_types
from spikeport.graph import Arithmetic, Array, Graph, Loihi, Node, Profile, Real
from spikeport.graph.arithmetic import GROUP
from spikeport.plugins import entries

VERSION = 1
NOT_FINITE = ("inf", "-inf", "nan")  #: numbers that JSON cannot say

Facts = dict[str, Any]
OWN: dict[str, type[Real] | type[Loihi]] = {kind.kind: kind for kind in (Real, Loihi)}
STATELESS = (nodes.Input, nodes.Conv, nodes.Linear, nodes.Pool, nodes.Flatten, nodes.Scale, nodes.Norm)
STATEFUL = (nodes.LIF, nodes.CubaLIF, nodes.ALIF, nodes.Peak, nodes.Delay, nodes.Readout)
KINDS: dict[str, type[Node]] = {kind.__name__: kind for kind in (*STATELESS, *STATEFUL, *nodes.OPERATIONS)}


def node_facts(node: Node) -> tuple[Facts, dict[str, Array]]:
    """The fields of a node that are plain values, and those that are arrays (None stands among the plain ones)."""
    facts: Facts = {"type": type(node).__name__}
    arrays: dict[str, Array] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if node.silent(field.name):
            continue
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        else:
            facts[field.name] = _plain(value)
    return facts, arrays


def node_from(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Node:
    """The node that `node_facts` described. Raises KeyError, TypeError or SpikeportError for anything else."""
    values = dict(facts)
    kind = KINDS[values.pop("type")]
    known = {field.name for field in fields(kind)}
    if not known - set(kind.later) <= set(values) | set(arrays) <= known:
        raise TypeError(f"a {kind.__name__} has the fields {sorted(known)}, not {sorted(set(values) | set(arrays))}")
    plain = {name: _value(value) for name, value in values.items()}
    require_types(kind, {**plain, **arrays})
    return kind(**plain, **arrays)


def graph_facts(graph: Graph) -> Facts:
    """What belongs to the graph as a whole."""
    return {
        "timesteps": graph.timesteps,
        "after_end": graph.after_end,
        "arithmetic": {"kind": graph.arithmetic.kind, **graph.arithmetic.facts()},
        "provenance": dict(graph.provenance),
        **({"outputs": list(graph.named_outputs)} if graph.named_outputs else {}),
    }


def graph_from(facts: Mapping[str, Any], nodes: Mapping[str, Node], edges: Iterable[tuple[str, str]]) -> Graph:
    """The graph that `graph_facts` described. Raises TypeError where a fact is of another type."""
    outputs = _value(facts.get("outputs", []))
    known = {name: facts[name] for name in ("timesteps", "after_end", "provenance")}
    require_types(Graph, {**known, "named_outputs": outputs})
    return Graph(
        nodes,
        tuple(edges),
        timesteps=facts["timesteps"],
        arithmetic=arithmetic_from(facts["arithmetic"]),
        after_end=facts["after_end"],
        provenance=facts["provenance"],
        named_outputs=outputs,
    )


def require_own(graph: Graph, what: str) -> None:
    """Raise SP125 where a graph's arithmetic is a plug-in's, whose equations ``what`` does not know."""
    require(
        graph.arithmetic.kind in OWN,
        "SP125",
        f"{what} does not know the arithmetic {graph.arithmetic.kind!r}",
        mend="use a target of the package that brings it; NIR files hold it with their guards",
    )


def to_json(facts: Mapping[str, Any]) -> str:
    """Canonical JSON: sorted keys, no spaces. Raises SP206 for values that JSON cannot hold."""
    try:
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        fail(
            "SP206",
            f"the provenance of the graph holds what JSON cannot say ({error})",
            mend="use text, numbers, lists and dictionaries only",
        )


def digest(parts: Iterable[tuple[str, str | Array]]) -> str:
    """SHA-256 over named texts and arrays; an array counts with its type, shape and every bit."""
    total = hashlib.sha256()
    for name, value in parts:
        if isinstance(value, str):
            head, body = f"{name}\0text\0{len(value)}\0", value.encode("utf-8", "surrogatepass")
            total.update(head.encode("utf-8", "surrogatepass") + body)
        else:
            head = f"{name}\0{value.dtype.newbyteorder('<').str}\0{list(value.shape)}\0"
            total.update(head.encode("utf-8", "surrogatepass"))
            total.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def misread(error: Exception) -> str:
    """One line that says what a damaged file made of a fact."""
    if isinstance(error, SpikeportError):
        return "; ".join(
            f"{finding.where}: {finding.what}" if finding.where else finding.what for finding in error.findings[:3]
        )
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}  # JSON has no infinity
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) != {"float"} or value["float"] not in NOT_FINITE:
            raise TypeError(f"a number written as {dict(value)}")
        return float(value["float"])
    if isinstance(value, list):
        return tuple(_value(item) for item in value)
    return value


def arithmetic_from(facts: Mapping[str, Any]) -> Arithmetic:
    """The arithmetic of a graph's facts, ours or a plug-in's. Raises SP124 where none of its kind is installed."""
    kind = str(facts["kind"])
    if kind == Loihi.kind:
        require_types(Profile, {name: _value(value) for name, value in facts["profile"].items()})
    if kind in OWN:
        return OWN[kind].from_facts(facts)
    brought = entries(GROUP)
    if kind not in brought:
        fail(
            "SP124",
            f"its numbers are of the arithmetic {kind!r}, which is not installed",
            mend=f"install the package that brings it; known are {', '.join([*OWN, *brought])}",
        )
    made: Arithmetic = brought[kind].load().from_facts(facts)
    return made
