"""Which whole numbers the input becomes, and what one of them is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.findings import Finding, fail, require
from spikeport.graph import Array, Input, Profile
from spikeport.graph.xylo import EVENTS

DIVISORS = 8  #: the smallest difference between two values may be this many steps
TOLERANCE = 1e-3  #: of a step; float32 data of up to 2**10 steps are within 2**-13 of a whole number


@dataclass(frozen=True)
class Grid:
    """The integers that enter: ``round(x / unit)``."""

    unit: float  #: real value of one integer
    low: int  #: smallest integer that the message holds
    high: int  #: largest
    seen: tuple[int, int]  #: smallest and largest integer of the calibration data
    exact: bool  #: whether the data are whole multiples of the unit


def input_grid(node: Input, samples: Array, profile: Profile, name: str) -> tuple[Grid, tuple[Finding, ...]]:
    """The unit in which the calibration data fit the message.

    1. Data that are whole multiples of one step and fit are taken as they are: nothing is rounded.
    2. Else the largest magnitude becomes the largest message, and values are rounded to the nearest (ties to even).
    3. Messages are unsigned where no sample is negative, else two's complement. A profile whose messages are spikes
       takes graded input of 8 bits all the same, with a finding: a host computes the first layer's sums there.
    4. Xylo counts up to 15 events a step, and nothing below zero.

    Raises SP401 for data that are not finite or all zero, SP439 for those of rule 4.
    """
    where = f"input {name!r}"
    values = np.unique(np.asarray(samples, dtype=np.float64))
    if values.size == 0 or not np.isfinite(values).all():
        fail(
            "SP401",
            "the calibration data are empty or hold values that are not finite",
            where=where,
            mend="calibrate with samples of the training data",
        )
    if not values.any():
        fail(
            "SP401",
            "the calibration data are all zero",
            where=where,
            why="no scale can be told from nothing.",
            mend="calibrate with samples of the training data",
        )
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    bits = profile.message_bits if binary else max(profile.message_bits, 8)
    signed = values[0] < 0
    if profile.neuron == "xylo":
        bits = EVENTS.bit_length()
        what = f"the data reach down to {values[0]:g}, and the chip counts events"
        require(not signed, "SP439", what, where=where, mend="give counts of 0 ... 15, of each sign in its own channel")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    findings = [] if bits <= profile.message_bits else [_graded(where, profile)]
    unit = exact_unit(values, low, high)
    if unit is not None:
        text = "the data are whole numbers" if unit == 1 else f"the data are whole multiples of {_fraction(unit)}"
        what = f"{text}, from {values[0]:g} to {values[-1]:g}: they enter as integers without rounding"
        findings.append(Finding("SP402", what, where, severity="note"))
        exact = True
    else:
        unit, exact = max(values[-1] / high, values[0] / low if signed else 0.0), False
        findings.append(_rounded(where, values, unit, bits))
    seen = (int(np.rint(values[0] / unit)), int(np.rint(values[-1] / unit)))
    return Grid(float(unit), low, high, seen, exact), tuple(findings)


def exact_unit(values: Array, low: int, high: int) -> float | None:
    """The largest step of which all ``values`` (sorted, unique) are whole multiples within ``low`` ... ``high``.

    The candidates are the smallest difference between two values, or from zero, and its first parts; one that is the
    inverse of a whole number to within rounding is taken to be exactly that (1/255, 1/16).
    """
    if values.size > high - low + 1:
        return None
    steps = np.diff(np.union1d(values, [0.0]))
    smallest = float(steps[steps > 1e-6 * np.abs(values).max()].min())
    for parts in range(1, DIVISORS + 1):
        step = smallest / parts
        # A step measured on float32 differences is coarse; the largest value fixes it better.
        top = values[np.argmax(np.abs(values))]
        step = abs(top) / max(1.0, np.rint(abs(top) / step))
        inverse = np.rint(1 / step)
        if inverse >= 1 and abs(1 / step - inverse) < 1e-5 * inverse:
            step = 1 / inverse
        whole = values / step
        fits = np.abs(whole - np.rint(whole)).max() < TOLERANCE
        if fits and np.rint(whole[0]) >= low and np.rint(whole[-1]) <= high:
            return float(step)
    return None


def _fraction(unit: float) -> str:
    inverse = 1 / unit
    return f"1/{inverse:.0f}" if abs(inverse - round(inverse)) < 1e-9 * inverse else f"{unit:g}"


def _rounded(where: str, values: Array, unit: float, bits: int) -> Finding:
    error = float(np.abs(np.rint(values / unit) * unit - values).max())
    return Finding(
        "SP403",
        f"the data, from {values[0]:g} to {values[-1]:g}, are rounded to {bits} bits in steps of {unit:.6g} "
        f"(by at most {error:.3g})",
        where,
        why="a message holds a whole number.",
        mend="train on data in whole steps (x / 255 for pixels) to lose nothing here",
        severity="substituted",
    )


def _graded(where: str, profile: Profile) -> Finding:
    return Finding(
        "SP404",
        f"the profile {profile.name!r} sends spikes only, the input holds more than zeros and ones",
        where,
        why="simulators take them; on Loihi 1 the host forms the first layer's sums, which enter as bias currents; "
        "a chip that is sent events only has no such way.",
        mend="event frames of zeros and ones, or a profile with graded messages (loihi2)",
        severity="substituted",
    )
