"""Operations on whole vectors, built for LLVM with the toolkit of `machine.llvm`.

Each is used inside the compiled loops of `tally`, `listing`, `windows`, `sums` and `layout`; `advance` has one for the
neurons.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from spikeport.machine.llvm import BYTE, INT, SHORT, WORD, carried, constant, intrinsic, lanes_of, pointer, spread

HALF = 8  #: bits of a weight: `paired` holds two in 16
EXACT = 256  #: events whose weights, at most 128 large, 16 bits can sum
LINE = 64  #: bytes of a cache line
TURNED = 8  #: channels that `turn_bytes` turns together


@intrinsic
def put(typing: Any, events: Any, at: Any, first: Any, source: Any, index: Any) -> Any:
    """``events[at : at + 8] = first + source[index : index + 8]``, int32, at once."""
    signature = types.void(events, at, first, source, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, eight = signature.args, ir.VectorType(INT, 8)
        target = pointer(context, builder, kinds[0], arguments[0], arguments[1], eight)
        origin = pointer(context, builder, kinds[3], arguments[3], arguments[4], eight)
        moved = builder.add(builder.load(origin, align=4), spread(builder, arguments[2], 8))
        builder.store(moved, target, align=4)
        return context.get_dummy_value()

    return signature, generate


def _slots(context: Any, builder: Any, kind: Any, array: Any, units: Any, taps: Any) -> list[Any]:
    """Pointers to the halves of each slot of sums [taps, lanes]."""
    half = lanes_of(units) // 2
    words = ir.VectorType(SHORT, half)
    return [pointer(context, builder, kind, array, WORD(n * half), words) for n in range(2 * len(taps))]


@intrinsic
def add_rows(typing: Any, sums: Any, rows: Any, base: Any, events: Any, run: Any, units: Any, taps: Any) -> Any:
    """Add paired weights to both halves of the slots of ``sums`` [taps, lanes], for the events of a run (begin, end).

    Event e adds row ``base + e * taps + s`` to slot s. A row holds two weights in each of lanes / 2 words of 16 bits:
    ``256 * second + (first + 128)``, so that shifting it right by 8 leaves the second. A slot is first the sum of the
    words, modulo 2**16, then that of the seconds. So a row costs one load, two additions and one shift: widening bytes
    to words would take two shuffles.
    """
    signature = types.void(sums, rows, base, events, run, units, taps)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, half, number = signature.args, lanes_of(signature.args[5]) // 2, len(signature.args[6])
        words = ir.VectorType(SHORT, half)
        eight, places = constant(words, HALF), _slots(context, builder, kinds[0], arguments[0], kinds[5], kinds[6])
        origin = pointer(context, builder, kinds[1], arguments[1], WORD(0), words)
        origin = builder.gep(origin, [arguments[2]])
        listed = context.make_array(kinds[3])(context, builder, arguments[3]).data

        def add(i: Any, sums: list[Any]) -> list[Any]:
            event = builder.sext(builder.load(builder.gep(listed, [i])), WORD)
            first = builder.gep(origin, [builder.mul(event, WORD(number))])
            rows = [builder.load(builder.gep(first, [WORD(s)]), align=2) for s in range(number)]
            parts = [part for row in rows for part in (row, builder.ashr(row, eight))]
            return [builder.add(sum_, part) for sum_, part in zip(sums, parts, strict=True)]

        begin, end = (builder.extract_value(arguments[4], i) for i in (0, 1))
        before = [builder.load(place, align=2) for place in places]
        after = carried(builder, begin, end, before, add)
        for value, place in zip(after, places, strict=True):
            builder.store(value, place, align=2)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def unpair(typing: Any, sums: Any, number: Any, out: Any, at: Any, units: Any, taps: Any) -> Any:
    """Take the first slot of ``sums`` (`add_rows`), of ``number`` events, to ``out[at : at + lanes]``.

    Added if that is int32, else put there, int16. The other slots move up, and the last one is zero.
    """
    signature = types.void(sums, number, out, at, units, taps)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, half = signature.args, lanes_of(signature.args[4]) // 2
        words = ir.VectorType(SHORT, half)
        leaving = ir.VectorType(context.get_value_type(kinds[2].dtype), half)
        places = _slots(context, builder, kinds[0], arguments[0], kinds[4], kinds[5])
        total, second, *others = (builder.load(place, align=2) for place in places)
        count = builder.trunc(builder.shl(arguments[1], WORD(HALF - 1)), SHORT)
        first = builder.sub(total, builder.shl(second, constant(words, HALF)))
        first = builder.sub(first, spread(builder, count, half))
        align = kinds[2].dtype.bitwidth // 8
        for n, value in enumerate((first, second)):
            where = builder.add(arguments[3], WORD(n * half))
            target = pointer(context, builder, kinds[2], arguments[2], where, leaving)
            if align > 2:
                value = builder.add(builder.load(target, align=align), builder.sext(value, leaving))
            builder.store(value, target, align=align)
        for value, place in zip((*others, *[constant(words, 0)] * 2), places, strict=True):
            builder.store(value, place, align=2)
        return context.get_dummy_value()

    return signature, generate


def _woven(builder: Any, rows: list[Any], width: int, high: int) -> list[Any]:
    """Of each two rows, pieces of ``width`` bytes in turn, from the lower or the higher half of each 16 bytes."""
    starts = [sixteen + 8 * high + piece for sixteen in range(0, LINE, 16) for piece in range(0, 8, width)]
    order = [row + start + i for start in starts for row in (0, LINE) for i in range(width)]
    mask = ir.Constant(ir.VectorType(INT, LINE), order)
    return [builder.shuffle_vector(a, b, mask) for a, b in zip(rows[::2], rows[1::2], strict=True)]


@intrinsic
def turn_bytes(typing: Any, x: Any, at: Any, apart: Any, out: Any, to: Any, places_apart: Any) -> Any:
    """``out[to + p * places_apart + c] = x[at + c * apart + p]`` for `TURNED` channels c and `LINE` places p, bytes."""
    signature = types.void(x, at, apart, out, to, places_apart)
    line = ir.VectorType(BYTE, LINE)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, at, apart, _, to, places_apart) = signature.args, arguments
        starts = [builder.add(at, builder.mul(apart, WORD(c))) for c in range(TURNED)]
        rows = [
            builder.load(pointer(context, builder, kinds[0], arguments[0], start, line), align=1) for start in starts
        ]
        pieces = [(0, rows)]  # first place of each sixteen, and what is still to be woven
        for width in (1, 2, 4):
            pieces = [
                (first + 8 // width * high, _woven(builder, woven, width, high))
                for first, woven in pieces
                for high in (0, 1)
            ]
        for first, (words,) in pieces:
            words = builder.bitcast(words, ir.VectorType(WORD, LINE // 8))
            for k in range(LINE // 8):
                place = WORD(16 * (k // 2) + first + k % 2)
                where = builder.add(to, builder.mul(places_apart, place))
                target = pointer(context, builder, kinds[3], arguments[3], where, WORD)
                builder.store(builder.extract_element(words, INT(k)), target, align=1)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_lines(typing: Any, sums: Any, to: Any, x: Any, at: Any, apart: Any, number: Any) -> Any:
    """``sums[to + c] += sum of x[at + i * apart + c]`` for i < ``number`` and `LINE` places c, in bytes, which wrap."""
    signature = types.void(sums, to, x, at, apart, number)
    line = ir.VectorType(BYTE, LINE)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, to, _, at, apart, number) = signature.args, arguments
        place = pointer(context, builder, kinds[0], arguments[0], to, line)
        with cgutils.loop_nest(builder, (number,), intp=WORD) as (i,):
            where = builder.add(at, builder.mul(i, apart))
            row = builder.load(pointer(context, builder, kinds[2], arguments[2], where, line), align=1)
            builder.store(builder.add(builder.load(place, align=1), row), place, align=1)
        return context.get_dummy_value()

    return signature, generate
