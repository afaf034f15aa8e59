"""The step `normalise`: layers times a constant, so that they fill their mantissas."""

from __future__ import annotations

from spikeport.quantisation.plan import Plan
from spikeport.quantisation.sweep import Calibration


def normalise(plan: Plan, calibration: Calibration) -> Plan:
    """Let units be any real number instead of powers of two.

    Weights, biases and thresholds of a layer (or of a channel) times a positive constant leave its spikes as they are,
    for decay and reset are linear. Choosing the constant so that the largest weight becomes the largest mantissa uses
    up to one bit more than a power of two does.
    """
    return plan.with_(free=True)
