"""Operations on whole vectors, built for LLVM with the toolkit of `machine.llvm`.

Each is used inside the compiled loops of `tally`, `listing`, `windows`, `sums` and `layout`; `advance` has one for the
neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from spikeport.engine.cpu.structures import Band
from spikeport.machine.llvm import (
    BYTE,
    INT,
    SHORT,
    UNIT,
    WORD,
    carried,
    chosen,
    constant,
    intrinsic,
    named,
    named_kinds,
    pointer,
    spread,
)

HALF = 8  #: bits of a weight: `paired` holds two in 16
EXACT = 256  #: events whose weights, at most 128 large, 16 bits can sum
SLOTS = 5  #: columns of a kernel whose sums stay in registers
LINE = 64  #: bytes of a cache line
FEW = 16  #: bytes of a short line
TURNED = 8  #: channels that `turn_bytes` turns together


@intrinsic
def put(typing: Any, events: Any, at: Any, first: Any, source: Any, index: Any) -> Any:
    """``events[at : at + 8] = first + source[index : index + 8]``, int32, at once; ``source`` may be bytes."""
    signature = types.void(events, at, first, source, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, eight = signature.args, ir.VectorType(INT, 8)
        target = pointer(context, builder, kinds[0], arguments[0], arguments[1], eight)
        narrow = ir.VectorType(context.get_value_type(kinds[3].dtype), 8)
        origin = pointer(context, builder, kinds[3], arguments[3], arguments[4], narrow)
        read = builder.load(origin, align=narrow.element.width // 8)
        moved = builder.add(read if narrow == eight else builder.zext(read, eight), spread(builder, arguments[2], 8))
        builder.store(moved, target, align=4)
        return context.get_dummy_value()

    return signature, generate


def _words(half: int) -> Any:
    """A row of so many words."""
    return ir.VectorType(SHORT, half)


def _row(builder: Any, origin: Any, index: Any, half: int) -> Any:
    """Paired weights."""
    place = builder.gep(origin, [builder.mul(index, WORD(half))])
    return builder.load(builder.bitcast(place, _words(half).as_pointer()), align=2)


def _added(builder: Any, sums: list[Any], row: Any) -> list[Any]:
    """Total and seconds with one row more."""
    return [builder.add(sums[0], row), builder.add(sums[1], builder.ashr(row, constant(row.type, HALF)))]


def _apart(builder: Any, total: Any, second: Any, number: Any) -> tuple[Any, Any]:
    """The sums of the first and of the second of each pair, int32, of so many rows (64 bits)."""
    words = total.type
    high = spread(builder, builder.trunc(builder.shl(number, WORD(HALF - 1)), SHORT), words.count)
    first = builder.sub(builder.sub(total, builder.shl(second, constant(words, HALF))), high)
    leaving = ir.VectorType(INT, words.count)
    return builder.sext(first, leaving), builder.sext(second, leaving)


def _cases(taps: Sequence[int]) -> list[int]:
    """Lanes and slots that may occur, as one number."""
    return [lanes * (SLOTS + 1) + slots for lanes in (1, 2, 4) for slots in taps]


def _case(builder: Any, lanes: Any, taps: Any) -> Any:
    """The case of so many lanes and slots."""
    return builder.add(builder.mul(builder.sdiv(lanes, WORD(UNIT)), WORD(SLOTS + 1)), taps)


def _lengths(case: int) -> tuple[int, int]:
    """Half the lanes and the slots that a case stands for."""
    lanes, taps = divmod(case, SLOTS + 1)
    return UNIT * lanes // 2, taps


@intrinsic
def add_rows(typing: Any, sums: Any, rows: Any, base: Any, events: Any, run: Any, lanes: Any) -> Any:
    """Add paired weights to both halves of ``sums`` [lanes], for the events of a run (begin, end).

    Event e adds row ``base + e``, which holds two weights in each of lanes / 2 words of 16 bits: ``256 * second +
    (first + 128)``, so that shifting it right by 8 leaves the second. Sums are first that of the words, modulo 2**16,
    then that of the seconds. So a row costs one load, two additions and one shift: widening bytes to words would take
    two shuffles. ``lanes``: 16, 32 or 64.
    """
    signature = types.void(sums, rows, base, events, run, lanes)

    def build(builder: Any, case: int, arguments: Any) -> None:
        half, _ = _lengths(case)
        sums, origin, listed, begin, end = arguments
        places = [builder.bitcast(builder.gep(sums, [WORD(n * half)]), _words(half).as_pointer()) for n in (0, 1)]

        def add(i: Any, sums: list[Any]) -> list[Any]:
            event = builder.sext(builder.load(builder.gep(listed, [i])), WORD)
            return _added(builder, sums, _row(builder, origin, event, half))

        before = [builder.load(place, align=2) for place in places]
        for value, place in zip(carried(builder, begin, end, before, add), places, strict=True):
            builder.store(value, place, align=2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, _, base, _, run, lanes) = signature.args, arguments
        data = [context.make_array(kinds[i])(context, builder, arguments[i]).data for i in (0, 1, 3)]
        origin = builder.gep(data[1], [builder.mul(base, builder.sdiv(lanes, WORD(2)))])
        begin, end = (builder.extract_value(run, i) for i in (0, 1))
        told = [data[0], origin, data[2], begin, end]
        chosen(builder, "add_rows", _cases([1]), _case(builder, lanes, WORD(1)), told, build)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def unpair(typing: Any, sums: Any, number: Any, out: Any, at: Any, fresh: Any, lanes: Any) -> Any:
    """Take ``sums`` (`add_rows`), of ``number`` events, to ``out[at : at + lanes]``, int32, and leave zeros.

    Put there if ``fresh``, else added.
    """
    signature = types.void(sums, number, out, at, fresh, lanes)

    def build(builder: Any, case: int, arguments: Any) -> None:
        half, _ = _lengths(case)
        sums, count, out, kept = arguments
        places = [builder.bitcast(builder.gep(sums, [WORD(n * half)]), _words(half).as_pointer()) for n in (0, 1)]
        total, second = (builder.load(place, align=2) for place in places)
        parts = _apart(builder, total, second, count)
        for n, value in enumerate(parts):
            target = builder.bitcast(builder.gep(out, [WORD(n * half)]), value.type.as_pointer())
            before = builder.and_(builder.load(target, align=4), spread(builder, kept, half))
            builder.store(builder.add(before, value), target, align=4)
        for place in places:
            builder.store(constant(_words(half), 0), place, align=2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, number, _, at, fresh, lanes) = signature.args, arguments
        data = [context.make_array(kinds[i])(context, builder, arguments[i]).data for i in (0, 2)]
        told = [data[0], number, builder.gep(data[1], [at]), builder.select(fresh, INT(0), INT(-1))]
        chosen(builder, "unpair", _cases([1]), _case(builder, lanes, WORD(1)), told, build)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def slide(typing: Any, rows: Any, base: Any, lists: Any, band: Any, out: Any, lanes: Any, taps: Any) -> Any:
    """The sums of a row of places whose windows move by one: of place j to ``out[j * lanes : ... + lanes]``, int32.

    Column by column of what enters, event e adds row ``base + e`` of ``taps`` paired rows, one to each place whose
    window holds the column: these are slots of sums in registers. The first of them leaves with the column, and the
    others move up. ``lists``: `Lists`, column by column; ``band``: `Band`. ``lanes``: 16, 32 or 64; ``taps``: 2 to
    `SLOTS`.
    """
    signature = types.void(rows, base, lists, band, out, lanes, taps)

    def build(builder: Any, case: int, arguments: Any) -> None:
        half, slots = _lengths(case)
        origin, events, starts, out, *told = arguments
        band, nothing = Band(*told), constant(_words(half), 0)

        def add(i: Any, sums: list[Any]) -> list[Any]:
            first = builder.mul(builder.sext(builder.load(builder.gep(events, [i])), WORD), WORD(slots))
            rows = [_row(builder, origin, builder.add(first, WORD(s)), half) for s in range(slots)]
            return [part for s, row in enumerate(rows) for part in _added(builder, sums[2 * s : 2 * s + 2], row)]

        def column(x: Any, values: list[Any]) -> list[Any]:
            inside = builder.icmp_unsigned("<", x, band.columns)
            at = builder.mul(builder.select(inside, x, WORD(0)), band.rows)
            begin, end = (builder.load(builder.gep(starts, [builder.add(at, row)])) for row in (band.top, band.below))
            end = builder.select(inside, end, begin)
            sums, number = carried(builder, begin, end, values[: 2 * slots], add), builder.sub(end, begin)
            counts = [builder.add(count, number) for count in values[2 * slots :]]
            place = builder.add(builder.sub(x, WORD(slots - 1)), band.padding)  # whose window ends with this column
            early = builder.icmp_signed("<", place, WORD(0))  # before the first, which overwrites it
            target = builder.gep(out, [builder.mul(builder.select(early, WORD(0), place), WORD(2 * half))])
            for n, value in enumerate(_apart(builder, sums[0], sums[1], counts[0])):
                there = builder.bitcast(builder.gep(target, [WORD(n * half)]), value.type.as_pointer())
                builder.store(value, there, align=4)
            return [*sums[2:], nothing, nothing, *counts[1:], WORD(0)]

        late = builder.sub(WORD(slots - 1), band.padding)
        first = builder.select(builder.icmp_signed("<", late, WORD(0)), late, WORD(0))
        nobody = [nothing] * 2 * slots + [WORD(0)] * slots
        carried(builder, first, builder.add(band.columns, band.padding), nobody, column)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (rows, base, lists, band, out, lanes, taps) = signature.args, arguments
        listed, kind = named(builder, kinds[2], lists), named_kinds(kinds[2])
        arrays = [(kinds[0], rows), (kind.events, listed.events), (kind.starts, listed.starts), (kinds[4], out)]
        data = [context.make_array(kind)(context, builder, value).data for kind, value in arrays]
        data[0] = builder.gep(data[0], [builder.mul(builder.mul(base, taps), builder.sdiv(lanes, WORD(2)))])
        told = [*data, *named(builder, kinds[3], band)]
        chosen(builder, "slide", _cases(range(2, SLOTS + 1)), _case(builder, lanes, taps), told, build)
        return context.get_dummy_value()

    return signature, generate


def _woven(builder: Any, rows: list[Any], width: int, high: int) -> list[Any]:
    """Of each two rows, pieces of ``width`` bytes in turn, from the lower or the higher half of each 16 bytes."""
    line = rows[0].type.count
    starts = [sixteen + 8 * high + piece for sixteen in range(0, line, 16) for piece in range(0, 8, width)]
    order = [row + start + i for start in starts for row in (0, line) for i in range(width)]
    mask = ir.Constant(ir.VectorType(INT, line), order)
    return [builder.shuffle_vector(a, b, mask) for a, b in zip(rows[::2], rows[1::2], strict=True)]


def _turning(line: int) -> Any:
    """`turn_bytes` for so many places at once, a multiple of 16."""

    def turn(typing: Any, x: Any, at: Any, apart: Any, out: Any, to: Any, places_apart: Any) -> Any:
        signature = types.void(x, at, apart, out, to, places_apart)
        whole = ir.VectorType(BYTE, line)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds, (_, at, apart, _, to, places_apart) = signature.args, arguments
            starts = [builder.add(at, builder.mul(apart, WORD(c))) for c in range(TURNED)]
            rows = [
                builder.load(pointer(context, builder, kinds[0], arguments[0], start, whole), align=1)
                for start in starts
            ]
            pieces = [(0, rows)]  # first place of each sixteen, and what is still to be woven
            for width in (1, 2, 4):
                pieces = [
                    (first + 8 // width * high, _woven(builder, woven, width, high))
                    for first, woven in pieces
                    for high in (0, 1)
                ]
            for first, (words,) in pieces:
                words = builder.bitcast(words, ir.VectorType(WORD, line // 8))
                for k in range(line // 8):
                    place = WORD(16 * (k // 2) + first + k % 2)
                    where = builder.add(to, builder.mul(places_apart, place))
                    target = pointer(context, builder, kinds[3], arguments[3], where, WORD)
                    builder.store(builder.extract_element(words, INT(k)), target, align=1)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(turn)


#: ``out[to + p * places_apart + c] = x[at + c * apart + p]`` for `TURNED` channels c and `LINE` places p, bytes
turn_bytes = _turning(LINE)
turn_few = _turning(FEW)  #: the same for `FEW` places


@intrinsic
def ones_of(typing: Any, word: Any) -> Any:
    """How many bits of a word are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


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
