"""The events of a run, counted from its values by the definition of each count: no table of what an input reaches."""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from spikeport.graph import LIF, Array, Conv, Delay, Graph, Input, Node, Synapse, definition

Counted = dict[str, Array | bool]


def reached(node: Synapse, shape: tuple[int, ...], *, nonzero: bool) -> Array:
    """Weights that each input reaches: the derivative of the sum of all sums, where every weight is one."""
    weight = torch.from_numpy((node.weight != 0).astype(np.float64) if nonzero else np.ones(node.weight.shape))
    x = torch.zeros((1, *shape), dtype=torch.float64, requires_grad=True)
    if isinstance(node, Conv):
        convolve = getattr(torch.nn.functional, f"conv{len(shape) - 1}d")
        y = convolve(x, weight, None, node.stride, node.padding, node.dilation, node.groups)
    else:
        y = x @ weight.T
    y.sum().backward()
    return np.rint(x.grad.numpy()[0]).astype(np.int64)


def events(graph: Graph, run: definition.Run) -> dict[str, Counted]:
    """Each count of `SynapseEvents` and `NeuronEvents`, [T]."""
    return {name: of_layer(graph, run, name, node) for name, node in graph.nodes_of(Synapse, LIF).items()}


def of_layer(graph: Graph, run: definition.Run, name: str, node: Node) -> Counted:
    if isinstance(node, LIF):
        spikes = run.values[name].astype(np.int64)
        steps, batch = spikes.shape[:2]
        updates = np.full(steps, batch * prod(spikes.shape[2:]))
        return {"spikes": spikes.reshape(steps, -1).sum(1), "updates": updates, "active": run.active[name]}
    assert isinstance(node, Synapse)
    x = sum(run.values[source] for source in graph.sources(name))
    used, every = (reached(node, x.shape[2:], nonzero=nonzero) for nonzero in (True, False))
    analog, size, fires = bool((x != np.rint(x)).any()), np.abs(x), x != 0

    def count(values: Array) -> Array:
        return np.rint(values.reshape(len(x), -1).sum(1)).astype(np.int64)

    return {
        "inputs": count(fires),
        "payload": count(size) * (not analog),
        "synops": count(fires * used),
        "fanout": count(fires * every),
        "graded": count((fires & (size != 1)) * every),
        "unary": count(size * every) * (not analog),
        "dense": np.full(len(x), every.sum() * x.shape[1]),
        "analog": analog,
        "constant": len(x) > 1 and all(still(graph, source) for source in graph.sources(name)),
    }


def still(graph: Graph, name: str) -> bool:
    """Whether a node's values are the same at every step whatever enters."""
    node = graph.nodes[name]
    if isinstance(node, Input):
        return node.coding == "direct"
    return not isinstance(node, LIF | Delay) and all(still(graph, source) for source in graph.sources(name))
