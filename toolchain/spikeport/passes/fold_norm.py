"""Batch normalisations disappear into the synapses beside them."""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, Array, Graph, Node, Norm, Pool, Scale, StepAffine, Synapse, over_neurons
from spikeport.passes.constant import add_constant
from spikeport.passes.linear import feeders, real_dtype, scaled_inputs, scaled_outputs


@np.errstate(over="ignore", invalid="ignore")  # a number that overflows is infinite, and no graph holds it (SP114)
def fold_norm(graph: Graph) -> Graph:
    """Merge every batch normalisation into the synapses before it, or else into what follows.

    1. With g = gamma * scale / sqrt(var + eps), the synapses that alone feed it become W' = W * g and
       b' = beta + (b - mean) * g, an output channel. `scale` is alpha * V_th where tdBN keeps it apart from gamma
       (MPD-AGL), 1 where gamma holds it (DS-ATGO). Several synapses that add up before it are each scaled; the first
       takes the constant. Average pools without padding may lie between, since they keep constants.
    2. A normalisation that no synapse alone feeds becomes W' = W * g on the input channels of what follows, or the
       gain of the neurons that follow, or a `Scale` where neither is possible. Its constant beta - mean * g is carried
       to the biases of the next neurons; behind a padded convolution that is a bias a neuron, smaller at the border.

    All in float64, rounded once to the graph's type.

    Requires: Real arithmetic. Ensures: no Norm node is left; spikes as before, up to rounding.
    Raises SP351 where the constant of rule 2 has no bias to go to, SP354 for integers.
    """
    real_dtype(graph, "fold_norm")
    for name in graph.nodes_of(Norm):
        synapses = _sources(graph, name)
        graph = _into_sources(graph, name, synapses) if synapses else _into_targets(graph, name)
    return graph


def _sources(graph: Graph, name: str) -> tuple[str, ...]:
    """The synapses before a norm that can take it in, or ()."""
    synapses = feeders(graph, name, (Pool,))
    return synapses if synapses and all(_keeps_constants(pool) for pool in _pools(graph, name)) else ()


def _keeps_constants(node: Pool) -> bool:
    return node.kind == "average" and not any(node.padding)


def _pools(graph: Graph, name: str) -> list[Pool]:
    """The pools between ``name`` and the synapses before it."""
    pools: list[Pool] = []
    for source in graph.sources(name):
        if isinstance(node := graph[source], Pool):
            pools += [node, *_pools(graph, source)]
    return pools


def _into_sources(graph: Graph, name: str, synapses: tuple[str, ...]) -> Graph:
    dtype = real_dtype(graph, "fold_norm")
    norm = graph[name]
    assert isinstance(norm, Norm)
    gain, shift = norm.gain_and_shift(np.float64)
    changes: dict[str, Synapse] = {}
    for index, source in enumerate(synapses):
        synapse = graph[source]
        assert isinstance(synapse, Synapse)
        scaled = scaled_outputs(synapse, gain, dtype)
        if index == 0:
            old = 0.0 if synapse.bias is None else synapse.bias.astype(np.float64) * gain
            scaled = scaled.with_(bias=(old + shift).astype(dtype))
        changes[source] = scaled
    return graph.replace(changes).bypass(name)


def _into_targets(graph: Graph, name: str) -> Graph:
    dtype = real_dtype(graph, "fold_norm")
    norm = graph[name]
    assert isinstance(norm, Norm)
    shape = graph.shapes[name]
    gain, shift = norm.gain_and_shift(np.float64)
    graph = graph.replace({name: Scale(gain.astype(dtype))})
    # The constant is added behind the gain, so it passes the synapses that follow before they are scaled.
    graph = add_constant(graph, name, np.broadcast_to(over_neurons(shift, shape), shape), "fold_norm")
    targets, changes = graph.targets(name), dict[str, Node]()
    if (gain == 1).all() and targets and all(isinstance(graph[target], StepAffine) for target in targets):
        return graph.bypass(name)  # the constant is in them
    for target in targets:
        node = graph[target]
        if graph.sources(target) != (name,) or not isinstance(node, Synapse | LIF):
            return graph
        changes[target] = scaled_inputs(node, gain, dtype) if isinstance(node, Synapse) else _gained(node, gain, dtype)
    return graph.replace(changes).bypass(name)


def _gained(node: LIF, gain: Array, dtype: np.dtype[np.floating]) -> LIF:
    """The neurons with their gain times ``gain`` [C]."""
    product = over_neurons(node.gain, node.shape).astype(np.float64) * over_neurons(gain, node.shape)
    return node.with_(gain=(product if node.gain.ndim > 1 else product.reshape(-1)).astype(dtype))
