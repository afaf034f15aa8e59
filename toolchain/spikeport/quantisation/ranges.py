"""The step `ranges`: which real weight becomes the largest mantissa."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from spikeport.graph import LIF, Array, Graph, Synapse
from spikeport.quantisation.layers import Layer, Term
from spikeport.quantisation.membrane_units import bias_grain
from spikeport.quantisation.plan import Limits, Plan
from spikeport.quantisation.scales import SUM_ONE, largest_weights, weight_of
from spikeport.quantisation.sweep import Calibration, Sweep, differing

RangeMethod = Literal["max", "percentile", "mse", "mismatch"]
RANGE_METHODS: tuple[RangeMethod, ...] = get_args(RangeMethod)

PERCENTILE = 99.9  #: of a channel's |weights|
RATIOS = tuple(float(r) for r in np.round(np.geomspace(1.0, 0.3, 24), 6))  #: of the largest weight, tried by `mse`
FEW_RATIOS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)  #: tried by `mismatch`, times the limit that `mse` found
RATE = 0.2  #: assumed mean square of an input; weighs rounded weights against rounded thresholds and biases


def ranges(plan: Plan, calibration: Calibration, method: RangeMethod = "mse") -> Plan:
    """Choose the largest weight of each layer by one of four methods.

    - `max`: the largest |weight|; nothing is clipped.
    - `percentile`: the PERCENTILE-th of |weights| (never less than half the largest).
    - `mse`: of RATIOS of the largest weight the one with the least mean square error of what a neuron compares:
      rounded weights times their inputs, rounded bias and rounded thresholds together, each channel by itself.
    - `mismatch`: of FEW_RATIOS of what `mse` finds the one whose layer, on what the layers before it send, differs from
      the real network in the fewest spikes of the calibration batch; the larger ratio on ties.
    """
    if method == "max":
        return plan
    limits = {layer.name: _start(plan, layer, method) for layer in plan.layers}
    plan = plan.with_(limits=limits)
    return _by_mismatch(plan, calibration) if method == "mismatch" else plan


def _start(plan: Plan, layer: Layer, method: RangeMethod) -> Limits:
    if method == "percentile":
        return _percentile(plan.real, layer)
    return _least_error(plan, layer)


def _percentile(graph: Graph, layer: Layer) -> Limits:
    limits = dict(largest_weights(graph, layer))
    for term in _synapses(graph, layer):
        flat = np.abs(weight_of(graph[term.name])).reshape(limits[term.name].size, -1)
        value = np.percentile(flat.astype(np.float64), PERCENTILE, axis=1).reshape(limits[term.name].shape)
        limits[term.name] = np.maximum(value, limits[term.name] / 2)
    return limits


def _least_error(plan: Plan, layer: Layer) -> Limits:
    full = largest_weights(plan.real, layer)
    synapses = _synapses(plan.real, layer)
    if len(synapses) != 1:
        return full  # the unit is shared, so a channel's choice would bind the other synapses too
    term = synapses[0]
    errors = np.stack([_error(plan, layer, term, full[term.name] * ratio) for ratio in RATIOS])
    best = np.argmin(errors, axis=0)  # the first, that is the largest ratio, on ties
    return {**full, term.name: full[term.name] * np.asarray(RATIOS)[best]}


def _error(plan: Plan, layer: Layer, term: Term, limit: Array) -> Array:
    """Mean square error of u - threshold for one limit, by channel (or for the layer where it has one unit)."""
    scale, _ = plan.with_limits(layer, {term.name: limit}).scale(layer)
    unit = scale.unit * SUM_ONE * 2.0 ** scale.exponents[term.name] / term.value.unit
    weight = weight_of(plan.real[term.name]).astype(np.float64)
    weight = weight.reshape(limit.size, -1)
    step = np.broadcast_to(unit, limit.shape).reshape(-1, 1)
    mantissa = plan.mantissas[term.name]
    whole = np.clip(np.rint(weight / step), mantissa.low, mantissa.high)
    power = RATE * (term.value.high * term.value.unit) ** 2
    error = power * np.square(whole * step - weight).sum(1).reshape(limit.shape)
    unit = np.broadcast_to(scale.unit, limit.shape).reshape(-1)
    for name in layer.sinks:
        node = plan.real[name]
        if isinstance(node, LIF):
            theta = node.threshold.astype(np.float64).reshape(node.timesteps, -1)
            if theta.shape[1] in (1, unit.size):
                away = _rounding(np.where(np.isfinite(theta), theta, 0.0), unit * SUM_ONE)
                error = error + np.square(away).mean(0).reshape(limit.shape)
            biases = node.bias.astype(np.float64).reshape(-1)
            if biases.size in (1, unit.size):
                grain = bias_grain(biases / unit, plan.profile)
                error = error + np.square(_rounding(biases, unit * grain)).reshape(limit.shape)
    return np.asarray(error)


def _rounding(value: Array, step: Array) -> Array:
    return np.asarray(np.rint(value / step) * step - value)


def _by_mismatch(plan: Plan, calibration: Calibration) -> Plan:
    sweep = Sweep(plan, calibration)
    for layer in sweep.layers():
        tried = []
        for ratio in FEW_RATIOS:
            limits = {name: limit * ratio for name, limit in plan.limits[layer.name].items()}
            candidate = plan.with_limits(layer, limits)
            tried.append((differing(sweep, candidate, layer), candidate))
        plan = min(tried, key=lambda pair: pair[0])[1]
        sweep.settle(plan, layer)
    return plan


def _synapses(graph: Graph, layer: Layer) -> list[Term]:
    return [term for term in layer.terms if isinstance(graph[term.name], Synapse)]
