"""What a neuron of Xylo does in a step, for profiles with ``neuron = "xylo"``: `loihi` has what the two share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import Finding
from spikeport.graph.arithmetic import Charge
from spikeport.graph.arrays import Array, over_neurons
from spikeport.graph.neurons import LIF, CubaLIF
from spikeport.graph.profile import DECAY_ONE, STATE_SHIFT, Profile

EVENTS = 15  #: of an input channel in a step (xylosim 0.1.3, XyloIAFNeuron.h: MAX_NUM_INP_SPIKES)
CURRENT = "current saturated"  #: of what overflows; a membrane does as Loihi's do
#: decays over 4096 that are shifts by 1 to 12: v - (v >> n). The chip has four bits; by more than 12 nothing shifts far
SHIFTS = tuple(DECAY_ONE - (DECAY_ONE >> bits) for bits in range(1, 13))


def charge(node: LIF, v: Array, current: Array, x: Array, profile: Profile) -> tuple[Charge, list[int]]:
    """The membranes before the comparison, and how many currents and membranes saturated.

        i[t] = held(clip(i[t-1] + x[t]))                      held(v) = v - dash(v): dash = v >> n, one at least
        u[t] = clip(v[t-1] + clip(clip(-dash(v[t-1]) + i[t]) + bias))

    All in whole sums, `clip` to 16 bits in two's complement: what arrives decays in the same step, and a sum of four
    saturates three times (xylosim 0.1.3, src/v2/cpp/XyloIAFNeuron.cpp).
    """
    assert isinstance(node, CubaLIF)  # as its profile has it: `neuron_findings`
    low, top = profile.state_least, profile.state_top
    decay, fade, bias = (
        over_neurons(value, node.shape).astype(np.float64) for value in (node.decay, node.current_decay, node.bias)
    )
    sums = current + x * 2**STATE_SHIFT
    arrived = np.clip(sums, low, top)
    i = held(arrived, fade)
    kept = held(v, decay)
    change = np.clip(np.clip(kept - v + i, low, top) + bias, low, top)
    u = np.clip(v + change, low, top)
    saturated = [int(np.count_nonzero(each)) for each in (arrived != sums, u != kept + i + bias)]
    return Charge(u, i, {}), saturated


def held(value: Array, decay: Array) -> Array:
    """What a shift leaves of ``value``, both in units of 1/64 sum: v >> n goes, or one sum towards zero."""
    sums = value / 2**STATE_SHIFT
    dash = np.floor(sums * (DECAY_ONE - decay) / DECAY_ONE)
    return np.asarray(np.where(dash == 0, sums - np.sign(sums), sums - dash) * 2**STATE_SHIFT)


def neuron_findings(node: LIF, profile: Profile) -> Iterator[Finding]:
    """Why neurons are none of Xylo's (SP134), and decays that are no shifts (SP115)."""
    reasons = {
        "they have no synaptic current": not isinstance(node, CubaLIF),
        f"their reset is {node.reset!r}": node.reset != "subtract",
        "their membranes end at a lower bound of their own": node.lower_bound is not None,
        f"they fire where a membrane is {node.compare} their threshold": node.compare != ">=",
    }
    if said := [reason for reason, holds in reasons.items() if holds]:
        yield Finding(
            "SP134",
            f"the profile {profile.name!r} has Xylo's neurons, these are others: {'; '.join(said)}",
            why="each holds a current that decays, fires at its threshold, and loses one threshold a spike.",
            mend="train such neurons, as the recipe vowels-xylo does, and quantise for the profile",
        )
    for name in ("decay", "current_decay"):
        value = getattr(node, name, np.asarray(SHIFTS[0]))
        if odd := int(np.count_nonzero(~np.isin(value, SHIFTS))):
            what = f"{odd} values of {name} are no shifts: 4096 - 4096 / 2^n, n from 1 to {len(SHIFTS)}"
            yield Finding("SP115", what, mend="quantise for the profile again")
