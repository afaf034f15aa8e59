"""The step `joint`: thresholds make up for what rounded biases and sums get wrong."""

from __future__ import annotations

from spikeport.quantisation.plan import Plan
from spikeport.quantisation.sweep import Calibration


def joint(plan: Plan, calibration: Calibration) -> Plan:
    """Round biases and thresholds together instead of each to its nearest.

    A bias is a mantissa of 13 bits and a power of two, so a large one is off by up to 64 membrane units; sums with a
    negative exponent lose half a unit on average; a decay is off by up to half a numerator. All three move membranes
    near the threshold by a known amount, and the thresholds of the same neurons move with them:
    `together.rounded_together`, those of a layer of one threshold for all steps by their mean over time.
    """
    return plan.with_(joint=True)
