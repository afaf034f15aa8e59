"""What enters and ends membranes, in whole units of them: biases and lower bounds."""

from __future__ import annotations

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import LIF, STATE_SHIFT, Array, Profile, over_neurons
from spikeport.graph.arrays import compact


def bias_units(node: LIF, unit: Array, profile: Profile, where: str) -> tuple[Array, list[Finding]]:
    """The bias in membrane units: each a mantissa times the smallest power of two that holds it."""
    wanted = compact(over_neurons(node.bias, node.shape).astype(np.float64) / unit)
    largest = 2 ** (profile.bias_bits - 1) - 1
    grain = bias_grain(wanted, profile)
    mantissas = np.rint(wanted / grain)
    findings = []
    if (np.abs(mantissas) > largest).any():
        what = f"biases need {np.abs(wanted).max():.0f} units, the format holds {largest << profile.bias_exponent[1]}"
        findings.append(Finding("SP418", what, where, mend="use fewer weight bits for this layer"))
    return np.clip(mantissas, -largest, largest) * grain, findings


def lower_bound(node: LIF, unit: Array, profile: Profile, *, coarse: bool) -> Array:
    """The nearest value that membranes take, in their units, not beyond its end; whole sums where ``coarse``."""
    assert node.lower_bound is not None
    grain = 1 << (STATE_SHIFT if coarse else STATE_SHIFT - profile.fraction_bits)
    wanted = compact(over_neurons(node.lower_bound, node.shape).astype(np.float64) / unit)
    return np.asarray(np.maximum(np.rint(wanted / grain), -(profile.state_top // grain)) * grain)


def bias_grain(wanted: Array, profile: Profile) -> Array:
    """The smallest power of two with which each bias of ``wanted``, in membrane units, fits its mantissa."""
    largest = 2 ** (profile.bias_bits - 1) - 1
    need = np.maximum(np.abs(wanted) / largest, 1.0)
    return np.asarray(2.0 ** np.clip(np.ceil(np.log2(need)), *profile.bias_exponent))
