"""What feeds back in any other way than through one matrix: a step is a list of operations, which a loop reads.

The numbers of a sample's step lie in one row, a node's from its place on. An operation adds up its sources there, in
their order, and puts what it makes of them to its own place. Delays put there what they hold before the first one, and
take in their sources behind the last one. All is real, or all integers of 32 bits: `circuit` lays it out.

What small operations call is put in their place: to hand over a tape and a row takes as long as an operation of a
hundred numbers does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spikeport.engine.cpu import kernels
from spikeport.engine.cpu.convolution import list_numbers, put_windows
from spikeport.engine.cpu.gather import WIDTH, Matrix, put_sums
from spikeport.engine.cpu.moves import copy
from spikeport.engine.cpu.structures import (
    Block,
    Bytes,
    Constants,
    Floats,
    Parameters,
    Places,
    Plan,
    Rules,
    State,
    Whole,
)
from spikeport.machine import compiled, part

SCALE, LINEAR, CONV, GATE, NEURONS = range(5)  #: kinds of operations
OWN, WHOLE = ("subtract", "stay", "put"), ("kept", "lost", "spare", "top", "watch", "bare")


class Operation(NamedTuple):
    """A row of `Tape.operations`."""

    kind: Any
    size: Any  #: of what leaves
    out: Any  #: its place
    first: Any  #: of its sources, among `Tape.sources`
    number: Any  #: of them; the last of `GATE` is its second factor
    inputs: Any  #: size of what enters
    at: Any  #: of its numbers among `Tape.numbers`; of neurons, their first parameter
    layer: Any  #: of neurons, which of the layers
    rows: Any  #: of a matrix, where it begins among `Tape.weights`
    left: Any  #: of a matrix of integers its exponent, as `Matrix` has it
    right: Any
    plan: Any  #: of a convolution, which of `Tape.plans`


class Held(NamedTuple):
    """A row of `Tape.delays`: a node's place, its sources, and where the numbers of so many steps lie in the past."""

    size: Any
    out: Any
    first: Any
    number: Any
    at: Any
    steps: Any


class Passage(NamedTuple):
    """A row of `Tape.entering` or `Tape.leaving`: a node's numbers of all steps and samples, [T, B, size]."""

    size: Any
    place: Any  #: in the row of a step
    at: Any  #: among those of all nodes
    apart: Any  #: numbers from a step to the next; 0 where all steps are the same


class Tape(NamedTuple):
    """A step as the loop reads it: rows of int64."""

    operations: Any
    delays: Any
    sources: Any  #: places of nodes
    numbers: Any  #: factors; of a matrix its bias
    weights: Any  #: of matrices, as `Matrix`
    plans: Any  #: of convolutions, the numbers of `Plan` one by one
    own: Any  #: what neurons of each layer do not share with others: `OWN` of `Rules`, or `WHOLE` of `Constants`
    spikes: Any  #: [layers], the first neuron of each among all


class Row(NamedTuple):
    """What the loop works in."""

    values: Any  #: of a step
    sums: Any  #: of sources
    who: Any  #: as `put_sums` has it


class Windows(NamedTuple):
    """What convolutions work in; where there are none there is None, and nothing of them is compiled."""

    lists: Any
    scratch: Any
    sums: Any  #: of a place


@part(forceinline=True)
def _operation(rows: Whole, k: int) -> Operation:
    """A row by name."""
    own = rows[k]
    return Operation(own[0], own[1], own[2], own[3], own[4], own[5], own[6], own[7], own[8], own[9], own[10], own[11])


@part(forceinline=True)
def _held(rows: Whole, k: int) -> Held:
    """A row by name."""
    own = rows[k]
    return Held(own[0], own[1], own[2], own[3], own[4], own[5])


@part(forceinline=True)
def _passage(rows: Whole, k: int) -> Passage:
    """A row by name."""
    own = rows[k]
    return Passage(own[0], own[1], own[2], own[3])


@part
def _plan(rows: Whole, k: int) -> Plan:
    """A row by name."""
    n = rows[k]
    return Plan(
        (n[0], n[1], n[2]),
        (n[3], n[4]),
        (n[5], n[6]),
        (n[7], n[8]),
        (n[9], n[10]),
        (n[11], n[12]),
        1,
        n[14],
        0,
        1,
        0,
        1,
    )


@part(forceinline=True)
def _spread(fires: Bytes, out: Floats) -> None:
    """Spikes as numbers."""
    for i in range(fires.shape[0]):
        out[i] = fires[i]


@part(forceinline=True)
def _added(sources: Whole, first: int, number: int, size: int, values: Floats, sums: Floats) -> None:
    """The sum of some sources."""
    copy(values[sources[first] :][:size], sums)
    for k in range(first + 1, first + number):
        x = values[sources[k] :][:size]
        for i in range(size):
            sums[i] += x[i]


@part
def _multiply(tape: Tape, o: Operation, x: Floats, row: Row, real: Any, whole: Any) -> None:
    """A matrix, of real numbers or whole ones: the other is None."""
    length = (o.size + WIDTH - 1) // WIDTH * WIDTH
    bias, weights, out = tape.numbers[o.at :][:length], tape.weights[o.rows :], row.values[o.out :][:length]
    if real is not None:
        put_sums(x, 0, Matrix(weights, bias, o.inputs, None, None, np.int32(1)), row.who, out)
    if whole is not None:
        left, right = np.int32(o.left), np.int32(o.right)
        put_sums(x, 0, Matrix(weights, bias, o.inputs, left, right, np.int32(1)), row.who, out)


@part
def _convolve(tape: Tape, o: Operation, x: Floats, values: Floats, windows: Windows, real: Any, whole: Any) -> None:
    """A convolution of spikes."""
    plan = _plan(tape.plans, o.plan)
    list_numbers(x, plan, windows.lists)
    length = (plan.channels + WIDTH - 1) // WIDTH * WIDTH
    bias, weights, window = tape.numbers[o.at :][:length], tape.weights[o.rows :], windows.sums[:length]
    for i in range(plan.leaving[0]):
        out = values[o.out + i * plan.leaving[1] * plan.channels :]
        if real is not None:
            matrix = Matrix(weights, bias, plan.size[2], None, None, None)
            put_windows(i, matrix, plan, windows.lists, windows.scratch, window, out)
        if whole is not None:
            shifted = Matrix(weights, bias, plan.size[2], np.int32(o.left), np.int32(o.right), None)
            put_windows(i, shifted, plan, windows.lists, windows.scratch, window, out)


@part(forceinline=True)
def _fire(
    sums: Floats,
    now: State,
    real: Any,
    whole: Any,
    own: Any,
    layer: Parameters,
    fires: Bytes,
    places: Places,
    size: int,
    block: Block,
    counts: Whole,
) -> None:
    """A step of a layer by what all layers share, ``real`` or ``whole``, and by its ``own``."""
    if real is not None:
        told = Rules(real.at_zero, own[0], own[1], own[2], real.most, real.bare)
        kernels.step(sums, now, told, layer, fires, places, size, block, counts)
    if whole is not None:
        ours = Constants(whole.left, whole.right, own[0], own[1], own[2], own[3], whole.floats, own[4], own[5])
        kernels.step(sums, now, ours, layer, fires, places, size, block, counts)


@part(forceinline=True)
def _operate(tape: Tape, o: Operation, x: Floats, row: Row, windows: Any, real: Any, whole: Any) -> None:
    """An operation without state, of what enters it."""
    out, own = row.values[o.out :], tape.numbers[o.at :]
    if windows is not None and o.kind == CONV:
        _convolve(tape, o, x, row.values, windows, real, whole)
    elif o.kind == LINEAR:
        _multiply(tape, o, x, row, real, whole)
    elif o.kind == SCALE:
        for i in range(o.size):
            out[i] = x[i] * own[i]
    else:
        other = row.values[tape.sources[o.first + o.number - 1] :]
        for i in range(o.size):
            out[i] = x[i] * other[i]


@compiled
def around(
    x: Floats,  # what enters from outside, as ``entering`` says
    entering: Whole,  # [nodes, 4], `Passage`
    tape: Tape,
    real: Any,  # `Rules` of which each layer tells `OWN`, or None
    whole: Any,  # `Constants` of which it tells `WHOLE`, or None
    layer: Parameters,  # of all layers, one behind the other
    spikes: Bytes,  # [neurons of all layers * T * B], layer by layer [T, B, size]
    after: Floats,  # as spikes, or [0]: membranes
    y: Floats,  # what leaves, as ``leaving`` says
    leaving: Whole,  # [nodes, 4], `Passage`
    state: Floats,  # [B, 3 * parameters + past]
    row: Row,
    windows: Any,  # `Windows`, or None
    block: Block,
    counts: Whole,  # [layers, T, 5]: what is counted is added
    done: int,
    begin: int,
    end: int,
) -> None:
    """Some steps of the samples ``begin`` ... ``end - 1``, behind those that are ``done``."""
    width, samples, steps, values = layer.decay.shape[0], state.shape[0], counts.shape[1], row.values
    for n in range(begin, end):
        own = state[n]
        now, past = State(own[:width], own[width : 2 * width], own[2 * width : 3 * width]), own[3 * width :]
        for t in range(steps):
            for k in range(len(entering)):
                p = _passage(entering, k)
                copy(x[p.at + t * p.apart + n * p.size :][: p.size], values[p.place :])
            for k in range(len(tape.delays)):
                d = _held(tape.delays, k)
                copy(past[d.at + (done + t) % d.steps * d.size :][: d.size], values[d.out :])
            for k in range(len(tape.operations)):
                o = _operation(tape.operations, k)
                sums = row.sums
                if o.number == (2 if o.kind == GATE else 1):
                    sums = values[tape.sources[o.first] :]
                else:
                    _added(tape.sources, o.first, o.number - (o.kind == GATE), o.inputs, values, sums)
                if o.kind == NEURONS:
                    at = (tape.spikes[o.layer] * steps + t * o.size) * samples + n * o.size
                    fires, places = spikes[at : at + o.size], Places(0, o.at, o.at, 0)
                    told = real, whole, tape.own[o.layer], kernels.of_step(layer, t)
                    _fire(sums, now, *told, fires, places, o.size, block, counts[o.layer, t])
                    _spread(fires, values[o.out :])
                    if len(after) > 0:
                        copy(now.membrane[o.at : o.at + o.size], after[at:])
                else:
                    _operate(tape, o, sums, row, windows, real, whole)
            for k in range(len(tape.delays)):
                d = _held(tape.delays, k)
                _added(tape.sources, d.first, d.number, d.size, values, past[d.at + (done + t) % d.steps * d.size :])
            for k in range(len(leaving)):
                p = _passage(leaving, k)
                copy(values[p.place : p.place + p.size], y[p.at + t * p.apart + n * p.size :])
