"""Thresholds near zero, or below, are raised by measuring membranes from a lower place."""

from __future__ import annotations

import numpy as np

from spikeport.graph import ALIF, LIF, Graph, Peak, Synapse, over_neurons, schedule_over_neurons
from spikeport.graph.arrays import compact, compact_schedule
from spikeport.passes.linear import real_dtype

NEAR = 1 / 64  #: of the largest weight before a layer: a threshold below it is less than two steps of 8-bit weights
FAR = 1 / 16  #: to where such thresholds are raised
KEY = "raised_thresholds"  #: of a graph's provenance: by layer, how far down its thresholds reached


def raise_thresholds(graph: Graph) -> Graph:
    """Give layers with thresholds near zero, or below, a bias and thresholds that are larger, and the same spikes.

    1. Membranes are measured from c below. As they start at zero, what they gain builds up,
       ``u'[t] = u[t] + g[t]`` with ``g[t] = c (1 - d^(t+1))``: the bias is ``c (1 - d)`` larger, each threshold
       ``g[t]``, and a reset to r one to ``r + g[0]``.
    2. That is right where a membrane meets one reset at most before the last step: of two timesteps or one, where
       nothing is reset, or nothing is kept (d = 0). Other layers stay: also such as do not leak, lose their threshold,
       fire several times a step, or have a lower bound.
    3. c is the least with which all thresholds are `FAR` of the largest weight that enters, the bias included.

    Requires: Real arithmetic, gain 1. Ensures: spikes as before, up to rounding. Raises SP354 for integers.
    """
    dtype = real_dtype(graph, "raise_thresholds")
    changes: dict[str, LIF] = {}
    layers = graph.nodes_of(LIF)
    for name, node in layers.items():
        unit = _largest_weight(graph, name)
        if unit and (node.threshold < NEAR * unit).any() and _alike(node):
            changes[name] = _raised(node, FAR * unit, dtype)
    if not changes:
        return graph
    least = {name: float(layers[name].threshold.min()) for name in changes}
    return graph.replace(changes).with_(provenance={**graph.provenance, KEY: least})


def _largest_weight(graph: Graph, name: str) -> float:
    sources = [graph[source] for source in graph.sources(name)]
    return float(max((np.abs(node.weight).max() for node in sources if isinstance(node, Synapse)), default=0.0))


def _alike(node: LIF) -> bool:
    """Whether the same place is right for every membrane."""
    once = node.timesteps <= 2 or node.reset == "none" or not node.decay.any()
    leaks = bool((node.decay < 1).all())
    plain = node.most_spikes == 1 and node.lower_bound is None and not isinstance(node, ALIF | Peak)
    return once and leaks and plain and node.reset != "subtract" and bool((node.gain == 1).all())


def _raised(node: LIF, least: float, dtype: np.dtype[np.floating]) -> LIF:
    theta = schedule_over_neurons(node.threshold.astype(np.float64), node.shape)
    decay = over_neurons(node.decay.astype(np.float64), node.shape)
    decay = decay.reshape(decay.shape or (1,) * len(node.shape))
    share = np.stack([1 - decay ** (t + 1) for t in range(node.timesteps)])  # g over c
    place = np.maximum((least - theta) / share, 0).max(0)
    value = over_neurons(node.reset_value.astype(np.float64), node.shape) if node.reset == "value" else np.zeros(())
    bias = over_neurons(node.bias.astype(np.float64), node.shape) + place * (1 - decay)
    changes = {"threshold": compact_schedule(theta + place * share), "bias": compact(bias)}
    if node.reset != "none":
        changes["reset_value"] = compact(value + place * share[0])
    arrays = {name: array.astype(dtype) for name, array in changes.items()}
    return node.with_(**arrays, reset="none" if node.reset == "none" else "value")
