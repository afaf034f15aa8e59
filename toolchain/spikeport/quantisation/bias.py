"""The step `bias`: the mean error of rounded weights goes into the bias."""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, Array, Node, Readout, Scale, Synapse, over_neurons
from spikeport.quantisation.layers import Layer, between
from spikeport.quantisation.plan import Plan
from spikeport.quantisation.scales import SUM_ONE
from spikeport.quantisation.sweep import Calibration, Sweep, where_nearer


def bias(plan: Plan, calibration: Calibration) -> Plan:
    """Add to each channel's bias the mean of what its trained weights give minus what its mantissas give.

    Both for the integers that the layers before it send on the calibration batch, over samples, their own steps and
    positions (Nagel et al., Data-Free Quantization, ICCV 2019, section 4.2, with measured instead of derived means).
    A layer whose spikes do not come nearer to the real network's keeps its biases: where a mean comes from few places,
    it is wrong for all the others. Layers whose neurons filter the current (`CubaLIF`) take a constant otherwise, and
    stay.
    """
    return where_nearer(plan, calibration, _corrected)


def _corrected(sweep: Sweep, plan: Plan, layer: Layer) -> Plan:
    nodes, _ = plan.nodes(layer)
    scale, _ = plan.scale(layer)
    for name in layer.sinks:
        node = plan.real[name]
        if type(node) is LIF or isinstance(node, Readout):
            wanted = _mean(sweep, sweep.sums(_in_message_units(plan, layer), layer, name))
            lost = (plan.lost(layer, scale) or 0.0) / SUM_ONE if type(node) is LIF else 0.0
            got = (_mean(sweep, sweep.sums(nodes, layer, name)) + lost) * scale.unit * SUM_ONE
            plan = plan.with_(real=plan.real.replace({name: _more(node, wanted - got)}))
    return plan


def _mean(sweep: Sweep, sums: Array) -> Array:
    """The mean of each channel, [C], over the samples' own steps."""
    own = sweep.calibration.own(sums)
    return np.asarray(np.moveaxis(own, 1, 0).reshape(own.shape[1], -1).mean(1, dtype=np.float64))


def _in_message_units(plan: Plan, layer: Layer) -> dict[str, Node]:
    """The trained terms, their weights times the unit of the integers that enter them."""
    terms: dict[str, Node] = {name: plan.trained[name] for name in between(plan.real, layer)}
    for term in layer.terms:
        node = plan.trained[term.name]
        if isinstance(node, Synapse):
            terms[term.name] = node.with_(weight=node.weight.astype(np.float64) * term.value.unit)
        elif isinstance(node, Scale):
            terms[term.name] = node.with_(factor=node.factor.astype(np.float64) * term.value.unit)
    return terms


def _more(node: LIF | Readout, change: Array) -> LIF | Readout:
    spread = over_neurons(node.bias, node.shape).astype(np.float64) + over_neurons(change, node.shape)
    compact = spread.reshape(-1) if all(size == 1 for size in spread.shape[1:]) else spread
    return node.with_(bias=compact.astype(node.bias.dtype))
