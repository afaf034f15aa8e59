"""``spikeport check``: what a target can run of a model, node by node, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spikeport.api.load import Model, load_model
from spikeport.findings import Finding
from spikeport.graph import Graph
from spikeport.report.drawing import describe
from spikeport.targets import target as target_of

State = Literal["supported", "substituted", "unsupported"]

NODE = re.compile(r"node '([^']*)'")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One node on one target."""

    node: str
    what: str
    state: State
    remarks: tuple[str, ...]  #: what was found about it
    mend: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """What `check` found; every problem at once."""

    model: str
    target: str
    nodes: tuple[Verdict, ...]
    others: tuple[Finding, ...]  #: what concerns no single node
    findings: tuple[Finding, ...]

    @property
    def runs(self) -> bool:
        """Whether the target takes the model."""
        return not any(found.severity == "error" for found in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
            "target": self.target,
            "runs": self.runs,
            "nodes": [{"node": v.node, "what": v.what, "state": v.state, "remarks": v.remarks, "mend": v.mend}
                      for v in self.nodes],
            "findings": [found.as_dict() for found in self.findings],
        }  # fmt: skip


def check(model: Model | Graph | Path | str, target: str) -> Check:
    """Ask a target about every node of a model; nothing runs. Raises SP501 for a target that there is not."""
    loaded = load_model(model)
    graph = loaded.graph
    findings = tuple(target_of(target).check(graph))
    by_node: dict[str, list[Finding]] = {}
    others = []
    for found in findings:
        name = NODE.search(found.where)
        if name and name[1] in graph.nodes:
            by_node.setdefault(name[1], []).append(found)
        else:
            others.append(found)
    nodes = tuple(_verdict(name, describe(graph[name]), by_node.get(name, ())) for name in graph)
    return Check(loaded.name, target, nodes, tuple(others), findings)


def _verdict(name: str, what: str, found: Sequence[Finding]) -> Verdict:
    severities = {one.severity for one in found}
    state: State = "supported"
    if "error" in severities:
        state = "unsupported"
    elif "substituted" in severities:
        state = "substituted"
    remarks = tuple(f"{one.code} {one.what}" for one in found)
    return Verdict(name, what, state, remarks, tuple(one.mend for one in found if one.mend))
