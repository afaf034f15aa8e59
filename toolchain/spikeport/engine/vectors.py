"""Operations on whole vectors, built for LLVM, where its own vectoriser falls short of what a processor can do.

Each is used inside the compiled loops of `kernels`, `sparse` and `pair`. A tuple named ``units`` is a type: its length
times `UNIT` is the number of lanes, known when a loop is compiled, so that what belongs together stays in registers.
LLVM takes vectors of any length apart into what the processor has, so none of this depends on one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

UNIT = 16  #: lanes are a multiple of this
HALF = 8  #: bits of a weight: `paired` holds two in 16
WORD, INT = ir.IntType(64), ir.IntType(32)


def _lanes(units: Any) -> int:
    return UNIT * len(units)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, target: Any) -> Any:
    """Where ``array[at]`` lies, as a pointer to ``target``."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), target.as_pointer())


def _spread(builder: Any, value: Any, lanes: int) -> Any:
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
        target = _pointer(context, builder, kinds[0], arguments[0], arguments[1], eight)
        found = _pointer(context, builder, kinds[3], arguments[3], arguments[4], eight)
        moved = builder.add(builder.load(found, align=4), _spread(builder, arguments[2], 8))
        builder.store(moved, target, align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def add_rows(typing: Any, sums: Any, rows: Any, base: Any, events: Any, run: Any, units: Any) -> Any:
    """Add the rows ``base + e`` of paired weights for the events e of a run (begin, end) to both halves of ``sums``.

    A row holds two weights in each of lanes / 2 words of 16 bits: ``256 * second + (first + 128)``, so that shifting
    it right by 8 leaves the second. ``sums`` [lanes] is first the sum of the words, modulo 2**16, then that of the
    seconds. One load, two additions and one shift for an event: widening bytes to words would take two shuffles.
    """
    signature = types.void(sums, rows, base, events, run, units)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, half = signature.args, _lanes(signature.args[5]) // 2
        words = ir.VectorType(ir.IntType(16), half)
        zero = ir.Constant(WORD, 0)
        places = [_pointer(context, builder, kinds[0], arguments[0], WORD(n * half), words) for n in (0, 1)]
        origin = _pointer(context, builder, kinds[1], arguments[1], zero, words)
        origin = builder.gep(origin, [arguments[2]])
        events = context.make_array(kinds[3])(context, builder, arguments[3]).data
        begin, end = (builder.extract_value(arguments[4], i) for i in (0, 1))
        before = [builder.load(place, align=2) for place in places]
        entry = builder.block
        loop, done = builder.append_basic_block("events"), builder.append_basic_block("added")
        builder.cbranch(builder.icmp_signed("<", begin, end), loop, done)
        builder.position_at_end(loop)
        i, *held = builder.phi(WORD), builder.phi(words), builder.phi(words)
        event = builder.sext(builder.load(builder.gep(events, [i])), WORD)
        row = builder.load(builder.gep(origin, [event]), align=2)
        seconds = builder.ashr(row, ir.Constant(words, [HALF] * half))
        more = [builder.add(held[0], row), builder.add(held[1], seconds)]
        following = builder.add(i, ir.Constant(WORD, 1))
        for value, first, later in zip((i, *held), (begin, *before), (following, *more), strict=True):
            value.add_incoming(first, entry)
            value.add_incoming(later, loop)
        _rolled(builder, builder.cbranch(builder.icmp_signed("<", following, end), loop, done))
        builder.position_at_end(done)
        after = [builder.phi(words), builder.phi(words)]
        for value, first, later in zip(after, before, more, strict=True):
            value.add_incoming(first, entry)
            value.add_incoming(later, loop)
        for value, place in zip(after, places, strict=True):
            builder.store(value, place, align=2)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def unpair(typing: Any, sums: Any, number: Any, out: Any, at: Any, units: Any) -> Any:
    """What ``number`` rows gave (`add_rows`), to ``out[at : at + lanes]``: added if int32, else put there, int16.

    Sets ``sums`` to zero.
    """
    signature = types.void(sums, number, out, at, units)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, half = signature.args, _lanes(signature.args[4]) // 2
        words = ir.VectorType(ir.IntType(16), half)
        wide = ir.VectorType(context.get_value_type(kinds[2].dtype), half)
        both = [_pointer(context, builder, kinds[0], arguments[0], WORD(n * half), words) for n in (0, 1)]
        targets = [
            _pointer(context, builder, kinds[2], arguments[2], builder.add(arguments[3], WORD(n * half)), wide)
            for n in (0, 1)
        ]
        total, second = (builder.load(place, align=2) for place in both)
        count = builder.trunc(builder.shl(arguments[1], ir.Constant(WORD, HALF - 1)), ir.IntType(16))
        first = builder.sub(total, builder.shl(second, ir.Constant(words, [HALF] * half)))
        first = builder.sub(first, _spread(builder, count, half))
        align = kinds[2].dtype.bitwidth // 8
        for value, target, place in zip((first, second), targets, both, strict=True):
            if align > 2:
                value = builder.add(builder.load(target, align=align), builder.sext(value, wide))
            builder.store(value, target, align=align)
            builder.store(ir.Constant(words, [0] * half), place, align=2)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def advance(
    typing: Any, x: Any, state: Any, layer: Any, spikes: Any, places: Any, live: Any, numbers: Any, units: Any
) -> Any:
    """One step of [lanes] neurons in Loihi's integers: `neuron.loihi`, to the bit, under the bounds of `fused.fits`.

    ``x``: sums in int16, int32 or float32; ``state``: (membrane, current), int32; ``layer``: (decay, current's decay or
    None, bias, threshold, reset value), int32; ``spikes``: bytes. ``places``: where the neurons begin in x, state, layer
    and spikes; all must have [lanes] from there on. ``numbers``, int32: the exponent as a shift to the left and one to
    the right, the masks and the largest membrane, as in `kernels.loihi`. Of the first ``live`` lanes, returns how many
    fired, saturated, got an input beyond the membrane's range, and were active.
    """
    signature = types.UniTuple(types.int64, 4)(x, state, layer, spikes, places, live, numbers, units)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, lanes = signature.args, _lanes(signature.args[7])
        whole = ir.VectorType(INT, lanes)
        at = [builder.extract_value(arguments[4], i) for i in range(4)]
        left, right, keep, less, top = (
            _spread(builder, builder.extract_value(arguments[6], i), lanes) for i in range(5)
        )
        minus = builder.neg(top)

        def constant(value: int) -> Any:
            return ir.Constant(whole, [value] * lanes)

        def place(tuple_at: int, i: int, where: Any) -> Any:
            array = builder.extract_value(arguments[tuple_at], i)
            return _pointer(context, builder, kinds[tuple_at][i], array, where, whole)

        def parameter(i: int) -> Any:
            return builder.load(place(2, i, at[2]), align=4)

        def shrunk(v: Any, decay: Any) -> Any:  # `kernels` says why 32 bits suffice
            below = builder.icmp_signed("<", v, constant(0))
            size = builder.select(below, builder.neg(v), v)
            high = builder.mul(builder.lshr(size, constant(12)), decay)
            low = builder.lshr(builder.mul(builder.and_(size, constant(4095)), decay), constant(12))
            less = builder.add(high, low)
            return builder.select(below, builder.neg(less), less)

        def count(lanes_that: Any) -> Any:
            bits = builder.bitcast(builder.and_(lanes_that, alive), ir.IntType(lanes))
            return builder.zext(builder.ctpop(bits), WORD) if lanes < 64 else builder.ctpop(bits)

        numbered = ir.Constant(whole, list(range(lanes)))
        alive = builder.icmp_signed("<", numbered, _spread(builder, builder.trunc(arguments[5], INT), lanes))
        entering = ir.VectorType(context.get_value_type(kinds[0].dtype), lanes)
        sums = builder.load(_pointer(context, builder, kinds[0], arguments[0], at[0], entering), align=2)
        if isinstance(kinds[0].dtype, types.Float):
            sums = builder.fptosi(sums, whole)
        elif kinds[0].dtype.bitwidth < 32:
            sums = builder.sext(sums, whole)
        arriving = builder.ashr(builder.shl(sums, left), right)
        membrane = place(1, 0, at[1])
        v, bias, theta = builder.load(membrane, align=4), parameter(2), parameter(3)
        nothing = builder.or_(builder.or_(arriving, v), bias)
        active = count(builder.icmp_signed("!=", nothing, constant(0)))
        arriving = builder.shl(arriving, constant(6))
        if not isinstance(kinds[2][1], types.NoneType):
            current = place(1, 1, at[1])
            arriving = builder.add(shrunk(builder.load(current, align=4), parameter(1)), arriving)
            builder.store(arriving, current, align=4)
        limit = builder.add(top, constant(1))
        beyond = builder.or_(
            builder.icmp_signed(">", arriving, limit), builder.icmp_signed("<=", arriving, builder.neg(limit))
        )
        exact = builder.add(builder.add(shrunk(v, parameter(0)), arriving), bias)
        u = builder.select(builder.icmp_signed("<", exact, minus), minus, exact)
        u = builder.select(builder.icmp_signed(">", u, top), top, u)
        fires = builder.icmp_signed(">", u, theta)
        after = builder.add(builder.sub(builder.and_(u, keep), builder.and_(theta, less)), parameter(4))
        builder.store(builder.select(fires, after, u), membrane, align=4)
        byte = ir.VectorType(ir.IntType(8), lanes)
        out = _pointer(context, builder, kinds[3], arguments[3], at[3], byte)
        builder.store(builder.zext(fires, byte), out, align=1)
        found = [count(fires), count(builder.icmp_signed("!=", u, exact)), count(beyond), active]
        return context.make_tuple(builder, signature.return_type, found)

    return signature, generate
