"""Operations on whole vectors, built for LLVM with the toolkit of `machine.llvm`.

Each is used inside the compiled loops of `tally`, `listing`, `windows`, `sums` and `layout`; `advance` has one for the
neurons.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from spikeport.machine.llvm import BYTE, INT, SHORT, UNIT, WORD, carried, chosen, constant, intrinsic, pointer, spread

HALF = 8  #: bits of a weight: `paired` holds two in 16
EXACT = 256  #: events whose weights, at most 128 large, 16 bits can sum
SLOTS = 5  #: columns of a kernel whose sums stay in registers
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


def _lengths(case: int) -> tuple[int, int]:
    """Half the lanes and the slots that a case of `add_rows` stands for."""
    lanes, taps = divmod(case, SLOTS + 1)
    return UNIT * lanes // 2, taps


def _cases(taps: Any) -> list[int]:
    """Those that may occur, for a number of slots that is known when the loop is compiled, or is not."""
    slots = [taps.literal_value] if isinstance(taps, types.IntegerLiteral) else range(1, SLOTS + 1)
    return [lanes * (SLOTS + 1) + taps for lanes in (1, 2, 4) for taps in slots]


def _case(builder: Any, lanes: Any, taps: Any) -> Any:
    """The case of so many lanes and slots."""
    return builder.add(builder.mul(builder.sdiv(lanes, WORD(UNIT)), WORD(SLOTS + 1)), taps)


def _places(builder: Any, sums: Any, half: int, number: int) -> list[Any]:
    """Pointers to the first so many halves of slots of sums."""
    words = ir.VectorType(SHORT, half).as_pointer()
    return [builder.bitcast(builder.gep(sums, [WORD(n * half)]), words) for n in range(number)]


@intrinsic
def add_rows(typing: Any, sums: Any, rows: Any, base: Any, events: Any, run: Any, lanes: Any, taps: Any) -> Any:
    """Add paired weights to both halves of the slots of ``sums`` [taps, lanes], for the events of a run (begin, end).

    Event e adds row ``base + e * taps + s`` to slot s. A row holds two weights in each of lanes / 2 words of 16 bits:
    ``256 * second + (first + 128)``, so that shifting it right by 8 leaves the second. A slot is first the sum of the
    words, modulo 2**16, then that of the seconds. So a row costs one load, two additions and one shift: widening bytes
    to words would take two shuffles. ``lanes``: 16, 32 or 64; ``taps``: up to `SLOTS`.
    """
    signature = types.void(sums, rows, base, events, run, lanes, taps)

    def build(builder: Any, case: int, arguments: Any) -> None:
        half, number = _lengths(case)
        sums, origin, listed, begin, end = arguments
        words = ir.VectorType(SHORT, half)
        eight, places = constant(words, HALF), _places(builder, sums, half, 2 * number)

        def add(i: Any, sums: list[Any]) -> list[Any]:
            event = builder.sext(builder.load(builder.gep(listed, [i])), WORD)
            first = builder.gep(origin, [builder.mul(event, WORD(number * half))])
            rows = [
                builder.load(builder.bitcast(builder.gep(first, [WORD(s * half)]), words.as_pointer()), align=2)
                for s in range(number)
            ]
            parts = [part for row in rows for part in (row, builder.ashr(row, eight))]
            return [builder.add(sum_, part) for sum_, part in zip(sums, parts, strict=True)]

        before = [builder.load(place, align=2) for place in places]
        for value, place in zip(carried(builder, begin, end, before, add), places, strict=True):
            builder.store(value, place, align=2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, _, base, _, run, lanes, taps) = signature.args, arguments
        data = [context.make_array(kinds[i])(context, builder, arguments[i]).data for i in (0, 1, 3)]
        half = builder.sdiv(lanes, WORD(2))
        origin = builder.gep(data[1], [builder.mul(base, half)])
        begin, end = (builder.extract_value(run, i) for i in (0, 1))
        told = [data[0], origin, data[2], begin, end]
        chosen(builder, "add_rows", _cases(kinds[6]), _case(builder, lanes, taps), told, build)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def unpair(typing: Any, sums: Any, number: Any, out: Any, at: Any, fresh: Any, lanes: Any, taps: Any) -> Any:
    """Take the first slot of ``sums`` (`add_rows`), of ``number`` events, to ``out[at : at + lanes]``, int32.

    Put there if ``fresh``, else added. The other slots move up, and the last one is zero.
    """
    signature = types.void(sums, number, out, at, fresh, lanes, taps)

    def build(builder: Any, case: int, arguments: Any) -> None:
        half, slots = _lengths(case)
        sums, count, out, kept = arguments
        words, leaving = ir.VectorType(SHORT, half), ir.VectorType(INT, half)
        places = _places(builder, sums, half, 2 * slots)
        total, second, *others = (builder.load(place, align=2) for place in places)
        first = builder.sub(total, builder.shl(second, constant(words, HALF)))
        first = builder.sub(first, spread(builder, count, half))
        for n, value in enumerate((first, second)):
            target = builder.bitcast(builder.gep(out, [WORD(n * half)]), leaving.as_pointer())
            before = builder.and_(builder.load(target, align=4), spread(builder, kept, half))
            builder.store(builder.add(before, builder.sext(value, leaving)), target, align=4)
        for value, place in zip((*others, *[constant(words, 0)] * 2), places, strict=True):
            builder.store(value, place, align=2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, number, _, at, fresh, lanes, taps) = signature.args, arguments
        data = [context.make_array(kinds[i])(context, builder, arguments[i]).data for i in (0, 2)]
        count = builder.trunc(builder.shl(number, WORD(HALF - 1)), SHORT)
        kept = builder.select(fresh, INT(0), INT(-1))
        told = [data[0], count, builder.gep(data[1], [at]), kept]
        chosen(builder, "unpair", _cases(kinds[6]), _case(builder, lanes, taps), told, build)
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
