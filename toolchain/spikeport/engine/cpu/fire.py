"""The loop of a synapse and the neurons that alone read it: events to sums to spikes, row by row."""

from __future__ import annotations

from typing import Any

from spikeport.engine.cpu.advance import advance
from spikeport.engine.cpu.listing import listed
from spikeport.engine.cpu.moves import copy, fill
from spikeport.engine.cpu.structures import (
    ACTIVE,
    BEYOND,
    FIRED,
    SATURATED,
    WRAPPED,
    Block,
    Bytes,
    Constants,
    Integers,
    Lists,
    Parameters,
    Places,
    Plan,
    Scratch,
    State,
    Whole,
)
from spikeport.engine.cpu.sums import row
from spikeport.machine import compiled, part
from spikeport.machine.llvm import UNIT


@part
def _begin(state: Any, n: int, first: int, leaving: int, lanes: int, now: State) -> None:
    """The state of sample ``n`` in a row of places from ``first`` on, ``lanes`` channels each; or zeros."""
    v, current = now
    if state.shape[0] == 0:
        fill(v, 0)
        fill(current, 0)
        return
    for j in range(len(v) // lanes):
        copy(state[0, n, first + j * leaving :][:lanes], v[j * lanes :])
        copy(state[1, n, first + j * leaving :][:lanes], current[j * lanes :])


@part
def _end(now: State, state: Any, n: int, first: int, leaving: int, lanes: int) -> None:
    """The way back."""
    v, current = now
    for j in range(len(v) // lanes if state.shape[0] > 0 else 0):
        copy(v[j * lanes :][:lanes], state[0, n, first + j * leaving :])
        copy(current[j * lanes :][:lanes], state[1, n, first + j * leaving :])


@compiled
def fire(
    x: Any,  # uint64 [T, B, places * channels / 8], channels last
    weight: Any,  # int16 [tiles, rows, lanes / 2], paired
    plan: Plan,
    constants: Constants,
    layer: Parameters,
    pattern: int,  # after so many neurons the parameters repeat
    spikes: Bytes,  # [T, B, rows * columns * channels that leave]
    after: Integers,  # as spikes, or [0, 0, 0] where nobody asks
    state: Integers,  # [2, B, as spikes] membrane and current between calls, or [0, 0, 0]
    lists: Lists,  # of all steps of a sample
    scratch: Scratch,
    units: Any,
    taps: Any,
    half: Any,  # units of the neurons that take a step together
    block: Block,  # one row of places
    counts: Whole,  # [T, 5]: what is counted is added
    begin: int,
    end: int,
) -> None:
    """Some steps of the samples ``begin`` ... ``end - 1``."""
    lanes, together, columns, steps = UNIT * len(units), UNIT * len(half), plan.leaving[1], len(x)
    leaving, (events, starts) = lanes * len(weight), lists
    v, current, sums, _ = block
    now, (decay, leak, bias, theta, reset_value, gain) = State(v, current), layer
    for n in range(begin, end):
        for t in range(steps):
            listed(x[t, n], plan.size[2] // 8, plan.high, Lists(events[t], starts[t]))
        for tile in range(len(weight)):
            rows = weight[tile]
            for i in range(plan.leaving[0]):
                first = i * columns * leaving + tile * lanes
                _begin(state, n, first, leaving, lanes, now)
                for t in range(steps):
                    if sums.itemsize > 2:
                        fill(sums, 0)
                    row(i, plan, rows, Lists(events[t], starts[t]), scratch, sums, 0, lanes, units, taps)
                    step, out = Parameters(decay, leak, bias, theta[t], reset_value, gain), spikes[t, n]
                    a = b = c = d = e = 0
                    place = first
                    k = place % pattern
                    for j in range(columns):
                        for lane in range(0, lanes, together):
                            at = Places(j * lanes + lane, j * lanes + lane, k + lane, place + lane)
                            counted = advance(sums, now, step, out, at, together, constants, half)
                            a, b = a + counted.fired, b + counted.saturated
                            c, d, e = c + counted.beyond, d + counted.active, e + counted.wrapped
                        if after.shape[0] > 0:
                            for lane in range(lanes):
                                after[t, n, place + lane] = v[j * lanes + lane]
                        place += leaving
                        k = k + leaving if k + leaving < pattern else tile * lanes
                    counts[t, FIRED] += a
                    counts[t, SATURATED] += b
                    counts[t, BEYOND] += c
                    counts[t, ACTIVE] += d
                    counts[t, WRAPPED] += e
                _end(now, state, n, first, leaving, lanes)
