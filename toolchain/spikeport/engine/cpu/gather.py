"""Rows of a matrix, added up for a list of them: what the spikes of one step bring to the neurons that they reach.

Sums stay in registers while the rows pass, one after the other in the order of the list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from spikeport.engine.cpu.listing import BITS
from spikeport.engine.cpu.moves import copy
from spikeport.engine.cpu.structures import Floats, Integers
from spikeport.engine.cpu.vectors import ones_of, put
from spikeport.machine import part
from spikeport.machine.llvm import (
    BYTE,
    EIGHT,
    WORD,
    carried,
    constant,
    intrinsic,
    lanes_of,
    named,
    named_kinds,
    pointer,
    spread,
)

WIDE, NARROW = (0,) * 8, (0,) * 4  #: units whose sums fill half of AVX2's registers, and a quarter
WIDTH = EIGHT * len(NARROW)  #: rows have a multiple of so many numbers


class Matrix(NamedTuple):
    """A matrix by input, and what is done to its sums."""

    weight: Any  #: [inputs * padded sums], input by input; integers of 16 bits or 32
    bias: Any  #: [padded sums], what the sums begin with
    inputs: Any
    left: Any  #: of integers the exponent, as shifts; else None
    right: Any
    graded: Any  #: 1 where other numbers enter than zeros and ones, else None


def padded(size: int) -> int:
    """The length of a row that holds ``size`` numbers."""
    return -(-size // WIDTH) * WIDTH


@intrinsic
def _some(typing: Any, x: Any, at: Any) -> Any:
    """Which of ``x[at : at + 8]`` are not zero: the lowest bits of a word, the first of them lowest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        many = ir.VectorType(context.get_value_type(kind.dtype), EIGHT)
        place = pointer(context, builder, kind, arguments[0], arguments[1], many)
        values, zero = builder.load(place, align=kind.dtype.bitwidth // 8), constant(many, 0)
        differ = builder.fcmp_unordered if isinstance(kind.dtype, types.Float) else builder.icmp_unsigned
        return builder.zext(builder.bitcast(differ("!=", values, zero), BYTE), WORD)

    return types.uint64(x, at), generate


@part
def events(x: Any, begin: int, size: int, who: Integers) -> int:
    """List which of ``size`` values from ``begin`` on are not zero; how many. ``who`` has room for eight more."""
    k: Any = np.uint64(0)
    whole = size // EIGHT * EIGHT
    for j in range(0, whole, EIGHT):
        some = _some(x, begin + j)
        put(who, np.int64(k), np.int32(j), BITS, np.int64(some) * EIGHT)
        k += ones_of(some)
    count = np.int64(k)
    for j in range(whole, size):
        who[count] = j
        count += np.int64(x[begin + j] != 0)
    return int(count)


@intrinsic
def _sum_up(
    typing: Any, matrix: Any, who: Any, run: Any, base: Any, x: Any, begin: Any, sums: Any, at: Any, units: Any
) -> Any:
    """``sums[i] += x[begin + j] * weight[base + j, i]`` for [lanes] i from ``at`` on, and j in a ``run`` of ``who``.

    Weights are of the sums' type, or shorter integers, and ``x`` of the sums', or bytes.
    """
    signature = types.void(matrix, who, run, base, x, begin, sums, at, units)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, _, run, base, _, begin, _, at, _) = signature.args, arguments
        own, given = named_kinds(kinds[0]), named(builder, kinds[0], arguments[0])
        weight = context.make_array(own.weight)(context, builder, given.weight)
        bias = context.make_array(own.bias)(context, builder, given.bias)
        length = builder.extract_value(bias.shape, 0)
        real, graded = isinstance(kinds[6].dtype, types.Float), not isinstance(own.graded, types.NoneType)
        lane, short = (context.get_value_type(kind.dtype) for kind in (kinds[6], own.weight))
        many, rows = ir.VectorType(lane, EIGHT), ir.VectorType(short, EIGHT)
        add, times = (builder.fadd, builder.fmul) if real else (builder.add, builder.mul)

        def place(kind: Any, array: Any, at: Any, target: Any) -> Any:
            return pointer(context, builder, kind, array, at, target)

        pieces = [builder.add(at, WORD(start)) for start in range(0, lanes_of(kinds[8]), EIGHT)]
        there = [place(kinds[6], arguments[6], piece, many) for piece in pieces]

        def _factor(row: Any) -> Any:
            came = context.get_value_type(kinds[4].dtype)
            value = builder.load(place(kinds[4], arguments[4], builder.add(begin, row), came))
            if came != lane:
                value = builder.uitofp(value, lane) if real else builder.zext(value, lane)
            return spread(builder, value, EIGHT)

        def one_more(k: Any, totals: list[Any]) -> list[Any]:
            row = builder.sext(builder.load(place(kinds[1], arguments[1], k, ir.IntType(32))), WORD)
            start = builder.gep(origin, [builder.mul(row, length)])
            factor = _factor(row) if graded else None
            results = []
            for number, total in enumerate(totals):
                piece = builder.bitcast(builder.gep(start, [WORD(number * EIGHT)]), rows.as_pointer())
                added = builder.load(piece, align=short_size)
                added = added if short == lane else builder.sext(added, many)
                results.append(add(total, times(added, factor) if graded else added))
            return results

        origin = builder.gep(weight.data, [builder.add(builder.mul(base, length), at)])
        short_size, size = (kind.dtype.bitwidth // 8 for kind in (own.weight, kinds[6]))
        first, end = (builder.extract_value(run, i) for i in (0, 1))
        before = [builder.load(each, align=size) for each in there]
        for total, each in zip(carried(builder, first, end, before, one_more), there, strict=True):
            builder.store(total, each, align=size)
        return context.get_dummy_value()

    return signature, generate


@part
def shift(sums: Floats, left: Any, right: Any) -> None:
    """Apply an exponent to sums; None is that of real ones."""
    if right is not None:
        for i in range(sums.shape[0]):
            sums[i] = (sums[i] << left) >> right


@part
def add_rows(matrix: Matrix, who: Integers, run: tuple[int, int], base: int, x: Any, begin: int, sums: Floats) -> None:
    """Add the rows ``base + j`` for j in a run (begin, end) of ``who`` to ``sums`` [padded], ``x[begin + j]`` times."""
    at = 0
    while at + EIGHT * len(WIDE) <= sums.shape[0]:
        _sum_up(matrix, who, run, base, x, begin, sums, at, WIDE)
        at += EIGHT * len(WIDE)
    if at < sums.shape[0]:
        _sum_up(matrix, who, run, base, x, begin, sums, at, NARROW)


@part
def put_sums(x: Any, begin: int, matrix: Matrix, who: Integers, sums: Floats) -> None:
    """The sums [padded] that a matrix makes of the values from ``begin`` on; ``who``: [inputs + MARGIN]."""
    copy(matrix.bias, sums)
    add_rows(matrix, who, (0, events(x, begin, matrix.inputs, who)), 0, x, begin, sums)
    shift(sums, matrix.left, matrix.right)
