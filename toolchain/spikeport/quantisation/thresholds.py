"""The step `thresholds`: a small search, a layer and timestep at a time, after the weights are rounded."""

from __future__ import annotations

import sys
from typing import cast

import numpy as np

from spikeport.graph import LIF, Array, Peak
from spikeport.quantisation.layers import Layer
from spikeport.quantisation.plan import Plan
from spikeport.quantisation.sweep import Calibration, Sweep

MOVES = (0.0, -1.0, 1.0, -2.0, 2.0, -0.5, 0.5)  #: in grains of 2**-bits of the threshold; the nearest first


def thresholds(plan: Plan, calibration: Calibration) -> Plan:
    """Move the threshold of each layer and timestep to where the spikes are nearest to the real network's.

    Nearest: the larger of the number of spikes too many and the number of spikes missing is least, which asks for few
    mismatches and for as many spikes as the real layer has (mismatches alone favour silence). Timesteps in order, for a
    spike resets what follows; thresholds that vary over channels move by one factor, and so does a layer's one
    threshold for all steps, which stays one; on ties the smallest move wins. Rounded weights spread the membranes, and
    the best threshold is then not the rounded one.
    """
    sweep = Sweep(plan, calibration)
    for layer in sweep.layers():
        alone = len(layer.sinks) == 1  # neurons that share a synapse keep what they have
        if alone and not isinstance(plan.real[layer.name], Peak):
            plan = _searched(sweep, plan, layer)
        sweep.settle(plan, layer)
    return plan


def _searched(sweep: Sweep, plan: Plan, layer: Layer) -> Plan:
    (name,) = layer.sinks
    nodes, _ = plan.nodes(layer)
    whole = cast(LIF, nodes[name])
    sums, truth = sweep.sums(nodes, layer, name), sweep.truth(name)
    bits = min((plan.bits[term.name] for term in layer.terms if term.name in plan.bits), default=8)
    grain = 2.0**-bits
    top = 2**plan.profile.threshold_bits - 1
    over_time = plan.over_time(name)
    steps = whole.timesteps if over_time else 1
    least, factors = sys.maxsize, np.ones(whole.timesteps)
    for t in range(steps):
        moves = MOVES if t == 0 else MOVES[1:]  # the first leaves what the step before chose
        candidates = np.tile(factors, (len(moves), 1))
        candidates[:, slice(t, t + 1) if over_time else slice(None)] += grain * np.asarray(moves)[:, None]
        trains = sweep.trains([_times(whole, candidate, top) for candidate in candidates], sums)
        apart = [max(train.beside(truth)) for train in trains]
        tried = [(least, 0.0, factors), *zip(apart, map(abs, moves), candidates, strict=True)]
        least, _, factors = min(tried, key=lambda trial: trial[:2])
    real = cast(LIF, plan.real[name])
    spread = factors.reshape(-1, *(1,) * (real.threshold.ndim - 1))
    adjusted = real.with_(threshold=(real.threshold * spread).astype(real.threshold.dtype))
    return plan.with_(real=plan.real.replace({name: adjusted}))


def _times(node: LIF, factors: Array, top: int) -> LIF:
    spread = factors.reshape(-1, *(1,) * (node.threshold.ndim - 1))
    return node.with_(threshold=np.clip(np.rint(node.threshold * spread), 1, top).astype(np.int32))
