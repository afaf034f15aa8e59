"""Which numbers a node may hold in Loihi arithmetic: what the profile can say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import Finding
from spikeport.graph.arrays import Array
from spikeport.graph.neurons import LIF, CubaLIF
from spikeport.graph.node import Node
from spikeport.graph.operations import StepAffine
from spikeport.graph.plumbing import Norm, Pool, Readout, Scale
from spikeport.graph.profile import DECAY_ONE, STATE_SHIFT, Profile
from spikeport.graph.rules import between, whole
from spikeport.graph.synapses import Synapse
from spikeport.graph.xylo import neuron_findings

FACTOR_TOP = 2**15  #: the largest whole factor of a `Scale`


def node_findings(node: Node, profile: Profile) -> Iterator[Finding]:
    """What integers do not know, and every number that the profile cannot hold (SP115, SP116)."""
    if isinstance(node, Norm):
        yield Finding("SP115", "integers have no batch normalisation", mend="fold it first: passes.fold_norm")
    if isinstance(node, Pool) and node.kind == "average":
        yield Finding("SP115", "integers have no average pool", mend="make it a sum first: passes.fold_pool")
    if isinstance(node, StepAffine):
        yield from whole("gain", node.gain, -FACTOR_TOP, FACTOR_TOP)
        yield from whole("bias", node.bias, -(2**31), 2**31 - 1)
    if isinstance(node, Scale):
        yield from whole("factor", node.factor, -FACTOR_TOP, FACTOR_TOP)
    if isinstance(node, Synapse):
        yield from whole("weight", node.weight, *_mantissas(node.weight, profile.weight_bits))
        yield from between("exponent", np.asarray(node.exponent), *profile.weight_exponent)
        if node.bias is not None:
            yield Finding("SP115", "an integer synapse has no bias", mend="move it to the neuron: passes.move_bias")
    if isinstance(node, LIF):
        yield from _neuron(node, profile)
    if isinstance(node, Readout):
        yield from whole("weight", node.weight, -(2**15), 2**15)
        yield from whole("bias", node.bias, -(2**31), 2**31 - 1)


def _neuron(node: LIF, profile: Profile) -> Iterator[Finding]:
    yield from whole("decay", node.decay, 1, DECAY_ONE)
    grain, says = DECAY_ONE >> profile.decay_bits, f"decay_bits = {profile.decay_bits}"
    yield from _multiples("decay", node.decay, grain, says)
    yield from whole("threshold", node.threshold, 0, 2**profile.threshold_bits - 1)
    top, exponent = 2 ** (profile.bias_bits - 1), profile.bias_exponent[1]
    yield from whole("bias", node.bias, -(top << exponent), top - 1 << exponent)
    yield from _multiples(
        "bias", node.bias, 1 << profile.bias_exponent[0], f"bias_exponent = {[*profile.bias_exponent]}"
    )
    if node.reset == "value":
        yield from whole("reset_value", node.reset_value, -profile.state_top, profile.state_top)
        unit = 1 << (STATE_SHIFT - profile.fraction_bits)
        yield from _multiples("reset_value", node.reset_value, unit, f"fraction_bits = {profile.fraction_bits}")
    if node.lower_bound is not None:
        yield from whole("lower_bound", node.lower_bound, -profile.state_top, 0)
        unit = 1 << (STATE_SHIFT - profile.fraction_bits)
        yield from _multiples("lower_bound", node.lower_bound, unit, f"fraction_bits = {profile.fraction_bits}")
    if not profile.leak and ((node.decay != DECAY_ONE).any() or isinstance(node, CubaLIF)):
        yield Finding(
            "SP118",
            f"membranes or currents decay, which the profile {profile.name!r} cannot do",
            why="its neurons integrate and fire, and keep what they hold until they do.",
            mend='train integrate-and-fire neurons: architecture.neuron = "if" in a recipe, as in digits-if',
        )
    if isinstance(node, CubaLIF):
        yield from whole("current_decay", node.current_decay, 0, DECAY_ONE - 1)
        yield from _multiples("current_decay", node.current_decay, grain, says)
    if node.most_spikes > profile.most_spikes:
        yield Finding(
            "SP130",
            f"fires up to {node.most_spikes} times a step, {profile.name!r} up to {profile.most_spikes}",
            why="a spike of its neurons is one bit; what a membrane holds beyond one threshold would stay in it.",
            mend="a profile with most_spikes, for --target integer, or neurons that fire once a step",
        )
    if profile.neuron == "xylo":
        yield from neuron_findings(node, profile)
    elif node.compare != ">":
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


def _multiples(name: str, value: Array, grain: int, says: str) -> Iterator[Finding]:
    """SP115 where whole numbers are no multiples of ``grain``, as a field of the profile ``says``."""
    odd = int(np.count_nonzero(np.mod(value, grain)))
    if odd:
        what = f"{odd} values of {name} are no multiples of {grain}, as {says} has it"
        yield Finding("SP115", what, mend="quantise for the profile again")


def _mantissas(weight: Array, bits: int) -> tuple[int, int]:
    """Bounds of mantissas: two's complement; weights of one sign need no sign bit, but stay within a signed byte."""
    if bits < 8 and weight.size and bool((weight >= 0).all() or (weight <= 0).all()):
        return 1 - 2**bits, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
