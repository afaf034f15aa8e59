"""What stands around a map: zeros, or the map's own values (replicated, reflected, circular)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.graph import Conv
from spikeport.tracing import operations, taps
from spikeport.tracing.call import Call
from spikeport.tracing.symbols import Steps, Symbol, Unsupported


def pad(call: Call) -> Symbol | Steps:
    """pad(x, sides, mode, value): steps of zeros before the first, or places around those of each channel."""
    x, sides = call.input(), tuple(int(side) for side in call.get(1, "pad"))
    mode = call.get(2, "mode", "constant")
    if x.axes[-1] == ("T",):
        if mode != "constant" or call.get(3, "value", 0):
            raise Unsupported("pads time with other values than zeros")
        return taps.padded(call, x, sides)
    if mode in BESIDE:
        return surrounded(call, x, sides, mode)
    if call.get(3, "value", 0):
        raise Unsupported("pads with a value that is not zero")
    return _bordered(call, x, sides)


def _bordered(call: Call, x: Symbol, sides: tuple[int, ...]) -> Symbol:
    """Zeros around the places: a convolution of each channel by itself, with one 1 in its kernel."""
    places = len(x.shape) - 1
    wanted = ((0,), *((n,) for n in range(1, places + 1)))
    if not places or len(sides) > 2 * places or min(sides) < 0 or x.axes[-places - 1 :] != wanted:
        raise Unsupported("pads channels, or takes places away")
    pairs = [(sides[2 * n], sides[2 * n + 1]) if 2 * n < len(sides) else (0, 0) for n in range(places)][::-1]
    kernel = np.zeros((x.shape[0], 1, *(abs(a - b) + 1 for a, b in pairs)))
    at: tuple[Any, ...] = (slice(None), 0, *(0 if a > b else b - a for a, b in pairs))
    kernel[at] = 1
    ones, border = (1,) * places, tuple(max(pair) for pair in pairs)
    node = Conv(call.tracer.draft.number(kernel), stride=ones, padding=border, dilation=ones, groups=x.shape[0])
    return call.apply(node, x, x.axes)


#: for a side so wide, of an axis of some length: the places that stand there, as (start, stop, copies of each)
Places = Callable[[int, int], list[tuple[int, int, int]]]


def surrounded(call: Call, x: Symbol, sides: tuple[int, ...], mode: str) -> Symbol:
    """The map's own values around it, axis by axis from the last, as torch does; ``mode``: one of `BESIDE`."""
    if min(sides) < 0:
        raise Unsupported("takes places away")
    if x.causes:  # behind something that was refused no node fits any more
        return replace(x, shape=(*x.shape[: -len(sides) // 2], *call.out.shape[-len(sides) // 2 :]))
    before, after = BESIDE[mode]
    for n in range(len(sides) // 2):
        left, right = sides[2 * n : 2 * n + 2]
        x = operations.settled(call.tracer, x)
        axis = len(x.axes) - 1 - n
        length = x.shape[axis - operations.lead_of(x)]
        spans = [*(before(left, length) if left else ()), (0, length, 1), *(after(right, length) if right else ())]
        if len(spans) > 1:
            parts = [_span(call, x, axis, *span) for span in spans]
            x = operations.concatenated(call, parts, axis)
    return x


def _span(call: Call, x: Symbol, axis: int, start: int, stop: int, copies: int) -> Symbol:
    """Some places of an axis, each so many times."""
    whole = x.shape[axis - operations.lead_of(x)]
    x = x if (start, stop) == (0, whole) else operations.sliced(call.tracer, x, axis, start, stop)
    if copies == 1:
        return x
    return operations.repeated(call.tracer, x, [copies if n == axis else 1 for n in range(len(x.axes))])


BESIDE: dict[str, tuple[Places, Places]] = {
    "replicate": (lambda wide, length: [(0, 1, wide)], lambda wide, length: [(length - 1, length, wide)]),
    "reflect": (
        lambda wide, length: [(n, n + 1, 1) for n in range(wide, 0, -1)],
        lambda wide, length: [(length - 1 - n, length - n, 1) for n in range(1, wide + 1)],
    ),
    "circular": (lambda wide, length: [(length - wide, length, 1)], lambda wide, length: [(0, wide, 1)]),
}
HANDLERS: dict[str, Callable[[Call], Any]] = {"pad": pad}
