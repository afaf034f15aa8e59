"""The step `decay`: numerators that make up for truncation."""

from __future__ import annotations

import numpy as np

from spikeport.graph import DECAY_ONE, LIF
from spikeport.quantisation.plan import Plan
from spikeport.quantisation.sweep import Calibration, Sweep


def decay(plan: Plan, calibration: Calibration) -> Plan:
    """Choose each decay's numerator so that what is left after truncation is nearest to the real decay.

    trunc(v n / 4096) lies half a unit below v n / 4096 in magnitude on average. The n that minimises the mean square of
    trunc(v n / 4096) - v d over the membranes v of the calibration run is 4096 (d + E|v| / (2 E v^2)), before it is
    rounded: the nearest numerator where membranes are large beside one unit, and larger where they are not.
    """
    if plan.profile.neuron == "xylo":  # no numerator lies between two shifts
        return plan
    sweep = Sweep(plan, calibration)
    chosen = dict(plan.decays)
    for layer in sweep.layers():
        nodes, _ = plan.nodes(layer)
        for name in layer.sinks:
            node, real = nodes[name], plan.real[name]
            assert isinstance(node, LIF)
            assert isinstance(real, LIF)
            membranes = sweep.neurons([node], sweep.sums(nodes, layer, name), membranes=True).membranes["neurons0"]
            membranes = calibration.own(membranes, ahead=True).astype(np.float64)  # the last ones decay no more
            power = float(np.square(membranes).mean()) if membranes.size else 0.0
            if power == 0:
                continue
            more = float(np.abs(membranes).mean()) / (2 * power)
            wanted = DECAY_ONE * (real.decay.astype(np.float64) + more)
            # A decay of 0 or 1 is meant as such: nothing is held, or nothing leaks and nothing is truncated.
            kept = np.isin(real.decay, (0.0, 1.0))
            chosen[name] = np.where(kept, real.decay * float(DECAY_ONE), np.minimum(wanted, DECAY_ONE))
        plan = plan.with_(decays=chosen)
        sweep.settle(plan, layer)
    return plan
