"""The step `split`, only on request: weights that see graded input in two mantissas, a coarse and a fine one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.graph import LIF, Graph, Input, Synapse
from spikeport.quantisation.layers import Layer, find_layers
from spikeport.quantisation.plan import Plan
from spikeport.quantisation.scales import largest_weights
from spikeport.quantisation.sweep import Calibration

FINE = ".fine"  #: ending of the second synapse's name


def split(plan: Plan, calibration: Calibration) -> Plan:
    """Give each synapse behind a graded input a second one that holds what its rounding left over.

    1. The coarse synapse keeps its mantissas; the fine one, with the same sources and targets, gets the trained weights
       minus them, in a smaller exponent. Both sums add up in the neurons, so the first layer has more than 8 bits.
    2. Synapses behind spikes stay: their inputs are small, and their errors are not what all other layers inherit.

    It costs the synaptic operations of these layers once more.
    """
    for layer in plan.layers:
        for term in layer.terms:
            node = plan.real[term.name]
            graded = term.value.high - term.value.low > 1 and _from_input(plan.real, term.name)
            if isinstance(node, Synapse) and graded and not term.name.endswith(FINE):
                plan = _split(plan, layer, term.name)
    return plan


def _split(plan: Plan, layer: Layer, name: str) -> Plan:
    coarse, trained = plan.real[name], plan.trained[name]
    assert isinstance(coarse, Synapse)
    assert isinstance(trained, Synapse)
    step, mantissa = plan.steps(layer)[name], plan.mantissas[name]
    kept = np.clip(np.rint(coarse.weight / step), mantissa.low, mantissa.high) * step
    left = trained.weight - kept
    if not left.any():
        return plan
    dtype = coarse.weight.dtype
    real = _beside(plan.real, name, coarse.with_(weight=left.astype(dtype), bias=None))
    real = real.replace({name: coarse.with_(weight=kept.astype(dtype))})
    before = _beside(plan.trained, name, trained.with_(weight=np.zeros_like(trained.weight), bias=None))
    layers = find_layers(real, plan.grid, plan.profile.channel_thresholds)
    again = next(candidate for candidate in layers if candidate.name == layer.name)
    fine = largest_weights(real, again)[name + FINE]
    limits = {**plan.limits, layer.name: {**plan.limits[layer.name], name + FINE: fine}}
    mantissas = {**plan.mantissas, name + FINE: replace(mantissa)}
    return plan.with_(real=real, trained=before, layers=layers, limits=limits, mantissas=mantissas)


def _beside(graph: Graph, name: str, node: Synapse) -> Graph:
    """The graph with a node between the same neighbours as ``name``."""
    edges = [(source, name + FINE) for source in graph.sources(name)]
    edges += [(name + FINE, target) for target in graph.targets(name)]
    return graph.with_(nodes={**graph.nodes, name + FINE: node}, edges=(*graph.edges, *edges))


def _from_input(graph: Graph, name: str) -> bool:
    """Whether nothing but plumbing lies between the input and a node."""
    if isinstance(graph[name], Input):
        return True
    sources = graph.sources(name)
    return bool(sources) and not any(isinstance(graph[s], LIF) or not _from_input(graph, s) for s in sources)
