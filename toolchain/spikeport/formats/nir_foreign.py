"""NIR files that other tools wrote."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.formats.nir_file import Tree
from spikeport.graph import Graph


def read(tree: Tree, where: str, dt: float) -> tuple[Graph, tuple[Finding, ...]]:
    """The graph of a file without our metadata."""
    refuse_stripped(tree, where)
    fail("SP210", "was not written by spikeport, and other tools' NIR is not read yet", where=where)


def refuse_stripped(tree: Tree, where: str) -> None:
    """Raises SP203 where a threshold is not finite: a guard whose schedule another tool dropped."""
    nodes = tree.get("nodes")
    if not isinstance(nodes, Mapping):
        fail("SP202", "holds no nodes", where=where)
    lost = []
    for name, node in nodes.items():
        threshold = node.get("v_threshold") if isinstance(node, Mapping) else None
        if isinstance(threshold, np.ndarray) and threshold.dtype.kind == "f" and not np.isfinite(threshold).all():
            lost.append(name)
    if lost:
        fail(
            "SP203",
            f"the thresholds of {', '.join(map(repr, lost[:8]))} are infinite and no metadata say what they were",
            where=where,
            why="another tool rewrote the file and dropped the schedules; these neurons would never fire.",
            mend="export it again from the model that it came from",
        )
