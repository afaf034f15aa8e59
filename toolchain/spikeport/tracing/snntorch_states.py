"""snnTorch's neurons that no one node computes: their states as sums that are delayed and scaled.

With s the layer's spikes, r[t] = s[t-1], and theta the threshold (``_neurons/alpha.py``, ``leaky.py``, ``synaptic.py``,
``lapicque.py``, version 1.0.0)::

    Alpha   e[t] = alpha e[t-1] + x[t]      i[t] = beta i[t-1] - x[t]      u = g (e + i)
            g = log alpha / (log beta - log alpha) + 1
      zero      e, i and so u are zero at the step after a spike, whatever enters then
      subtract  e loses theta r, i is zero where r; u = g (e + i) + i[t-1] r with e and i before that
    Synaptic, zero  u[t] = (1 - r[t]) (beta u[t-1] + c[t])      c[t] = alpha c[t-1] + x[t]
    Lapicque, zero  u[t] = (1 - r[t]) (decay u[t-1] + gain x[t])

reset_delay=False with a subtraction compares twice, before and after it: u[t] = ... - theta q[t] with
q[t] = (v[t-1] > theta), and what decays from step to step is v[t] = u[t] - theta (s[t] - q[t]).

Each state is a `Scale` of 1, which adds up, and a `Delay`, which hands on; a product with spikes is a `Gate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from spikeport.graph import LIF, Array, Delay, Edge, Gate, Node, Scale, Shape
from spikeport.tracing.registry import Cells

ONE, MINUS = np.ones(()), np.asarray(-1.0)
FIRED = "fired"  #: the spikes of the step before


@dataclass
class States:
    """The states of a layer while they are put together."""

    node: LIF  #: without memory; what enters it is compared
    parts: dict[str, Node] = field(default_factory=dict)
    wires: list[Edge] = field(default_factory=list)

    def chain(self, source: str, nodes: Mapping[str, Node], target: str) -> None:
        """Nodes one behind the other between two parts."""
        for part, node in nodes.items():
            self.parts.setdefault(part, node)
            self.wires.append((source, part))
            source = part
        self.wires.append((source, target))

    def add(self, name: str, decay: Array, erased: bool = False) -> None:
        """A state that decays: ``name.charge`` before a reset, ``name`` after; ``erased`` at the step after a spike."""
        charge, past = f"{name}.charge", f"{name}.past"
        self.parts |= {charge: Scale(ONE), name: Scale(ONE)}
        self.wires.append((charge, name))
        self.chain(name, {past: Delay(self.node.shape, 1), f"{name}.keep": Scale(decay)}, charge)
        if erased:
            self.gate(charge, f"{name}.erase", MINUS, name)

    def gate(self, source: str, name: str, factor: Array, target: str) -> None:
        """factor * source * r into a part."""
        self.parts.setdefault(FIRED, Delay(self.node.shape, 1))
        self.chain(source, {f"{name}.gate": Gate(operands=(source, FIRED)), name: Scale(factor)}, target)
        self.wires += [("", FIRED), (FIRED, f"{name}.gate")]

    def cells(self, *entry: str, graded: Array | None = None) -> Cells:
        """The layer; what enters it goes to each of ``entry``."""
        wires = tuple(dict.fromkeys(self.wires))
        return Cells(self.node, graded=graded, parts=self.parts, wires=wires, entry=entry)


def compares(shape: Shape, thresholds: Array) -> LIF:
    """Neurons without memory that fire above a threshold."""
    return LIF(shape, np.zeros(()), thresholds, compare=">")


def erased(
    node: LIF,
    decay: Array,
    gain: Array,
    graded: Array | None,
    current: Array | None = None,
    back: Mapping[int, Array] = MappingProxyType({}),
) -> Cells:
    """A membrane that is zero at the step after a spike; behind a current of its own decay where there is one.

    ``back``: what the layer's own spikes add to what enters, by how many steps ago.
    """
    states = States(node)
    states.add("membrane", decay, erased=True)
    states.wires.append(("membrane", ""))
    entry = "gain" if current is None else "current.charge"
    if current is not None:
        states.add("current", current)
        states.wires.append(("current", "membrane.charge"))
    else:
        states.chain("gain", {}, "membrane.charge")
        states.parts["gain"] = Scale(gain)
    for lag, factor in back.items():
        states.chain("", {f"after{lag}": Delay(node.shape, lag), f"back{lag}": Scale(factor)}, entry)
    return states.cells(entry, graded=graded)


def at_once(node: LIF, decay: Array, threshold: Array, graded: Array | None, current: Array | None = None) -> Cells:
    """A membrane that loses the threshold with the spike, and once more while it is still above."""
    states = States(node)
    states.add("membrane", decay)
    states.parts |= {"compared": Scale(ONE), "still": node}
    states.wires += [("membrane.charge", "compared"), ("compared", "")]
    states.chain("membrane.past", {"still": node, "again": Scale(-threshold)}, "compared")  # v takes it back
    states.chain("", {"subtract": Scale(-threshold)}, "membrane")
    if current is not None:
        states.add("current", current)
        states.wires.append(("current", "membrane.charge"))
    return states.cells("membrane.charge" if current is None else "current.charge", graded=graded)


def alpha(
    node: LIF, rates: tuple[Array, Array], gain: Array, reset: str, threshold: Array, graded: Array | None
) -> Cells:
    """An excitatory and an inhibitory current, of which the difference is compared."""
    states = States(node)
    for name, rate in zip(("excitatory", "inhibitory"), rates, strict=True):
        states.add(name, rate, erased=reset == "zero" or (reset == "subtract" and name == "inhibitory"))
        states.chain(name if reset == "zero" else f"{name}.charge", {"difference": Scale(gain)}, "")
    if reset == "subtract":
        states.parts.setdefault(FIRED, Delay(node.shape, 1))
        states.chain(FIRED, {"subtract": Scale(-threshold)}, "excitatory")
        states.gate("inhibitory.past", "kick", ONE, "")
    states.parts["minus"] = Scale(MINUS)
    states.wires.append(("minus", "inhibitory.charge"))
    return states.cells("excitatory.charge", "minus", graded=graded)
