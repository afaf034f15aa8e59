"""A step of many neurons at once in floating point, of vectors that are loaded: `neuron.real`, to the bit.

Every operation rounds by itself, in the order of the definition: LLVM contracts none.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from llvmlite import ir

from spikeport.engine.cpu.lanes import Lanes, Stepped, shared_in
from spikeport.engine.cpu.structures import Parameters, Rules, State
from spikeport.machine.llvm import INT, WORD, constant, of_vector


def step(lanes: Lanes, sums: Any, now: State, layer: Parameters, rules: Any, kind: Any, *, checked: bool) -> Stepped:
    """One step; ``rules``: `Rules`. Active neurons are counted where ``checked``."""
    builder, (_, shared) = lanes.builder, shared_in(lanes, rules, kind)
    arriving = current = builder.fmul(layer.gain, sums)
    if layer.leak is not None:
        arriving = current = builder.fadd(builder.fmul(layer.leak, now.current), arriving)
    u = builder.fadd(builder.fadd(builder.fmul(layer.decay, now.membrane), arriving), layer.bias)
    asked = u if layer.up is None else builder.fsub(u, now.rise)
    fire = _whether if shared.most is None else _how_often
    fires, lowered, spikes, number = fire(lanes, asked, layer.threshold, shared)
    kinds = ((shared.subtract, lowered), (shared.stay, u), (shared.put, layer.reset_value))
    parts = [builder.and_(mask, builder.bitcast(value, lanes.bits)) for mask, value in kinds]  # of one alone not zero
    reset = builder.bitcast(builder.or_(builder.or_(parts[0], parts[1]), parts[2]), lanes.kind)
    after = builder.select(fires, reset, u)
    if layer.low is not None:
        after = builder.select(builder.fcmp_ordered("<", after, layer.low), layer.low, after)
    rise = None if layer.up is None else _risen(lanes, now.rise, layer, fires)
    counts = [number]
    if checked:
        zero = lanes.constant(0)
        something = [x for x in (sums, now.membrane, layer.bias, now.rise) if x is not None]
        active = reduce(builder.or_, [builder.fcmp_unordered("!=", x, zero) for x in something])
        counts += [WORD(0), WORD(0), lanes.count(active), WORD(0)]
    return Stepped(State(after, current, rise), spikes, counts)


def _risen(lanes: Lanes, rise: Any, layer: Parameters, fires: Any) -> Any:
    """By how much thresholds are higher after a step."""
    builder = lanes.builder
    added = builder.fmul(layer.up, builder.uitofp(fires, lanes.kind))
    return builder.fadd(builder.fmul(layer.fade, rise), added)


def _whether(lanes: Lanes, u: Any, theta: Any, shared: Rules) -> tuple[Any, Any, Any, Any]:
    """Lanes that fire, their membranes less what a spike subtracts, what is sent, and the number of spikes."""
    builder = lanes.builder
    fires = builder.fcmp_ordered(">" if shared.at_zero is None else ">=", u, theta)
    return fires, builder.fsub(u, theta), fires, lanes.count(fires)


def _how_often(lanes: Lanes, u: Any, theta: Any, shared: Rules) -> tuple[Any, Any, Any, Any]:
    """The same of neurons that fire up to ``most`` times a step."""
    builder, zero = lanes.builder, lanes.constant(0)
    ratio = builder.fdiv(u, theta)
    if shared.at_zero is None:
        passed = builder.fsub(of_vector(builder, "ceil", ratio, lanes.kind), lanes.constant(1))
    else:
        passed = of_vector(builder, "floor", ratio, lanes.kind)
    passed = builder.select(builder.fcmp_ordered("<", passed, zero), zero, passed)
    times = builder.select(builder.fcmp_ordered(">", passed, shared.most), shared.most, passed)
    whole = ir.VectorType(INT, lanes.number)
    spikes = builder.fptosi(times, whole)
    counted = builder.select(lanes.live_ones(), spikes, constant(whole, 0))
    number = builder.sext(of_vector(builder, "vector.reduce.add", counted, INT), WORD)
    fires = builder.fcmp_ordered(">", times, zero)
    return fires, builder.fsub(u, builder.fmul(times, theta)), spikes, number
