"""``spikeport check``: what a target can run of a model, node by node, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from spikeport.files import plain
from spikeport.findings import Finding
from spikeport.graph import Graph
from spikeport.reporting.drawing import describe
from spikeport.target import target as target_of
from spikeport.told import Told
from spikeport.verbs.load import load_model
from spikeport.verbs.parameters import Dt, Frames, Help, ModelLike, Nir, Timesteps

State = Literal["supported", "substituted", "unsupported"]
Origin = Literal["stock", "ours", ""]

NODE = re.compile(r"node '([^']*)'")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One node on one target."""

    node: str
    what: str
    state: State
    origin: Origin  #: whether the simulator's own process runs it, or one of ours; "" where the target does not say
    process: str  #: name of that process
    remarks: tuple[str, ...]  #: what was found about it
    mend: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Check(Told):
    """What `check` found; every problem at once."""

    model: str
    target: str
    nodes: tuple[Verdict, ...]
    others: tuple[Finding, ...]  #: what the reader chose, and what concerns no single node
    findings: tuple[Finding, ...]

    @property
    def runs(self) -> bool:
        """Whether the target takes the model."""
        return not any(finding.severity == "error" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
            "target": self.target,
            "runs": self.runs,
            "nodes": plain(self.nodes),
            "findings": plain(self.findings),
        }


def check(
    model: ModelLike,
    target: Annotated[str, Help("`spikeport targets` lists them.", flags=("--target",))],
    *,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
) -> Check:
    """What a target can run of a model, node by node, before anything runs.

    Exit status 1 if something is unsupported.

    Raises SP501 for a target that there is not.

    Examples:

        spikeport check model.int.nir --target lava

        spikeport check model.nir --target integer --json
    """
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames)
    graph = loaded.graph
    asked = target_of(target)
    findings = tuple(asked.check(graph))
    processes = getattr(asked, "processes", None)  # a target need not have it
    running: dict[str, tuple[str, bool]] = {} if processes is None else processes(graph)
    by_node: dict[str, list[Finding]] = {}
    others = []
    for finding in findings:
        name = NODE.search(finding.where)
        if name and name[1] in graph.nodes:
            by_node.setdefault(name[1], []).append(finding)
        else:
            others.append(finding)
    nodes = tuple(_verdict(graph, name, by_node.get(name, ()), running.get(name)) for name in graph)
    return Check(loaded.name, target, nodes, (*loaded.findings, *others), (*loaded.findings, *findings))


def _verdict(graph: Graph, name: str, findings: Sequence[Finding], running: tuple[str, bool] | None) -> Verdict:
    severities = {one.severity for one in findings}
    state: State = "supported"
    if "error" in severities:
        state = "unsupported"
    elif "substituted" in severities:
        state = "substituted"
    remarks = tuple(f"{one.code} {one.what}" for one in findings)
    process, stock = ("", True) if running is None or state == "unsupported" else running
    origin: Origin = "" if not process else "stock" if stock else "ours"
    mend = tuple(one.mend for one in findings if one.mend)
    return Verdict(name, describe(graph[name]), state, origin, process, remarks, mend)
