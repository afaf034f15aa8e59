"""A step of many neurons at once in Loihi's integers, built for LLVM with the toolkit of `machine.llvm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types

from spikeport.engine.cpu.structures import Constants, Counted
from spikeport.machine.llvm import (
    BYTE,
    INT,
    WORD,
    constant,
    intrinsic,
    lanes_of,
    named,
    named_kinds,
    only_where,
    pointer,
    spread,
)

DECAY_BITS, STATE_BITS = 12, 6  #: of `graph.DECAY_ONE` and `graph.STATE_SHIFT`
LEAST_OF_DECAY = (1 << DECAY_BITS) - 1


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
        return constant(self.kind, value)

    def shrunk(self, v: Any, decay: Any) -> Any:
        """trunc(v * decay / 4096), towards zero; `kernels` says why 32 bits suffice."""
        b, bits = self.builder, self.constant(DECAY_BITS)
        below = b.icmp_signed("<", v, self.constant(0))
        size = b.select(below, b.neg(v), v)
        high = b.mul(b.lshr(size, bits), decay)
        low = b.lshr(b.mul(b.and_(size, self.constant(LEAST_OF_DECAY)), decay), bits)
        total = b.add(high, low)
        return b.select(below, b.neg(total), total)

    def whole(self, sums: Any, floats: Any) -> Any:
        """Sums as int32: what came, or where ``floats`` the numbers that its bits are in float32."""
        real = self.builder.bitcast(sums, ir.VectorType(ir.FloatType(), self.lanes))
        seen = self.builder.icmp_signed("!=", floats, self.constant(0))
        return self.builder.select(seen, self.builder.fptosi(real, self.kind), sums)

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

    def differ(self, a: Any, b: Any) -> Any:
        """Lanes in which two vectors differ."""
        return self.builder.icmp_signed("!=", a, b)

    def count(self, mask: Any) -> Any:
        """How many of the live lanes."""
        bits = self.builder.zext(self.builder.bitcast(mask, ir.IntType(self.lanes)), WORD)
        alive = self.builder.sub(self.builder.shl(WORD(1), self.live), WORD(1))
        return self.builder.ctpop(self.builder.and_(bits, alive))


@intrinsic
def advance(
    typing: Any, x: Any, state: Any, layer: Any, spikes: Any, places: Any, live: Any, constants: Any, units: Any
) -> Any:
    """One step of [lanes] neurons in Loihi's integers: `neuron.loihi`, to the bit, under the bounds of `integers.fits`.

    ``x``: sums in int32, or float32 seen as such; ``state``: `State`, and ``layer``: `Parameters` of this step, int32;
    ``spikes``: bytes. ``places``: `Places` in each of the four; all must have [lanes], at most 32, from there on.
    ``constants``: `Constants`; where ``floats`` is None, sums are integers, and where ``top`` is None they are bare.
    Returns what the first ``live`` lanes did, `Counted`.
    """
    counted = types.NamedUniTuple(types.int64, len(Counted._fields), Counted)
    signature = counted(x, state, layer, spikes, places, live, constants, units)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, lanes = signature.args, lanes_of(signature.args[7])
        vectors = _Vectors(builder, lanes, arguments[5])
        state, layer, at, scalars = (named(builder, kinds[i], arguments[i]) for i in (1, 2, 4, 6))
        none = [isinstance(kind, types.NoneType) for kind in kinds[6]]
        shared = Constants(
            *(None if idle else spread(builder, value, lanes) for idle, value in zip(none, scalars, strict=True))
        )

        def neurons(kind: Any, array: Any) -> Any:
            return pointer(context, builder, kind, array, at.state, vectors.kind)

        def parameter(name: str) -> Any:
            kind, array = getattr(named_kinds(kinds[2]), name), getattr(layer, name)
            return builder.load(pointer(context, builder, kind, array, at.parameters, vectors.kind), align=4)

        bare = shared.top is None
        bias, theta = parameter("bias"), parameter("threshold")
        sums = builder.load(pointer(context, builder, kinds[0], arguments[0], at.sums, vectors.kind), align=4)
        arriving = sums if shared.floats is None else vectors.whole(sums, shared.floats)
        arriving = builder.ashr(builder.shl(arriving, shared.left), shared.right)
        membrane = neurons(named_kinds(kinds[1]).membrane, state.membrane)
        v = builder.load(membrane, align=4)
        something = builder.or_(builder.or_(arriving, v), bias)
        exact_sums = arriving
        if not bare:
            arriving = builder.ashr(builder.shl(arriving, shared.spare), shared.spare)
        wraps = vectors.differ(arriving, exact_sums)
        arriving = builder.shl(arriving, vectors.constant(STATE_BITS))
        if not isinstance(named_kinds(kinds[2]).leak, types.NoneType):
            current, leak = neurons(named_kinds(kinds[1]).current, state.current), parameter("leak")
            arriving = builder.add(vectors.shrunk(builder.load(current, align=4), leak), arriving)
            builder.store(arriving, current, align=4)
        exact = builder.add(builder.add(vectors.shrunk(v, parameter("decay")), arriving), bias)
        u = exact if bare else vectors.within(exact, shared.top)
        fires = builder.icmp_signed(">", u, theta)
        after = builder.sub(builder.and_(u, shared.kept), builder.and_(theta, shared.lost))
        after = builder.add(after, parameter("reset_value"))
        after = builder.select(fires, after, u)
        if not isinstance(named_kinds(kinds[2]).low, types.NoneType):
            low = parameter("low")
            after = builder.select(builder.icmp_signed("<", after, low), low, after)
        builder.store(after, membrane, align=4)
        bytes_ = ir.VectorType(BYTE, lanes)
        out = pointer(context, builder, kinds[3], arguments[3], at.spikes, bytes_)
        builder.store(builder.zext(fires, bytes_), out, align=1)

        def watched() -> list[Any]:
            active = vectors.differ(something, vectors.constant(0))
            return [vectors.count(each) for each in (vectors.beyond(arriving, shared.top), active, wraps)]

        if bare:
            return context.make_tuple(builder, signature.return_type, [vectors.count(fires), *[WORD(0)] * 4])
        counts = [vectors.count(fires), vectors.count(vectors.differ(u, exact))]
        watch = builder.icmp_signed("!=", scalars.watch, INT(0))  # those counts cost a tenth of the step
        counts += only_where(builder, watch, watched)
        return context.make_tuple(builder, signature.return_type, counts)

    return signature, generate
