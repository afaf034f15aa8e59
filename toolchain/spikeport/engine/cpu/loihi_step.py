"""A step of many neurons at once in Loihi's integers, of vectors that are loaded: `neuron.loihi`, to the bit."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from spikeport.engine.cpu.lanes import Lanes, Stepped, shared_in
from spikeport.engine.cpu.structures import Constants, Parameters, State
from spikeport.machine.llvm import INT, only_where

DECAY_BITS, STATE_BITS = 12, 6  #: of `graph.DECAY_ONE` and `graph.STATE_SHIFT`
LEAST_OF_DECAY = (1 << DECAY_BITS) - 1


def step(lanes: Lanes, sums: Any, now: State, layer: Parameters, rules: Any, kind: Any, *, checked: bool) -> Stepped:
    """One step under the bounds of `integers.fits`; ``rules``: `Constants`, where ``floats`` may be None: integers."""
    builder, scalars, shared = lanes.builder, *shared_in(lanes, rules, kind)
    whole = isinstance(kind[Constants._fields.index("floats")], types.NoneType)
    arriving = sums if whole else _whole(lanes, sums, shared.floats)
    arriving = builder.ashr(builder.shl(arriving, shared.left), shared.right)
    something = builder.or_(builder.or_(arriving, now.membrane), layer.bias)
    exact_sums = arriving
    if checked:
        arriving = builder.ashr(builder.shl(arriving, shared.spare), shared.spare)
    wraps = _differ(lanes, arriving, exact_sums)
    arriving = builder.shl(arriving, lanes.constant(STATE_BITS))
    if layer.leak is not None:
        arriving = builder.add(_shrunk(lanes, now.current, layer.leak), arriving)
    exact = builder.add(builder.add(_shrunk(lanes, now.membrane, layer.decay), arriving), layer.bias)
    u = _within(lanes, exact, shared.top) if checked else exact
    fires = builder.icmp_signed(">", u, layer.threshold)
    after = builder.sub(builder.and_(u, shared.kept), builder.and_(layer.threshold, shared.lost))
    after = builder.select(fires, builder.add(after, layer.reset_value), u)
    if layer.low is not None:
        after = builder.select(builder.icmp_signed("<", after, layer.low), layer.low, after)
    counts = [lanes.count(fires)]

    def watched() -> list[Any]:
        active = _differ(lanes, something, lanes.constant(0))
        return [lanes.count(each) for each in (_beyond(lanes, arriving, shared.top), active, wraps)]

    if checked:
        watch = builder.icmp_signed("!=", scalars.watch, INT(0))  # those counts cost a tenth of the step
        counts += [lanes.count(_differ(lanes, u, exact)), *only_where(builder, watch, watched)]
    return Stepped(State(after, arriving, None), fires, counts)


def _shrunk(lanes: Lanes, v: Any, decay: Any) -> Any:
    """trunc(v * decay / 4096), towards zero; `kernels` says why 32 bits suffice."""
    b, bits = lanes.builder, lanes.constant(DECAY_BITS)
    below = b.icmp_signed("<", v, lanes.constant(0))
    size = b.select(below, b.neg(v), v)
    high = b.mul(b.lshr(size, bits), decay)
    low = b.lshr(b.mul(b.and_(size, lanes.constant(LEAST_OF_DECAY)), decay), bits)
    total = b.add(high, low)
    return b.select(below, b.neg(total), total)


def _whole(lanes: Lanes, sums: Any, floats: Any) -> Any:
    """Sums as int32: what came, or where ``floats`` the numbers that its bits are in float32."""
    real = lanes.builder.bitcast(sums, ir.VectorType(ir.FloatType(), lanes.number))
    seen = lanes.builder.icmp_signed("!=", floats, lanes.constant(0))
    return lanes.builder.select(seen, lanes.builder.fptosi(real, lanes.kind), sums)


def _within(lanes: Lanes, exact: Any, top: Any) -> Any:
    """``exact`` cut to -top ... top."""
    least = lanes.builder.neg(top)
    u = lanes.builder.select(lanes.builder.icmp_signed("<", exact, least), least, exact)
    return lanes.builder.select(lanes.builder.icmp_signed(">", u, top), top, u)


def _beyond(lanes: Lanes, value: Any, top: Any) -> Any:
    """Lanes that leave the 24 bits of a sum, which Lava wraps from -(top + 1) on."""
    limit = lanes.builder.add(top, lanes.constant(1))
    above = lanes.builder.icmp_signed(">", value, limit)
    return lanes.builder.or_(above, lanes.builder.icmp_signed("<=", value, lanes.builder.neg(limit)))


def _differ(lanes: Lanes, a: Any, b: Any) -> Any:
    """Lanes in which two vectors differ."""
    return lanes.builder.icmp_signed("!=", a, b)
