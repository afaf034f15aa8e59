"""Neurons that fire several times a step, written as a rounded membrane: round(clamp(u, 0, 4)) fires up to four times.

    floor(u) counts the thresholds 1, 2, ... that u reaches, round(u) those at 0.5, 1.5, ...: both are the neurons of
    `LIF` with `most_spikes`, of a membrane that is measured from the first threshold less one.

At exactly half a threshold torch rounds to the even number and the node fires once more; the graph's notes say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.tracing.call import Call
from spikeport.tracing.counts import counted
from spikeport.tracing.draft import Waiting
from spikeport.tracing.ends import held
from spikeport.tracing.reasons import unknown
from spikeport.tracing.symbols import ALL, Out, Symbol, form_of

FIRST = {"round": 0.5, "floor": 1.0}  #: the value at which the count becomes one


@dataclass(frozen=True, eq=False)
class Half:
    """One half of a count: a membrane that was clamped, or one that was rounded."""

    x: Symbol
    most: int = 0  #: where it was clamped
    first: float = 0.0  #: where it was rounded


def clamp(call: Call) -> Any:
    """clamp(x, 0, n) with a whole n, before or after rounding."""
    low, high = call.get(1, "min"), call.get(2, "max")
    if low is not None and high is None:
        return held(call, call.get(0, "input"), low)
    x = call.input()
    if not (
        isinstance(low, int | float) and isinstance(high, int | float) and low == 0 and high >= 1 and high % 1 == 0
    ):
        return unknown(call)
    half = form_of(x, Half)
    if half is not None and half.first:
        return fired(call, half.x, int(high), half.first)
    return unknown(call, Half(x, most=int(high)))


def rounds(call: Call) -> Any:
    """round(x) and floor(x), before or after clamping."""
    x, first = call.input(), FIRST[call.name.strip("_")]
    if call.kwargs.get("decimals"):
        return unknown(call)
    half = form_of(x, Half)
    if half is not None and half.most:
        return fired(call, half.x, half.most, first)
    return unknown(call, Half(x, first=first))


def fired(call: Call, x: Symbol, most: int, first: float) -> Symbol:
    """The spikes of a step, or of all steps of a block, which then forget each."""
    tracer, draft = call.tracer, call.tracer.draft
    path, alone = tracer.place()
    if x.timed:
        name = draft.name(path, alone, "spikes")
        names, _ = draft.entering(x, path)
        waiting = Waiting(tracer.where(), x.shape, lambda t: counted(x.shape, t, most, first), several=True)
        draft.add(name, waiting, names, x.shape, x.causes)
        out = Out(name, ALL)
    else:
        out = tracer.membranes.count(x, most, first, lambda _root: draft.name(path, alone, "spikes"), tracer.where())
    spikes = Symbol({frozenset([out]): np.ones(())}, x.shape, x.axes, causes=x.causes)
    tracer.trains.of(spikes, call.out, counts=True)
    return spikes


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **dict.fromkeys(("clamp", "clip", "clamp_", "clip_"), clamp),
    **dict.fromkeys(("round", "round_", "floor", "floor_"), rounds),
}
