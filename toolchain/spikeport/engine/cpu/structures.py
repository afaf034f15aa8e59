"""What the compiled loops are told and what they tell, by name. numba takes named tuples apart at no cost."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]
Floats = NDArray[Any]
Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]


class Parameters(NamedTuple):
    """A neuron layer's parameters, each [period], and the thresholds: [T or 1, period], of one step [period].

    ``leak`` is the current's decay; None where there is no current.
    """

    decay: Any
    leak: Any
    bias: Any
    threshold: Any  #: of integers in the membrane's scale
    reset_value: Any
    gain: Any  #: of real numbers, else None
    low: Any  #: where membranes end from below; None where they do not
    up: Any  #: what a spike adds to the threshold; None where thresholds follow no spikes
    fade: Any  #: the decay of what they added, as ``up``


class Constants(NamedTuple):
    """What integer neurons of a layer share, int32. After a spike v = (u & kept) - (theta & lost) + reset_value."""

    left: Any  #: the exponent of the sums that come, as a shift to the left
    right: Any  #: and one to the right
    kept: Any
    lost: Any
    spare: Any  #: bits of 32 that the accumulator of shifted sums lacks: those that wrap it throws away
    top: Any  #: the largest membrane
    floats: Any  #: whether the sums that come are float32, seen as int32
    watch: Any  #: whether sums beyond the accumulator or the membrane's range and active neurons are counted
    bare: Any  #: whether nothing can leave a range, so that nothing is cut, and spikes alone are counted


class Rules(NamedTuple):
    """How real neurons fire and what a spike does to them.

    A membrane loses the threshold, stays as it is, or is put to the reset value: one of the three is -1 (all bits), as
    long as a membrane, and the others 0.
    """

    at_zero: Any  #: 1 where a membrane at its threshold fires, else None: a choice in each lane costs a third of a step
    subtract: Any
    stay: Any
    put: Any
    most: Any  #: spikes a step, in the type of membranes; None where there is one at most
    bare: Any  #: whether spikes alone are counted, and not active neurons


class State(NamedTuple):
    """What neurons carry from step to step."""

    membrane: Any
    current: Any
    rise: Any  #: of their thresholds; None where these follow no spikes


class Block(NamedTuple):
    """What a loop over blocks of neurons works in, made outside: what makes arrays takes numba long to compile."""

    membrane: Any  #: [block]
    current: Any  #: [block]
    arriving: Any  #: sums of one vector, or of a row of places
    fires: Any  #: spikes of one vector, or of a row of places
    rise: Any = None  #: [block], or None


class Places(NamedTuple):
    """Where the neurons of a step begin in each array."""

    sums: int
    state: int
    parameters: int
    spikes: int


class Apart(NamedTuple):
    """How often a vector of neurons takes a step, each time further on, with the same parameters."""

    number: int
    sums: int  #: and their state
    spikes: int


class Counted(NamedTuple):
    """What neurons did in a step, in the order of the columns of a layer's counts, [T, 5] int64."""

    fired: Any
    saturated: Any
    beyond: Any  #: got an input beyond the membrane's range, which Lava wraps
    active: Any
    wrapped: Any  #: got an input beyond the accumulator


KINDS = len(Counted._fields)
FIRED, SATURATED, BEYOND, ACTIVE, WRAPPED = range(KINDS)


class Plan(NamedTuple):
    """How windows lie on a map: (rows, columns) each, and of what enters also the channels, padded to eight.

    With a ``fold`` above 1, ``kernel`` and ``stride`` are those of a window that holds the windows of so many rows of
    places, one below the other.
    """

    size: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    leaving: tuple[int, int]
    high: int  #: the largest input: one of size s is s events
    channels: int  #: that leave
    lanes: int  #: in a row of weights: 16, 32 or 64, the last of which may be no channel
    taps: int  #: columns of the kernel that an event adds to at once; none of a linear layer
    together: int  #: events after which 16 bits may be full
    fold: int = 1  #: rows of output places whose sums a row of weights has side by side, ``lanes / fold`` each


class Strip(NamedTuple):
    """Rows of places in a block and in a map: place j of row r has ``live`` channels from ``j * lanes + r * each`` on.

    In the map from ``first + r * below + j * apart`` on.
    """

    rows: Any
    lanes: Any
    each: Any
    live: Any
    first: Any
    below: Any
    apart: Any


class Band(NamedTuple):
    """The rows of a map that the windows of a row of output places touch, and the map's size."""

    rows: Any
    columns: Any
    top: Any  #: the first row that is touched
    below: Any  #: and the first that is no more
    padding: Any  #: columns


class Lists(NamedTuple):
    """The events of one map: those of place p begin at ``starts[p]``.

    Places are in the order of rows, their events numbered by channel; where windows slide in that of columns, their
    events by row and channel.
    """

    events: Any  #: int32
    starts: Any  #: int64 [places + 1]


class Scratch(NamedTuple):
    """What the sums of a row of output places are made in, where windows do not slide."""

    events: Any  #: those of the rows that its windows touch, column by column
    at: Any  #: where those of each column begin
    pairs: Any  #: a pair of sums
