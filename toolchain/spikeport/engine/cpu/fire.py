"""The loop of a synapse and the neurons that alone read it: events to sums to spikes, row by row."""

from __future__ import annotations

from typing import Any

from spikeport.engine.cpu.advance import advance
from spikeport.engine.cpu.listing import listed
from spikeport.engine.cpu.moves import clear, copy
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

ONE, TWO = (0,), (0, 0)  #: units of the neurons that take a step together


@part(forceinline=True)
def _take(row: Any, out: Any, first: int, leaving: int, lanes: int) -> None:
    """What is kept of a map, from ``first`` on ``lanes`` of each ``leaving`` channels, to a row of places."""
    for j in range(len(row) // lanes):
        copy(out[first + j * leaving :][:lanes], row[j * lanes :])


@part(forceinline=True)
def _put(row: Any, out: Any, first: int, leaving: int, lanes: int) -> None:
    """The way back."""
    for j in range(len(row) // lanes):
        copy(row[j * lanes :][:lanes], out[first + j * leaving :])


@part(forceinline=True)
def _step(
    now: State,
    sums: Any,
    constants: Constants,
    step: Parameters,
    pattern: int,
    out: Any,
    first: int,
    leaving: int,
    lanes: int,
    tile: int,
    live: int,  # of the lanes, those that are channels
    counts: Any,  # [5]: what is counted is added
) -> None:
    """A step of a row of neurons."""
    a = b = c = d = e = 0
    place, k = first, first % pattern
    for at in range(0, len(sums), lanes):
        for lane in range(0, live, 2 * UNIT):
            places, some = Places(at + lane, at + lane, k + lane, place + lane), live - lane
            if lanes > UNIT:
                counted = advance(sums, now, step, out, places, some, constants, TWO)
            else:
                counted = advance(sums, now, step, out, places, some, constants, ONE)
            a, b = a + counted.fired, b + counted.saturated
            c, d, e = c + counted.beyond, d + counted.active, e + counted.wrapped
        place += leaving
        k = k + leaving if k + leaving < pattern else tile * lanes
    counts[FIRED] += a
    counts[SATURATED] += b
    counts[BEYOND] += c
    counts[ACTIVE] += d
    counts[WRAPPED] += e


@compiled
def fire(
    x: Any,  # uint64 [T, B, places * channels / 8], channels last
    weight: Any,  # int16 [tiles, rows, lanes / 2], paired
    plan: Plan,
    constants: Constants,
    layer: Parameters,
    pattern: int,  # after so many neurons the parameters repeat
    spikes: Bytes,  # [T, B, rows * columns * tiles * lanes], or [0, 0, 0] where only the sums are asked
    after: Integers,  # as spikes, or [0, 0, 0] where nobody asks: membranes, or sums
    state: Integers,  # [2, B, as spikes] membrane and current between calls, or [0, 0, 0]
    lists: Lists,  # of all steps of a sample
    scratch: Scratch,
    block: Block,  # one row of places
    counts: Whole,  # [T, 5]: what is counted is added
    begin: int,
    end: int,
) -> None:
    """Some steps of the samples ``begin`` ... ``end - 1``."""
    lanes, steps, alone, carried = plan.lanes, len(x), len(spikes) == 0, len(state) > 0
    leaving, (events, starts) = lanes * len(weight), lists
    v, current, sums, _ = block
    now, (decay, leak, bias, theta, reset_value, gain) = State(v, current), layer
    for n in range(begin, end):
        for t in range(steps):
            listed(x[t, n], plan.size[2] // 8, plan.high, Lists(events[t], starts[t]))
        for tile in range(len(weight)):
            rows = weight[tile]
            for i in range(plan.leaving[0]):
                first = i * plan.leaving[1] * leaving + tile * lanes
                if carried:
                    _take(v, state[0, n], first, leaving, lanes)
                    _take(current, state[1, n], first, leaving, lanes)
                else:
                    clear(v)
                    clear(current)
                for t in range(steps):
                    row(i, plan, rows, Lists(events[t], starts[t]), scratch, sums)
                    if not alone:
                        step = Parameters(decay, leak, bias, theta[t], reset_value, gain)
                        told, live = (now, sums, constants, step, pattern), min(lanes, plan.channels - tile * lanes)
                        _step(*told, spikes[t, n], first, leaving, lanes, tile, live, counts[t])
                    if len(after) > 0:
                        _put(sums if alone else v, after[t, n], first, leaving, lanes)
                if carried:
                    _put(v, state[0, n], first, leaving, lanes)
                    _put(current, state[1, n], first, leaving, lanes)
