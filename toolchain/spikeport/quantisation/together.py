"""Biases and thresholds of one layer, rounded together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeport.graph import STATE_SHIFT, Array

NEAR = 4  #: biases up to so many of their mantissas' steps from the nearest are tried
RATE = 0.2  #: assumed share of neurons that were reset at the step before

Mantissas = Callable[[Array], Array]  #: thresholds in membrane units -> whole mantissas of the same shape


@dataclass(frozen=True)
class Wanted:
    """What a layer's neurons are before rounding, in membrane units; arrays broadcast over neurons."""

    bias: Array  #: [...]
    threshold: Array  #: [T, ...]
    decay: Array  #: [...], dimensionless


def rounded_together(
    wanted: Wanted,
    grain: Array,
    largest: int,
    lost: float,
    slower: Array,
    mantissas: Mantissas,
    shared: tuple[int, ...] = (),
) -> tuple[Array, Array]:
    """Whole biases and threshold mantissas of one layer that fit each other, and what else is off.

    A bias becomes a multiple of ``grain`` of at most ``largest`` steps. ``lost``: what sums lose each step on average;
    ``slower``: by how much the rounded decay is larger than the real one. ``shared``: axes of the thresholds along
    which the format holds one value only.

    1. An input that is off by e at every step moves the membrane at step t by e h(t), h(t) = 1 + d + ... + d^t, in
       neurons that were not reset, and by e in those that were at the step before; RATE of them are taken to be.
    2. A constant input that reaches the threshold at step t is threshold / h(t), so a decay that is off by f moves the
       membrane there by f threshold h'(t) / h(t) where it was not reset.
    3. Thresholds move by the mean of both. Of the NEAR biases beside the nearest the one is taken whose thresholds,
       rounded, are off by the least mean square, the spread between the two kinds of neurons included; the nearer
       one on ties.
    """
    theta = np.where(np.isfinite(wanted.threshold), wanted.threshold, 0.0)
    steps = np.arange(len(theta)).reshape(-1, *(1,) * (theta.ndim - 1))
    powers = np.broadcast_to(wanted.decay, (1, *wanted.decay.shape)) ** steps
    reached = np.cumsum(powers, axis=0)  # h(t)
    grown = np.cumsum(steps * np.concatenate([np.zeros_like(powers[:1]), powers[:-1]]), axis=0)  # h'(t)
    leaked = slower * theta * grown / reached
    nearest = np.rint(wanted.bias / grain)
    best: tuple[Array, ...] | None = None
    for move in sorted(range(-NEAR, NEAR + 1), key=abs):
        bias = np.clip(nearest + move, -largest, largest) * grain
        off = bias - wanted.bias - lost
        rested, reset = off * reached + leaked, off
        cut = theta + (1 - RATE) * rested + RATE * reset
        mantissa = mantissas(cut.mean(shared, keepdims=True) + np.zeros_like(cut) if shared else cut)
        cost = (np.square(beyond(mantissa, cut)) + RATE * (1 - RATE) * np.square(rested - reset)).sum(0)
        tried = (cost, bias + np.zeros_like(cost), mantissa)
        better = True if best is None else cost < best[0] * (1 - 1e-9)
        best = tuple(np.where(better, new, old) for new, old in zip(tried, best or tried, strict=True))
    assert best is not None
    return best[1], np.where(np.isfinite(wanted.threshold), best[2], wanted.threshold)


def beyond(mantissa: Array, theta: Array) -> Array:
    """By how many membrane units the first integer that fires lies beyond the first that should."""
    return np.asarray(mantissa * 2**STATE_SHIFT + 1 - np.ceil(theta))
