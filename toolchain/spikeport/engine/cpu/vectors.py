"""Operations on whole vectors, built for LLVM, where its own vectoriser falls short of what a processor can do.

Each is used inside the compiled loops of `kernels`, `sparse` and `pair`; `advance` has one for the neurons. A tuple
named ``units`` is a type: its length times `UNIT` is the number of lanes, known when a loop is compiled, so that what
belongs together stays in registers. LLVM takes vectors of any length apart into what the processor has, so none of
this depends on one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

UNIT = 16  #: lanes are a multiple of this
HALF = 8  #: bits of a weight: `paired` holds two in 16
LINE = 64  #: bytes of a cache line
TURNED = 8  #: channels that `turn_bytes` turns together
WORD, INT = ir.IntType(64), ir.IntType(32)


def number_of(units: Any) -> int:
    """The lanes that a tuple stands for."""
    return UNIT * len(units)


def pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, target: Any) -> Any:
    """Where ``array[at]`` lies, as a pointer to ``target``."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), target.as_pointer())


def spread(builder: Any, value: Any, lanes: int) -> Any:
    """A vector that holds ``value`` in each lane."""
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined), value, INT(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(INT, lanes), [0] * lanes))


def _rolled(builder: Any, branch: Any) -> None:
    """Keep LLVM from unrolling the loop of a branch: short runs then leave by one exit, which is mispredicted once."""
    module = builder.module
    never = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = ir.MDValue(module, [never], name=str(len(module.metadata)))
    loop.operands = (loop, never)  # a loop's name is itself
    branch.set_metadata("llvm.loop", loop)


@intrinsic  # type: ignore[untyped-decorator]
def put(typing: Any, events: Any, at: Any, first: Any, source: Any, index: Any) -> Any:
    """``events[at : at + 8] = first + source[index : index + 8]``, int32, at once."""
    signature = types.void(events, at, first, source, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, eight = signature.args, ir.VectorType(INT, 8)
        target = pointer(context, builder, kinds[0], arguments[0], arguments[1], eight)
        found = pointer(context, builder, kinds[3], arguments[3], arguments[4], eight)
        moved = builder.add(builder.load(found, align=4), spread(builder, arguments[2], 8))
        builder.store(moved, target, align=4)
        return context.get_dummy_value()

    return signature, generate


def _slots(context: Any, builder: Any, kind: Any, array: Any, units: Any, taps: Any) -> list[Any]:
    """Pointers to the halves of each slot of sums [taps, lanes]."""
    half = number_of(units) // 2
    words = ir.VectorType(ir.IntType(16), half)
    return [pointer(context, builder, kind, array, WORD(n * half), words) for n in range(2 * len(taps))]


@intrinsic  # type: ignore[untyped-decorator]
def add_rows(typing: Any, sums: Any, rows: Any, base: Any, events: Any, run: Any, units: Any, taps: Any) -> Any:
    """Add paired weights to both halves of the slots of ``sums`` [taps, lanes], for the events of a run (begin, end).

    Event e adds row ``base + e * taps + s`` to slot s. A row holds two weights in each of lanes / 2 words of 16 bits:
    ``256 * second + (first + 128)``, so that shifting it right by 8 leaves the second. A slot is first the sum of the
    words, modulo 2**16, then that of the seconds. So a row costs one load, two additions and one shift: widening bytes
    to words would take two shuffles.
    """
    signature = types.void(sums, rows, base, events, run, units, taps)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, half, number = signature.args, number_of(signature.args[5]) // 2, len(signature.args[6])
        words = ir.VectorType(ir.IntType(16), half)
        eight = ir.Constant(words, [HALF] * half)
        places = _slots(context, builder, kinds[0], arguments[0], kinds[5], kinds[6])
        origin = pointer(context, builder, kinds[1], arguments[1], WORD(0), words)
        origin = builder.gep(origin, [arguments[2]])
        events = context.make_array(kinds[3])(context, builder, arguments[3]).data
        begin, end = (builder.extract_value(arguments[4], i) for i in (0, 1))
        before = [builder.load(place, align=2) for place in places]
        entry = builder.block
        loop, done = builder.append_basic_block("events"), builder.append_basic_block("added")
        builder.cbranch(builder.icmp_signed("<", begin, end), loop, done)
        builder.position_at_end(loop)
        i, held = builder.phi(WORD), [builder.phi(words) for _ in places]
        event = builder.sext(builder.load(builder.gep(events, [i])), WORD)
        first = builder.gep(origin, [builder.mul(event, WORD(number))])
        found = [builder.load(builder.gep(first, [WORD(s)]), align=2) for s in range(number)]
        parts = [part for row in found for part in (row, builder.ashr(row, eight))]
        more = [builder.add(sum_, part) for sum_, part in zip(held, parts, strict=True)]
        following = builder.add(i, WORD(1))
        for value, start, later in zip((i, *held), (begin, *before), (following, *more), strict=True):
            value.add_incoming(start, entry)
            value.add_incoming(later, loop)
        _rolled(builder, builder.cbranch(builder.icmp_signed("<", following, end), loop, done))
        builder.position_at_end(done)
        after = [builder.phi(words) for _ in places]
        for value, start, later in zip(after, before, more, strict=True):
            value.add_incoming(start, entry)
            value.add_incoming(later, loop)
        for value, place in zip(after, places, strict=True):
            builder.store(value, place, align=2)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def unpair(typing: Any, sums: Any, number: Any, out: Any, at: Any, units: Any, taps: Any) -> Any:
    """Take the first slot of ``sums`` (`add_rows`), of ``number`` events, to ``out[at : at + lanes]``.

    Added if that is int32, else put there, int16. The other slots move up, and the last one is zero.
    """
    signature = types.void(sums, number, out, at, units, taps)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, half = signature.args, number_of(signature.args[4]) // 2
        words = ir.VectorType(ir.IntType(16), half)
        wide = ir.VectorType(context.get_value_type(kinds[2].dtype), half)
        places = _slots(context, builder, kinds[0], arguments[0], kinds[4], kinds[5])
        total, second, *others = (builder.load(place, align=2) for place in places)
        count = builder.trunc(builder.shl(arguments[1], WORD(HALF - 1)), ir.IntType(16))
        first = builder.sub(total, builder.shl(second, ir.Constant(words, [HALF] * half)))
        first = builder.sub(first, spread(builder, count, half))
        align = kinds[2].dtype.bitwidth // 8
        for n, value in enumerate((first, second)):
            where = builder.add(arguments[3], WORD(n * half))
            target = pointer(context, builder, kinds[2], arguments[2], where, wide)
            if align > 2:
                value = builder.add(builder.load(target, align=align), builder.sext(value, wide))
            builder.store(value, target, align=align)
        for value, place in zip((*others, *[ir.Constant(words, [0] * half)] * 2), places, strict=True):
            builder.store(value, place, align=2)
        return context.get_dummy_value()

    return signature, generate


def _woven(builder: Any, rows: list[Any], width: int, high: int) -> list[Any]:
    """Of each two rows, pieces of ``width`` bytes in turn, from the lower or the higher half of each 16 bytes."""
    starts = [sixteen + 8 * high + piece for sixteen in range(0, LINE, 16) for piece in range(0, 8, width)]
    order = [row + start + i for start in starts for row in (0, LINE) for i in range(width)]
    mask = ir.Constant(ir.VectorType(INT, LINE), order)
    return [builder.shuffle_vector(a, b, mask) for a, b in zip(rows[::2], rows[1::2], strict=True)]


@intrinsic  # type: ignore[untyped-decorator]
def turn_bytes(typing: Any, x: Any, at: Any, apart: Any, out: Any, to: Any, places_apart: Any) -> Any:
    """``out[to + p * places_apart + c] = x[at + c * apart + p]`` for `TURNED` channels c and `LINE` places p, bytes."""
    signature = types.void(x, at, apart, out, to, places_apart)
    line = ir.VectorType(ir.IntType(8), LINE)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, at, apart, _, to, places_apart) = signature.args, arguments
        starts = [builder.add(at, builder.mul(apart, WORD(c))) for c in range(TURNED)]
        rows = [
            builder.load(pointer(context, builder, kinds[0], arguments[0], start, line), align=1) for start in starts
        ]
        found = [(0, rows)]  # first place of each sixteen, and what is still to be woven
        for width in (1, 2, 4):
            found = [
                (first + 8 // width * high, _woven(builder, some, width, high))
                for first, some in found
                for high in (0, 1)
            ]
        for first, (words,) in found:
            words = builder.bitcast(words, ir.VectorType(WORD, LINE // 8))
            for k in range(LINE // 8):
                place = WORD(16 * (k // 2) + first + k % 2)
                where = builder.add(to, builder.mul(places_apart, place))
                target = pointer(context, builder, kinds[3], arguments[3], where, WORD)
                builder.store(builder.extract_element(words, INT(k)), target, align=1)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def add_lines(typing: Any, sums: Any, to: Any, x: Any, at: Any, apart: Any, number: Any) -> Any:
    """``sums[to + c] += sum of x[at + i * apart + c]`` for i < ``number`` and `LINE` places c, in bytes, which wrap."""
    signature = types.void(sums, to, x, at, apart, number)
    line = ir.VectorType(ir.IntType(8), LINE)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (_, to, _, at, apart, number) = signature.args, arguments
        place = pointer(context, builder, kinds[0], arguments[0], to, line)
        with cgutils.loop_nest(builder, (number,), intp=WORD) as (i,):
            where = builder.add(at, builder.mul(i, apart))
            row = builder.load(pointer(context, builder, kinds[2], arguments[2], where, line), align=1)
            builder.store(builder.add(builder.load(place, align=1), row), place, align=1)
        return context.get_dummy_value()

    return signature, generate
