"""Membranes that only leak, of all steps at once: a kernel over time that fades, and torch's RNN of neurons apart.

    v[t] = a v[t-1] + x[t]        v[t] = max(a v[t-1] + x[t], 0)

The first is a convolution over time of each channel with a**k (snnTorch's StateLeaky and LinearLeaky); the second is
``nn.RNN(nonlinearity="relu")`` whose hidden states do not reach each other (snnTorch's LeakyParallel). Where such a
membrane is compared, the neurons leak themselves and are never reset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.graph import LIF, Array, Delay, Linear, Node, Scale, Shape
from spikeport.graph.neurons import Compare
from spikeport.tracing.call import Call
from spikeport.tracing.draft import Draft
from spikeport.tracing.reasons import unknown
from spikeport.tracing.registry import Cells
from spikeport.tracing.symbols import ALL, Out, Symbol, Unsupported
from spikeport.tracing.waiting import Drawn, Waiting

ROUNDING = 2.0**-22  #: relative, and as often again for each step: of a power in float32


@dataclass(frozen=True)
class Fading:
    """A membrane that only leaks."""

    decay: Array  #: [] or [C], 0 <= decay <= 1
    names: tuple[str, ...]  #: the nodes whose sum enters
    held: bool = False  #: whether it is held at 0 from below

    def neurons(self, shape: Shape, thresholds: Array, compare: Compare) -> LIF:
        """The neurons that compare it. Raises `Unsupported` for thresholds that what is held reaches by itself."""
        if self.held and not bool((thresholds > 0 if compare == ">=" else thresholds >= 0).all()):
            raise Unsupported("compares what is never below 0 with thresholds that are")
        low = np.zeros((), self.decay.dtype) if self.held else None
        return LIF(shape, self.decay, thresholds, reset="none", compare=compare, lower_bound=low)


def kernel(call: Call, x: Symbol, weight: Array) -> Symbol | None:
    """Channels convolved over time, [C, 1, K], as a membrane that leaks; None where the kernel is no such."""
    steps = call.tracer.size(x.shape, "T")
    taps = weight[:, 0, ::-1][:, :steps]
    first = taps[:, 0]
    if taps.shape[1] < max(steps, 2) or not first.all():
        return None
    decay = taps[:, 1] / first
    powers = first[:, None] * decay[:, None] ** np.arange(steps)
    close = np.abs(taps - powers) <= ROUNDING * (1 + np.arange(steps)) * np.abs(powers)
    if not close.all() or (decay < 0).any() or (decay > 1).any():
        return None
    names, when = call.tracer.draft.entering(x, call.tracer.place()[0])
    if when != ALL:
        return None
    factor = first if (first != first[0]).any() else first[0]
    names = [call.tracer.draft.times(name, factor.astype(np.float64)) for name in names]
    return _drawn(call, x, Fading(decay, tuple(names)))


def rnn(call: Call) -> Any:
    """rnn_relu(input, hx, weights, bias, layers, dropout, train, bidirectional, batch_first) of one layer."""
    x, state = call.input(), call.args[1]
    weights = [weight for each in call.args[2] if (weight := call.constant(each)) is not None]
    layers, both_ways, batch_first = call.args[4], call.args[7], call.args[8]
    inner, own, *biases = weights
    apart = layers == 1 and not both_ways and np.array_equal(own, np.diag(np.diag(own)))
    if not apart or call.known(state) is not None or bool(state.any()):
        return unknown(call)
    lead = (("B",), ("T",)) if batch_first else (("T",), ("B",))
    if x.axes != (*lead, (0,)) or len(x.shape) != 1:
        return unknown(call)
    decay = np.diag(own).copy()
    if (decay < 0).any() or (decay > 1).any():
        what = f"keeps {decay.min():g} ... {decay.max():g} of its state from step to step; a node keeps 0 ... 1"
        raise Unsupported(what, mend="clamp the weights of its states to 0 ... 1 in training")
    y = call.apply(Linear(inner, np.sum(biases, axis=0) if biases else None), x, x.axes)
    (product,) = y.terms
    (out,) = product
    whole = _drawn(call, y, Fading(decay, (out.node,), held=True))
    last = whole.at(call.tracer.size(x.shape, "T") - 1, ((), ("B",), (0,)))
    return [whole, last]


def _drawn(call: Call, x: Symbol, fading: Fading) -> Symbol:
    draft = call.tracer.draft
    name = draft.name(call.tracer.place()[0], False, "leak")
    waiting = Waiting(call.tracer.where(), x.shape, lambda _steps: _between(fading, x.shape), analog=True)
    draft.add(name, waiting, list(fading.names), x.shape, x.causes)
    draft.fading[name] = fading
    return Symbol({frozenset([Out(name, ALL)]): np.ones(())}, x.shape, x.axes, causes=x.causes)


def _between(fading: Fading, shape: Shape) -> Drawn:
    """The membrane where it is not compared."""
    if fading.held:
        raise Unsupported("hands on states that are held at 0 from below; only spikes pass between layers")
    parts: dict[str, Node] = {"past": Delay(shape, 1), "keep": Scale(fading.decay)}
    return Drawn(Cells(Scale(np.ones(())), parts=parts, wires=(("", "past"), ("past", "keep"), ("keep", ""))))


def compared(draft: Draft, names: list[str]) -> Fading | None:
    """The membrane that enters neurons alone."""
    return draft.fading.get(names[0]) if len(names) == 1 else None


HANDLERS: dict[str, Callable[[Call], Any]] = {"rnn_relu": rnn}
