"""The loop of a synapse and the neurons that alone read it: events to sums to spikes, row by row."""

from __future__ import annotations

from typing import Any

from spikeport.engine.cpu.advance import advance
from spikeport.engine.cpu.kernels import BARE, CHECKED, of_step
from spikeport.engine.cpu.listing import listed
from spikeport.engine.cpu.moves import clear, copy
from spikeport.engine.cpu.structures import (
    ACTIVE,
    BEYOND,
    FIRED,
    SATURATED,
    WRAPPED,
    Apart,
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
    Strip,
    Whole,
)
from spikeport.engine.cpu.sums import row
from spikeport.machine import compiled, part
from spikeport.machine.llvm import EIGHT

ONE, TWO = (0,), (0, 0)  #: neurons that take a step together, in eights
SIXTEEN = 2 * EIGHT


@part(forceinline=True)
def _take(block: Any, out: Any, strip: Strip) -> None:
    """What is kept of a map, to a block."""
    for r in range(strip.rows):
        for j in range(len(block) // strip.lanes):
            kept = out[strip.first + r * strip.below + j * strip.apart :][: strip.live]
            copy(kept, block[j * strip.lanes + r * strip.each :])


@part(forceinline=True)
def _put(block: Any, out: Any, strip: Strip) -> None:
    """The way back."""
    for r in range(strip.rows):
        for j in range(len(block) // strip.lanes):
            told = block[j * strip.lanes + r * strip.each :][: strip.live]
            copy(told, out[strip.first + r * strip.below + j * strip.apart :])


@part(forceinline=True)
def _step(
    now: State,
    sums: Any,
    constants: Constants,
    step: Parameters,
    pattern: int,
    k: int,  # where the parameters of the first place begin
    width: int,  # of a place among the parameters
    columns: int,
    out: Any,
    strip: Strip,  # where spikes go; vectors may write beyond those of a place
    counts: Any,  # [5]: what is counted is added
) -> None:
    """A step of rows of neurons."""
    a = b = c = d = e = 0
    bare, live = constants.bare != 0, strip.live
    left, right, kept, lost, spare, top, _, watch, _ = constants
    whole = Constants(left, right, kept, lost, spare, top, None, watch, None)  # of sums that are integers
    number = columns if pattern == width else 1  # of places with the same parameters
    apart = Apart(number, strip.lanes, strip.apart)
    for r in range(strip.rows):
        if r > 0:
            k = (k + columns * width) % pattern
        here, place = k, strip.first + r * strip.below
        for first in range(r * strip.each, r * strip.each + columns * strip.lanes, number * strip.lanes):
            for lane in range((live - 1) // SIXTEEN * SIXTEEN, -1, -SIXTEEN):
                some, at = min(live - lane, SIXTEEN), first + lane
                places = Places(at, at, here + lane, place + lane)
                if bare and some > EIGHT:
                    a += advance(sums, now, step, out, places, apart, some, whole, BARE, TWO).fired
                elif bare:
                    a += advance(sums, now, step, out, places, apart, some, whole, BARE, ONE).fired
                else:
                    counted = advance(sums, now, step, out, places, apart, some, whole, CHECKED, TWO)
                    a, b = a + counted.fired, b + counted.saturated
                    c, d, e = c + counted.beyond, d + counted.active, e + counted.wrapped
            place += number * strip.apart
            here = here + width if here + width < pattern else here + width - pattern
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
    layer: Parameters,  # a place as wide as all tiles
    pattern: int,  # after so many neurons the parameters repeat
    spikes: Bytes,  # [T, B, places * apart], a place `apart` channels or more, or [0, 0, 0] where sums are asked
    after: Integers,  # as spikes, or [0, 0, 0] where nobody asks: membranes, or sums
    state: Integers,  # [2, B, as spikes] membrane and current between calls, or [0, 0, 0]
    lists: Lists,  # of all steps of one sample or more
    scratch: Scratch,
    block: Block,  # `fold` rows of places
    counts: Whole,  # [T, 5]: what is counted is added
    begin: int,
    end: int,
) -> None:
    """Some steps of the samples ``begin`` ... ``end - 1``.

    Vectors of spikes may be longer than the channels of a place: what they write beyond is written over by what comes
    later, tile by tile from the last, row by row; what would leave these samples goes by way of ``block``.
    """
    lanes, steps, alone, carried = plan.lanes, len(x), len(spikes) == 0, len(state) > 0
    each, rows, columns = lanes // plan.fold, plan.leaving[0], plan.leaving[1]
    width, groups = each * len(weight), -(-rows // plan.fold)
    apart = (after.shape[2] if alone else spikes.shape[2]) // (rows * columns)
    v, current, sums, fires, _ = block
    now, leak = State(v, current, None), layer.leak
    together = max(1, len(lists.events) // steps)  # samples that a tile of weights serves before the next one
    for start in range(begin, end, together):
        some = min(together, end - start)
        for m in range(some * steps):
            listed(x[m % steps, start + m // steps], plan, Lists(lists.events[m], lists.starts[m]))
        for tile_and_sample in range(len(weight) * some):
            tile, m = len(weight) - 1 - tile_and_sample // some, tile_and_sample % some
            n, live = start + m, min(each, plan.channels - tile * lanes)
            for group in range(groups):
                i = group * plan.fold
                first, below = i * columns * apart + tile * lanes, columns * apart
                strip = Strip(min(plan.fold, rows - i), lanes, each, live, first, below, apart)
                clear(v)
                if leak is not None:
                    clear(current)
                if carried:
                    _take(v, state[0, n], strip)
                    _take(current, state[1, n], strip)
                k = i * columns * width % pattern + tile * lanes
                beyond = first + strip.rows * below + SIXTEEN > (end - n) * rows * below
                there = Strip(strip.rows, lanes, each, live, 0, each, lanes) if beyond else strip  # of spikes
                for t in range(steps):
                    here = Lists(lists.events[m * steps + t], lists.starts[m * steps + t])
                    row(group, plan, weight[tile], here, scratch, sums)
                    if not alone:
                        step = of_step(layer, t)
                        out = fires if beyond else spikes[t, n]
                        _step(now, sums, constants, step, pattern, k, width, columns, out, there, counts[t])
                        if beyond:
                            _put(fires, spikes[t, n], strip)
                    if len(after) > 0:
                        _put(sums if alone else v, after[t, n], strip)
                if carried:
                    _put(v, state[0, n], strip)
                    _put(current, state[1, n], strip)
