"""The loop of a synapse and the neurons that alone read it: events to sums to spikes, row by row."""

from __future__ import annotations

from typing import Any

from spikeport.engine.cpu.advance import advance
from spikeport.engine.cpu.listing import listed
from spikeport.engine.cpu.moves import fill
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
from spikeport.machine import compiled
from spikeport.machine.llvm import UNIT


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
    """All steps of the samples ``begin`` ... ``end - 1``."""
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
                fill(v, 0)
                fill(current, 0)
                for t in range(steps):
                    if sums.itemsize > 2:
                        fill(sums, 0)
                    row(i, plan, rows, Lists(events[t], starts[t]), scratch, sums, 0, lanes, units, taps)
                    step, out = Parameters(decay, leak, bias, theta[t], reset_value, gain), spikes[t, n]
                    a = b = c = d = e = 0
                    place = i * columns * leaving + tile * lanes
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
