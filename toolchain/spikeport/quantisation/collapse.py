"""Thresholds constant in time, for formats that cannot vary them: only when asked for."""

from __future__ import annotations

from typing import Literal

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import LIF, Graph, Node


def collapse(graph: Graph, kind: Literal["mean", "first"]) -> tuple[Graph, tuple[Finding, ...]]:
    """Replace each layer's schedule by its mean over time, or by its first threshold.

    Lossy: the findings name every layer that it changes, by how much. What it costs in accuracy is for the caller to
    measure (`api.quantize` prints it).
    """
    changes: dict[str, Node] = {}
    findings: list[Finding] = []
    for name, node in graph.nodes_of(LIF).items():
        theta = node.threshold.astype(np.float64)
        constant = theta.mean(axis=0) if kind == "mean" else theta[0]
        away = np.abs(theta / np.where(constant == 0, 1, constant) - 1)
        if not away[np.isfinite(away)].any():
            continue
        changes[name] = node.with_(threshold=np.broadcast_to(constant, theta.shape).astype(node.threshold.dtype))
        what = f"its {len(theta)} thresholds become their {kind}, up to {float(np.nanmax(away)):.1%} away"
        findings.append(
            Finding(
                "SP422",
                what,
                f"layer {name!r}",
                "the network is not the trained one any more.",
                "use a profile with schedules if the accuracy matters",
                "substituted",
            )
        )
    return graph.replace(changes), tuple(findings)
