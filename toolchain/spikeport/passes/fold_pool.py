"""Average pools become sum pools, which integers can do."""

from __future__ import annotations

import numpy as np

from spikeport.findings import Finding, SpikeportError
from spikeport.graph import LIF, Delay, Flatten, Graph, Node, Operation, Pool, Readout, Scale, Sum, Synapse
from spikeport.passes.linear import feeders, finding, real_dtype, scaled_inputs, scaled_outputs


def fold_pool(graph: Graph) -> Graph:
    """Turn every average pool into a sum pool and move its factor 1/area into the weights beside it.

    1. Forward: into the weights of all synapses, the gain of all neurons and the weights of the readout that it
       reaches through flattens, pools, scales, delays, sums and operations that move values, if nothing else adds to
       what they get.
    2. Otherwise backward: into the synapses before it, if they feed nothing else.
    3. Otherwise, where the area is a power of two, a scale of 1/area stays behind it, on the way to each target.
    4. Otherwise it is a finding.

    Requires: Real arithmetic. Ensures: no average pool is left; spikes as before, and to the bit where the area is a
    power of two. Raises SP352 with every pool of rule 4, SP354 for integers.
    """
    real_dtype(graph, "fold_pool")
    findings: list[Finding] = []
    for name, node in graph.nodes_of(Pool).items():
        if node.kind != "average":
            continue
        factor = 1.0 / node.area
        moved = _forward(graph, name, factor) or _backward(graph, name, factor) or _behind(graph, name, node.area)
        if moved is None:
            findings.append(
                finding(
                    "SP352",
                    name,
                    f"the factor 1/{node.area} of this average pool has nowhere to go",
                    "what follows also gets values that are not pooled, and what comes before also goes elsewhere.",
                    "pool after the sum instead of before it, or use a sum pool in training",
                )
            )
            continue
        graph = moved.replace({name: node.with_(kind="sum")})
    if findings:
        raise SpikeportError(findings)
    return graph


def _forward(graph: Graph, name: str, factor: float) -> Graph | None:
    dtype = real_dtype(graph, "fold_pool")
    passed, changes = {name}, dict[str, Node]()
    for target in graph.order:
        sources, node = set(graph.sources(target)), graph[target]
        if not sources & passed:
            continue
        if not sources <= passed:
            return None
        if isinstance(node, Synapse):
            changes[target] = scaled_inputs(node, np.asarray(factor), dtype)
        elif isinstance(node, LIF):
            changes[target] = node.with_(gain=(node.gain.astype(np.float64) * factor).astype(dtype))
        elif isinstance(node, Readout):
            weight, bias = node.weight.astype(np.float64) * factor, node.bias.astype(np.float64) / factor
            changes[target] = node.with_(weight=weight.astype(dtype), bias=bias.astype(dtype))
        elif _passes(node) and graph.targets(target):
            passed.add(target)
        else:
            return None
    return graph.replace(changes) if changes else None


def _passes(node: Node) -> bool:
    """Whether a positive factor before a node is one behind it."""
    return isinstance(node, Flatten | Pool | Scale | Delay | Sum) or (isinstance(node, Operation) and node.moves)


def _behind(graph: Graph, name: str, area: int) -> Graph | None:
    if area & (area - 1) or not graph.targets(name):
        return None
    scale = Scale(np.asarray(1 / area, real_dtype(graph, "fold_pool")))
    for target in graph.targets(name) if area > 1 else ():
        graph = graph.insert(f"{name}.mean.{target}", scale, (name, target))
    return graph


def _backward(graph: Graph, name: str, factor: float) -> Graph | None:
    dtype = real_dtype(graph, "fold_pool")
    changes: dict[str, Node] = {}
    for source in feeders(graph, name, (Flatten, Pool, Scale)):
        synapse = graph[source]
        assert isinstance(synapse, Synapse)
        changes[source] = scaled_outputs(synapse, np.asarray(factor), dtype)
    return graph.replace(changes) if changes else None
