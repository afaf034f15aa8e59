"""Nodes of real numbers become nodes of Loihi's integers, in the unit of their layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.findings import Finding
from spikeport.graph import (
    DECAY_ONE,
    LIF,
    Array,
    CubaLIF,
    Peak,
    Profile,
    Readout,
    Scale,
    Synapse,
    over_neurons,
    schedule_over_neurons,
)
from spikeport.graph.arrays import compact, compact_schedule
from spikeport.quantisation import xylo
from spikeport.quantisation.membrane_units import bias_grain, bias_units, lower_bound
from spikeport.quantisation.scales import SUM_ONE, LayerScale
from spikeport.quantisation.together import Wanted, rounded_together

READOUT_ONE = 2**12  #: whole-number weights of a readout whose real ones differ: the largest becomes this


def mantissas(node: Synapse, name: str, input_unit: float, scale: LayerScale) -> tuple[Synapse, list[Finding]]:
    """The weights over their unit, to the nearest (ties to even), within the bits of the synapse."""
    exponent, mantissa = scale.exponents[name], scale.mantissas[name]
    wanted = np.rint(node.weight.astype(np.float64) / weight_step(node, name, input_unit, scale))
    whole = np.clip(wanted, mantissa.low, mantissa.high).astype(np.int8)
    return node.with_(weight=whole, bias=None, exponent=exponent), _weight_findings(node, name, whole)


def weight_step(node: Synapse, name: str, input_unit: float, scale: LayerScale) -> Array:
    """What one step of a mantissa is worth as a real weight, shaped so that it broadcasts over the weights."""
    step = scale.unit * (SUM_ONE * 2.0 ** scale.exponents[name] / input_unit)
    return np.asarray(step.reshape(-1, *(1,) * (node.weight.ndim - 1)) if step.ndim else step)


def _weight_findings(node: Synapse, name: str, mantissas: Array) -> list[Finding]:
    where = f"node {name!r}"
    if not mantissas.any():
        return [
            Finding(
                "SP410",
                "all its weights round to zero",
                where,
                why="nothing would pass through it.",
                mend="use more weight bits, or per-channel scales",
            )
        ]
    flat, real = mantissas.reshape(len(mantissas), -1), node.weight.reshape(len(mantissas), -1)
    lost = int(np.count_nonzero(~flat.any(axis=1) & real.any(axis=1)))
    if not lost:
        return []
    return [
        Finding(
            "SP415",
            f"the weights of {lost} of {len(flat)} channels all round to zero",
            where,
            why="these channels are too small beside the largest one.",
            mend="use more weight bits, or per-channel scales",
            severity="substituted",
        )
    ]


def factor_integers(node: Scale, input_unit: float, scale: LayerScale) -> Scale:
    """The factor of a `Scale` straight before neurons, in the layer's unit."""
    factor = np.rint(node.factor.astype(np.float64) * input_unit / (scale.unit * SUM_ONE))
    return node.with_(factor=factor.astype(np.int32))


def neuron_integers(
    node: LIF, name: str, scale: LayerScale, profile: Profile, decay: Array | None = None, lost: float | None = None
) -> tuple[LIF, list[Finding]]:
    """The neurons in integers; with ``lost``, what sums lose a step in membrane units, rounded together.

    1. Decay is the nearest numerator over 4096 that the format has, unless ``decay`` names another; none is 0.
    2. Thresholds: `threshold_mantissas`.
    3. Biases: the nearest multiple of the smallest power of two with which they fit 13 bits, each by itself.
    4. The lower bound is the nearest value that membranes take.
    5. Xylo's neurons: `xylo.whole`.
    6. With ``lost`` thresholds move with what biases and sums are off by (`rounded_together`), except where membranes
       only take multiples of 64 and nothing is off.
    """
    unit = over_neurons(scale.unit, node.shape)
    where = f"node {name!r}"
    bias, findings = bias_units(node, unit, profile, where)
    top = 2**profile.threshold_bits - 1
    often, more = xylo.at_most(node, profile, where)
    findings += more
    changes: dict[str, Any] = {
        "bias": bias.astype(np.int32),
        "reset_value": np.rint(compact(over_neurons(node.reset_value, node.shape) / unit)).astype(np.int32),
        "gain": np.ones((), np.int32),
        "unit": scale.unit,
        **often,
    }
    if profile.neuron == "xylo":
        own, more = xylo.whole(node, name, scale.unit * SUM_ONE)
        findings += [*more, *_threshold_findings(node, own["threshold"], top, where)]
        return node.with_(**changes, **own), findings
    grain = DECAY_ONE >> profile.decay_bits  # numerators of a format with fewer bits are multiples of it
    wanted = node.decay.astype(np.float64) * DECAY_ONE if decay is None else decay
    decay = np.rint(wanted / grain) * grain
    if (decay < grain).any():
        findings.append(
            Finding(
                "SP416",
                f"a decay of {float(node.decay.min()):g} becomes {grain}/{DECAY_ONE}",
                where,
                why="the format has no zero.",
                severity="note",
            )
        )
    on_lattice = bool(np.isin(decay, (0, DECAY_ONE)).all() and (bias % SUM_ONE == 0).all())
    if node.lower_bound is not None:
        changes["lower_bound"] = lower_bound(node, unit, profile, coarse=on_lattice).astype(np.int32)
    several = node.most_spikes > 1  # a threshold that is lowered by a sum would be so for each spike
    threshold = threshold_mantissas(node, unit, coarse=on_lattice and not several)
    if isinstance(node, Peak):
        threshold = np.full(node.timesteps, 2**profile.threshold_bits - 1)
    elif lost is not None and not on_lattice:
        bias, threshold = _together(node, unit, profile, lost, (np.maximum(decay, grain) - wanted) / DECAY_ONE)
    findings += [] if isinstance(node, Peak) else _threshold_findings(node, threshold, top, where)
    changes |= {
        "decay": np.maximum(decay, grain).astype(np.int32),
        "threshold": np.clip(threshold, int(several), top).astype(np.int32),
        "bias": bias.astype(np.int32),
    }
    if isinstance(node, CubaLIF):
        current = np.rint(node.current_decay.astype(np.float64) * DECAY_ONE / grain) * grain
        if (current > DECAY_ONE - grain).any():
            findings.append(
                Finding(
                    "SP416",
                    f"a current decay of {float(node.current_decay.max()):g} becomes {DECAY_ONE - grain}/{DECAY_ONE}",
                    where,
                    why="the format has no larger one.",
                    severity="note",
                )
            )
        changes["current_decay"] = np.minimum(current, DECAY_ONE - grain).astype(np.int32)
    return node.with_(**changes, compare=">"), findings


def threshold_mantissas(node: LIF, unit: Array, *, coarse: bool) -> Array:
    """The mantissa m for which ``u > m << 6`` comes nearest to ``u * unit >= threshold``; [T], [T, C] or [T, *shape].

    Integers u at or above k = ceil(threshold / unit) are to fire, that is u > k - 1 (training reference 1.1). The
    mantissa has steps of 64 units, so m = round((k - 1) / 64). Where the membrane itself only takes multiples of 64
    (decay 1 or none, biases that are such multiples), m = ceil(threshold / (64 unit)) - 1 is exact. A strict real
    comparison fires above floor(threshold / unit) instead. Infinity stays infinity.
    """
    theta = compact_schedule(schedule_over_neurons(node.threshold.astype(np.float64), node.shape) / unit)
    if coarse:
        coarser = theta / SUM_ONE
        edge = np.ceil(_snapped(coarser)) - 1 if node.compare == ">=" else np.floor(_snapped(coarser))
        return np.asarray(edge)
    return _fine(theta, node.compare)


def _fine(theta: Array, compare: str) -> Array:
    """Mantissas of thresholds in membrane units, for membranes that take any whole number."""
    first = np.ceil(_snapped(theta)) - 1 if compare == ">=" else np.floor(_snapped(theta))
    return np.asarray(np.rint(first / SUM_ONE))


def _together(node: LIF, unit: Array, profile: Profile, lost: float, slower: Array) -> tuple[Array, Array]:
    """Biases in membrane units and threshold mantissas that fit each other, and a decay that is off by ``slower``."""
    theta = schedule_over_neurons(node.threshold.astype(np.float64), node.shape) / unit
    wanted = over_neurons(node.bias, node.shape).astype(np.float64) / unit
    decay, slower = (over_neurons(value.astype(np.float64), node.shape) for value in (node.decay, slower))
    bias, threshold = rounded_together(
        Wanted(wanted, theta, decay),
        bias_grain(wanted, profile),
        2 ** (profile.bias_bits - 1) - 1,
        lost,
        slower,
        lambda values: _fine(values, node.compare),
        (() if profile.schedule else (0,)) + (() if profile.channel_thresholds else tuple(range(1, theta.ndim))),
    )
    if not profile.channel_thresholds:
        threshold = threshold.reshape(len(theta), -1)[:, :1]  # all are the same
    return compact(bias), compact_schedule(threshold)


def _snapped(value: Array) -> Array:
    """Whole numbers that float rounding moved by a hair are whole again, so that ceil does not add one."""
    near = np.rint(value)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(value - near) <= 1e-9 * np.maximum(np.abs(value), 1), near, value)


def _threshold_findings(node: LIF, mantissas: Array, top: int, where: str) -> list[Finding]:
    findings = []
    if (node.threshold <= 0).any():
        findings.append(
            Finding(
                "SP414",
                f"thresholds reach down to {float(node.threshold.min()):g}",
                where,
                why="a mantissa is unsigned: these neurons would fire later than they should.",
                mend="train with positive thresholds",
            )
        )
    elif (mantissas < 1).any():
        findings.append(
            Finding(
                "SP414",
                f"{int((mantissas < 1).sum())} thresholds round to zero",
                where,
                why="they are smaller than one unit of the sums, so any input would fire the neuron.",
                mend="use more weight bits, or look for weights that are far too large beside the thresholds",
            )
        )
    if never := never_fires(node):
        what = f"{never} thresholds are infinite; they become the largest mantissa, {top}"
        why = "a membrane passes it by less than one sum."
        findings.append(Finding("SP417", what, where, why, severity="substituted"))
    beyond = np.isfinite(mantissas) & (mantissas > top)
    if beyond.any():
        what = f"{np.count_nonzero(beyond)} of {mantissas.size} thresholds need up to {mantissas[beyond].max():.0f}, "
        findings.append(
            Finding(
                "SP414",
                f"{what}the mantissa holds {top}",
                where,
                mend="scale the layer so that its thresholds are nearer to its weights",
            )
        )
    return findings


def never_fires(node: LIF) -> int:
    """How many thresholds are infinite, of neurons that have any."""
    return 0 if isinstance(node, Peak) else int(np.isinf(node.threshold).sum())


def readout_integers(node: Readout, scale: LayerScale) -> Readout:
    """A readout's uniform weights become ones (-1 below zero), others whole numbers of up to 12 bits.

    The unit, which is positive, takes what is left.
    """
    real = node.weight.astype(np.float64)
    largest = float(np.abs(real).max()) or 1.0
    uniform = bool((real == real.flat[0]).all()) and bool(real.any())
    one = largest if uniform else largest / READOUT_ONE
    weight = np.sign(real) if uniform else np.rint(real / one)
    bias = np.rint(node.bias.astype(np.float64) / over_neurons(scale.unit, node.shape))
    return node.with_(
        weight=weight.astype(np.int32), bias=bias.astype(np.int32), unit=np.asarray(scale.unit * one, np.float64)
    )
