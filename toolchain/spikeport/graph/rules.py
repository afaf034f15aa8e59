"""Which numbers a node may hold: finite ones, and schedules of T steps."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.graph.arrays import Array
from spikeport.graph.neurons import LIF
from spikeport.graph.node import Node, Shape


def number_findings(node: Node, timesteps: int) -> Iterator[Finding]:
    """Every number of a node that no arithmetic can mean; empty when all is well."""
    yield from _finite(node)
    yield from _present(node)
    yield from _schedule(node, timesteps)


def unknown(node: Node, arithmetic: Any) -> Iterator[Finding]:
    """SP130 where neurons fire several times a step in an arithmetic that does not say it knows that."""
    if isinstance(node, LIF) and node.most_spikes > 1 and not getattr(arithmetic, "several_spikes", False):
        what = f"fires several times a step, which the arithmetic {arithmetic.kind!r} does not say it knows"
        yield Finding("SP130", what, mend="several_spikes = True in its class, if it does")


def sized(shape: Shape) -> Shape:
    """The shape of values, of which there is at least one. Raises SP106 for another."""
    if not shape or any(not isinstance(n, Integral) or isinstance(n, bool) or n < 1 for n in shape):
        fail("SP106", f"gives values of shape {shape}", mend="a shape has one whole number of at least 1 an axis")
    return shape


def _finite(node: Node) -> Iterator[Finding]:
    for name, bad in node.not_finite.items():
        if bad and name != "threshold":  # a threshold of +inf is a neuron that never fires
            yield Finding(
                "SP114",
                f"{name} holds {bad} values that are not finite (of {getattr(node, name).size})",
                mend="the training diverged, or the file is damaged",
            )
    if isinstance(node, LIF) and node.threshold.dtype.kind == "f" and np.isnan(node.threshold).any():
        yield Finding("SP114", "threshold holds NaN", mend="the training diverged, or the file is damaged")


def _present(node: Node) -> Iterator[Finding]:
    for name in node.arrays:
        value = getattr(node, name)
        if value is not None and value.size == 0 and name not in node.schedules:
            yield Finding("SP106", f"{name} of shape {value.shape} holds no numbers", mend="leave the node out")
        elif value is not None and name == "unit" and value.dtype.kind in "biuf" and not (value > 0).all():
            yield Finding("SP115", f"unit is {value.min():g}", mend="one unit is worth more than nothing")


def _schedule(node: Node, timesteps: int) -> Iterator[Finding]:
    for length in dict.fromkeys(len(getattr(node, name)) for name in node.schedules):
        if length == timesteps:
            continue
        yield Finding(
            "SP113",
            f"its schedule has {length} entries, the model runs {timesteps} timesteps",
            why="they are learned a timestep; there is none for the others.",
            mend="give one entry a timestep",
        )


def whole(name: str, value: Array, low: int, high: int) -> Iterator[Finding]:
    """SP115 where a value of ``name`` is not whole, or not within ``low`` ... ``high``."""
    if value.dtype.kind not in "iu" and not np.array_equal(value, np.rint(value)):
        yield Finding("SP115", f"{name} holds numbers that are not whole", mend="quantise the graph first")
    else:
        yield from between(name, value, low, high)


def between(name: str, value: Array, low: float, high: float) -> Iterator[Finding]:
    """SP115 where a value of ``name`` is not within ``low`` ... ``high``."""
    if value.size == 0:
        return
    least, most = value.min(), value.max()
    if least < low or most > high:
        yield Finding("SP115", f"{name} spans {least} ... {most}, the format holds {low} ... {high}")
