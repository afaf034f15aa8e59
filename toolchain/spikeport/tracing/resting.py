"""Neurons with an absolute refractory period, as nodes: for ``n`` steps after a spike none is fired.

With u[t] = decay v[t-1] + x[t] and m[t] = s[t-1] + ... + s[t-n], which is 0 or 1 since no two of them are spikes::

    s[t] = (1 - m[t]) u[t] > theta
    v[t] = reset where s[t], else u[t] where m[t] = 0, else what ``meanwhile`` says:
           "held" v[t-1]    "zero" 0    "free" u[t]

Closed neurons compare 0, which a threshold that is not below 0 does not let through. No one node computes this.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from spikeport.findings import require
from spikeport.graph import LIF, Array, Delay, Gate, Scale
from spikeport.tracing.registry import Cells
from spikeport.tracing.snntorch_states import MINUS, ONE, States

Meanwhile = Literal["held", "zero", "free"]
RESETS = ("zero", "value", "subtract")


def refractory(node: LIF, steps: int, meanwhile: Meanwhile = "held") -> Cells:
    """``node`` that is refractory for ``steps`` steps after a spike, for a converter of `register_neuron` to return.

    ``meanwhile`` says what becomes of its membrane in these steps: it is "held" as it was, is "zero", or goes on as
    if nothing were ("free"). Raises SP387 where the node has a bias, a gain or a current, no reset, or fires at 0.
    """
    return states(node, steps, meanwhile).cells("charge")


def states(node: LIF, steps: int, meanwhile: Meanwhile = "held") -> States:
    """The parts of `refractory`; what enters goes to "charge"."""
    require(steps >= 1, "SP387", f"is refractory for {steps} steps", mend="without such a period it is the node itself")
    require(node.reset in RESETS, "SP387", f"a refractory neuron with reset {node.reset!r}")
    plain = type(node) is LIF and not node.bias.any() and (node.gain == 1).all() and node.lower_bound is None
    require(plain, "SP387", "a refractory neuron with a bias, a gain, a current or a lower bound")
    least = node.threshold > 0 if node.compare == ">=" else node.threshold >= 0
    require(bool(least.all()), "SP387", "a refractory neuron that fires where its membrane is 0")
    compares = LIF(node.shape, np.zeros(()), node.threshold, compare=node.compare)
    parts = States(compares)
    parts.parts |= {name: Scale(ONE) for name in ("charge", "open", "state")}
    parts.wires += [("charge", "open"), ("open", "")]
    for lag in range(1, steps + 1):
        parts.chain("", {f"after{lag}": Delay(node.shape, lag), "closed": Scale(ONE)}, "closed.gate")
    _product(parts, "charge", "closed", "closed.gate")
    parts.chain("closed.gate", {"shut": Scale(MINUS)}, "open")
    parts.chain("state", {"past": Delay(node.shape, 1), "keep": Scale(node.decay)}, "charge")
    before = "charge" if meanwhile == "free" else "open"
    parts.wires.append((before, "state"))
    if meanwhile == "held":
        _product(parts, "past", "closed", "held")
        parts.wires.append(("held", "state"))
    _reset(parts, node, before)
    return parts


def _reset(parts: States, node: LIF, before: str) -> None:
    """What a spike takes off the membrane in its own step."""
    if node.reset == "subtract":
        parts.chain("", {"lose": Scale(-_constant(node.threshold))}, "state")
        return
    _product(parts, before, "", "fired")
    parts.chain("fired", {"lose": Scale(MINUS)}, "state")
    if node.reset == "value" and node.reset_value.any():
        parts.chain("", {"reset": Scale(node.reset_value)}, "state")


def _product(parts: States, a: str, b: str, name: str) -> None:
    parts.parts[name] = Gate(operands=(a, b))
    parts.wires += [(a, name), (b, name)]


def _constant(threshold: Array) -> Array:
    same = bool((threshold == threshold[:1]).all())
    require(same, "SP387", "a refractory neuron that subtracts another threshold at each step")
    return np.asarray(threshold[0])
