"""Which numbers a node may hold: finite ones, schedules of T steps, and in Loihi arithmetic what the format can say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import Finding
from spikeport.graph.arithmetic import DECAY_ONE, Arithmetic, Loihi, Profile
from spikeport.graph.arrays import Array
from spikeport.graph.neurons import LIF, CubaLIF
from spikeport.graph.node import Node
from spikeport.graph.plumbing import Norm, Pool, Readout, Scale
from spikeport.graph.synapses import Synapse


def number_findings(node: Node, timesteps: int, arithmetic: Arithmetic) -> Iterator[Finding]:
    """Every number of a node that the arithmetic cannot mean; empty when all is well."""
    yield from _finite(node)
    yield from _schedule(node, timesteps)
    if isinstance(arithmetic, Loihi):
        yield from _loihi(node, arithmetic.profile)
    elif isinstance(node, LIF):
        yield from _between("decay", node.decay, 0.0, 1.0)


def _finite(node: Node) -> Iterator[Finding]:
    for name in node.arrays:
        value = getattr(node, name)
        if value is None or value.dtype.kind not in "fc" or name == "threshold":
            continue  # a threshold of +inf is a neuron that never fires
        bad = int(value.size - np.count_nonzero(np.isfinite(value)))
        if bad:
            yield Finding(
                "SP114",
                f"{name} holds {bad} values that are not finite (of {value.size})",
                mend="the training diverged, or the file is damaged",
            )
    if isinstance(node, LIF) and node.threshold.dtype.kind == "f" and np.isnan(node.threshold).any():
        yield Finding("SP114", "threshold holds NaN", mend="the training diverged, or the file is damaged")


def _schedule(node: Node, timesteps: int) -> Iterator[Finding]:
    length = node.threshold.shape[0] if isinstance(node, LIF) else timesteps
    length = node.weight.shape[0] if isinstance(node, Readout) else length
    if length != timesteps:
        yield Finding(
            "SP113",
            f"its schedule has {length} entries, the model runs {timesteps} timesteps",
            why="thresholds are learned a timestep; there is none for the others.",
            mend="give one entry a timestep",
        )


def _loihi(node: Node, profile: Profile) -> Iterator[Finding]:
    if isinstance(node, Norm):
        yield Finding("SP115", "integers have no batch normalisation", mend="fold it first: passes.fold_norm")
    if isinstance(node, Pool) and node.kind == "average":
        yield Finding("SP115", "integers have no average pool", mend="make it a sum first: passes.fold_pool")
    if isinstance(node, Scale):
        yield from _whole("factor", node.factor, -(2**15), 2**15)
    if isinstance(node, Synapse):
        yield from _whole("weight", node.weight, *_mantissas(node.weight, profile.weight_bits))
        yield from _between("exponent", np.asarray(node.exponent), *profile.weight_exponent)
        if node.bias is not None:
            yield Finding("SP115", "an integer synapse has no bias", mend="move it to the neuron: passes.move_bias")
    if isinstance(node, LIF):
        yield from _loihi_neuron(node, profile)
    if isinstance(node, Readout):
        yield from _whole("weight", node.weight, -(2**15), 2**15)
        yield from _whole("bias", node.bias, -(2**31), 2**31 - 1)


def _loihi_neuron(node: LIF, profile: Profile) -> Iterator[Finding]:
    yield from _whole("decay", node.decay, 1, DECAY_ONE)
    yield from _whole("threshold", node.threshold, 0, 2**profile.threshold_bits - 1)
    top = 2 ** (profile.bias_bits - 1) << profile.bias_exponent[1]
    yield from _whole("bias", node.bias, -top, top)
    if isinstance(node, CubaLIF):
        yield from _whole("current_decay", node.current_decay, 0, DECAY_ONE - 1)
    if node.compare != ">":
        yield Finding("SP115", "integers compare with > only", mend="lower the threshold by one unit: passes.quantize")
    if (node.gain != 1).any():
        yield Finding("SP115", "integers have no gain", mend="fold it into the weights: passes.fold_gain")
    constant = (node.threshold == node.threshold[:1]).all()
    if not profile.schedule and not constant:
        yield Finding(
            "SP116",
            f"thresholds vary over time, which the profile {profile.name!r} cannot do",
            mend="use a profile with schedules, or accept a constant: quantize --thresholds mean",
        )
    if not profile.channel_thresholds and node.threshold.ndim > 1:
        yield Finding("SP116", f"thresholds vary over channels, which the profile {profile.name!r} cannot do")


def _mantissas(weight: Array, bits: int) -> tuple[int, int]:
    """Bounds of mantissas: two's complement; weights of one sign need no sign bit, but stay within a signed byte."""
    if bits < 8 and weight.size and bool((weight >= 0).all() or (weight <= 0).all()):
        return 1 - 2**bits, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _whole(name: str, value: Array, low: int, high: int) -> Iterator[Finding]:
    if value.dtype.kind not in "iu" and not np.array_equal(value, np.rint(value)):
        yield Finding("SP115", f"{name} holds numbers that are not whole", mend="quantise the graph first")
    else:
        yield from _between(name, value, low, high)


def _between(name: str, value: Array, low: float, high: float) -> Iterator[Finding]:
    if value.size == 0:
        return
    least, most = value.min(), value.max()
    if least < low or most > high:
        yield Finding("SP115", f"{name} spans {least} ... {most}, the format holds {low} ... {high}")
