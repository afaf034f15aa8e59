"""A step of many neurons at once in Loihi's integers, built for LLVM (see `vectors`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from spikeport.engine.cpu.vectors import INT, WORD, number_of, pointer, spread

DECAY_BITS, STATE_BITS = 12, 6  #: of `graph.DECAY_ONE` and `graph.STATE_SHIFT`
LEAST_OF_DECAY = (1 << DECAY_BITS) - 1
DECAY, LEAK, BIAS, THETA, RESET = range(5)  #: places in ``layer``


@dataclass(frozen=True)
class _Vectors:
    """Operations on the lanes of one call; the first ``live`` of them count."""

    builder: Any
    lanes: int
    live: Any

    @property
    def kind(self) -> Any:
        """int32 in each lane."""
        return ir.VectorType(INT, self.lanes)

    def constant(self, value: int) -> Any:
        """The same number in each lane."""
        return ir.Constant(self.kind, [value] * self.lanes)

    def shrunk(self, v: Any, decay: Any) -> Any:
        """trunc(v * decay / 4096), towards zero; `kernels` says why 32 bits suffice."""
        b, bits = self.builder, self.constant(DECAY_BITS)
        below = b.icmp_signed("<", v, self.constant(0))
        size = b.select(below, b.neg(v), v)
        high = b.mul(b.lshr(size, bits), decay)
        low = b.lshr(b.mul(b.and_(size, self.constant(LEAST_OF_DECAY)), decay), bits)
        total = b.add(high, low)
        return b.select(below, b.neg(total), total)

    def whole(self, sums: Any, kind: Any) -> Any:
        """Sums of a type of numba's as int32."""
        if isinstance(kind, types.Float):
            return self.builder.fptosi(sums, self.kind)
        return self.builder.sext(sums, self.kind) if kind.bitwidth < INT.width else sums

    def within(self, exact: Any, top: Any) -> Any:
        """``exact`` cut to -top ... top."""
        least = self.builder.neg(top)
        u = self.builder.select(self.builder.icmp_signed("<", exact, least), least, exact)
        return self.builder.select(self.builder.icmp_signed(">", u, top), top, u)

    def beyond(self, value: Any, top: Any) -> Any:
        """Lanes that leave the 24 bits of a sum, which Lava wraps from -(top + 1) on."""
        limit = self.builder.add(top, self.constant(1))
        above = self.builder.icmp_signed(">", value, limit)
        return self.builder.or_(above, self.builder.icmp_signed("<=", value, self.builder.neg(limit)))

    def count(self, those: Any) -> Any:
        """How many of the live lanes."""
        numbered = ir.Constant(self.kind, list(range(self.lanes)))
        alive = self.builder.icmp_signed("<", numbered, spread(self.builder, self.live, self.lanes))
        bits = self.builder.bitcast(self.builder.and_(those, alive), ir.IntType(self.lanes))
        return self.builder.zext(self.builder.ctpop(bits), WORD)

    def watched(self, watch: Any, beyond: tuple[Any, Any], something: Any) -> list[Any]:
        """Counts that cost a tenth of the step: only where ``watch`` is not zero, else zero."""
        before = self.builder.block
        with self.builder.if_then(self.builder.icmp_signed("!=", watch, INT(0))):
            active = self.builder.icmp_signed("!=", something, self.constant(0))
            found = [self.count(self.beyond(*beyond)), self.count(active)]
            watching = self.builder.block
        counts = []
        for number in found:
            counts.append(self.builder.phi(WORD))
            counts[-1].add_incoming(number, watching)
            counts[-1].add_incoming(WORD(0), before)
        return counts


@intrinsic  # type: ignore[untyped-decorator]
def advance(
    typing: Any, x: Any, state: Any, layer: Any, spikes: Any, places: Any, live: Any, numbers: Any, units: Any
) -> Any:
    """One step of [lanes] neurons in Loihi's integers: `neuron.loihi`, to the bit, under the bounds of `fused.fits`.

    ``x``: sums in int16, int32 or float32; ``state``: (membrane, current), int32; ``layer``: (decay, current's decay or
    None, bias, threshold, reset value), int32; ``spikes``: bytes. ``places``: where the neurons begin in each of the
    four; all must have [lanes], at most 32, from there on. ``numbers``, int32: the exponent as a shift to the left and
    one to the right, the masks of the reset and the largest membrane, as in `kernels.loihi`, and whether the last two
    counts are wanted. Of the first ``live`` lanes, returns how many fired, saturated, got an input beyond the
    membrane's range, and were active.
    """
    signature = types.UniTuple(types.int64, 4)(x, state, layer, spikes, places, live, numbers, units)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, lanes = signature.args, number_of(signature.args[7])
        vectors = _Vectors(builder, lanes, builder.trunc(arguments[5], INT))
        at = [builder.extract_value(arguments[4], i) for i in range(4)]
        *scalars, watch = (builder.extract_value(arguments[6], i) for i in range(6))
        left, right, keep, less, top = (spread(builder, value, lanes) for value in scalars)

        def place(which: int, i: int) -> Any:
            array = builder.extract_value(arguments[which], i)
            return pointer(context, builder, kinds[which][i], array, at[which], vectors.kind)

        bias, theta = (builder.load(place(2, i), align=4) for i in (BIAS, THETA))
        entering = ir.VectorType(context.get_value_type(kinds[0].dtype), lanes)
        sums = builder.load(pointer(context, builder, kinds[0], arguments[0], at[0], entering), align=2)
        arriving = builder.ashr(builder.shl(vectors.whole(sums, kinds[0].dtype), left), right)
        membrane = place(1, 0)
        v = builder.load(membrane, align=4)
        something = builder.or_(builder.or_(arriving, v), bias)
        arriving = builder.shl(arriving, vectors.constant(STATE_BITS))
        if not isinstance(kinds[2][LEAK], types.NoneType):
            current, leak = place(1, 1), builder.load(place(2, LEAK), align=4)
            arriving = builder.add(vectors.shrunk(builder.load(current, align=4), leak), arriving)
            builder.store(arriving, current, align=4)
        decayed = vectors.shrunk(v, builder.load(place(2, DECAY), align=4))
        exact = builder.add(builder.add(decayed, arriving), bias)
        u = vectors.within(exact, top)
        fires = builder.icmp_signed(">", u, theta)
        after = builder.sub(builder.and_(u, keep), builder.and_(theta, less))
        after = builder.add(after, builder.load(place(2, RESET), align=4))
        builder.store(builder.select(fires, after, u), membrane, align=4)
        byte = ir.VectorType(ir.IntType(8), lanes)
        out = pointer(context, builder, kinds[3], arguments[3], at[3], byte)
        builder.store(builder.zext(fires, byte), out, align=1)
        found = [vectors.count(fires), vectors.count(builder.icmp_signed("!=", u, exact))]
        found += vectors.watched(watch, (arriving, top), something)
        return context.make_tuple(builder, signature.return_type, found)

    return signature, generate
