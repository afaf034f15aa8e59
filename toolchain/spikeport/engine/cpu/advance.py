"""A step of many neurons at once, built for LLVM with the toolkit of `machine.llvm`: loaded, computed, stored.

The arithmetic is that of `loihi_step`, or where the neurons' rules are those of real numbers that of `real_step`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from spikeport.engine.cpu import loihi_step, real_step
from spikeport.engine.cpu.lanes import Lanes
from spikeport.engine.cpu.structures import Counted, Parameters, Rules, State
from spikeport.machine.llvm import WORD, carried, intrinsic, lanes_of, named, named_kinds, pointer


@intrinsic
def advance(
    typing: Any,
    x: Any,
    state: Any,
    layer: Any,
    spikes: Any,
    places: Any,
    apart: Any,
    live: Any,
    rules: Any,
    checked: Any,
    units: Any,
) -> Any:
    """One step of [lanes] neurons, and of others with the same parameters.

    ``x``: sums in the membranes' type, or float32 seen as int32; ``state``: `State`, and ``layer``: `Parameters` of
    this step; ``spikes``: bytes, or int32. ``places``: `Places` in each of the four; all must have [lanes], at most 32,
    from there on. ``apart``: `Apart`, where the others are. ``rules``: `Constants` or `Rules`; where ``checked`` is
    None they are bare. Returns what the first ``live`` lanes did, `Counted`.
    """
    counted = types.NamedUniTuple(types.int64, len(Counted._fields), Counted)
    signature = counted(x, state, layer, spikes, places, apart, live, rules, checked, units)
    arithmetic = real_step if rules.instance_class is Rules else loihi_step

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, number = signature.args, lanes_of(signature.args[9])
        state, layer, at, apart = (named(builder, kinds[i], arguments[i]) for i in (1, 2, 4, 5))
        state_kinds, layer_kinds = named_kinds(kinds[1]), named_kinds(kinds[2])
        membrane_kind, spike_kind = state_kinds.membrane.dtype, kinds[3].dtype
        lanes = Lanes(builder, number, arguments[6], context.get_value_type(membrane_kind))
        align, checked = membrane_kind.bitwidth // 8, not isinstance(kinds[8], types.NoneType)
        sent = ir.VectorType(context.get_value_type(spike_kind), number)

        def place(kind: Any, array: Any, at: Any) -> Any:
            return pointer(context, builder, kind, array, at, lanes.kind)

        def parameter(kind: Any, array: Any) -> Any:
            if isinstance(kind, types.NoneType):
                return None
            return builder.load(place(kind, array, at.parameters), align=align)

        own = Parameters(*(parameter(kind, array) for kind, array in zip(layer_kinds, layer, strict=True)))
        used = State(True, own.leak is not None, own.up is not None)

        def step(i: Any, counts: list[Any]) -> list[Any]:
            on = builder.mul(i, apart.sums)
            sums = builder.load(place(kinds[0], arguments[0], builder.add(at.sums, on)), align=align)
            here = builder.add(at.state, on)
            held = [
                place(kind, array, here) if there else None
                for there, kind, array in zip(used, state_kinds, state, strict=True)
            ]
            now = State(*(builder.load(each, align=align) if each is not None else None for each in held))
            after = arithmetic.step(lanes, sums, now, own, arguments[7], kinds[7], checked=checked)
            for value, each in zip(after.state, held, strict=True):
                if each is not None:
                    builder.store(value, each, align=align)
            there = builder.add(at.spikes, builder.mul(i, apart.spikes))
            written = _as_wide(builder, after.spikes, sent)
            out = pointer(context, builder, kinds[3], arguments[3], there, sent)
            builder.store(written, out, align=sent.element.width // 8)
            further = [*after.counts, *[WORD(0)] * (len(counts) - len(after.counts))]
            return [builder.add(*both) for both in zip(counts, further, strict=True)]

        counts = carried(builder, WORD(0), apart.number, [WORD(0)] * len(Counted._fields), step)
        return context.make_tuple(builder, signature.return_type, counts)

    return signature, generate


def _as_wide(builder: Any, spikes: Any, sent: Any) -> Any:
    """Spikes in the type that they are sent in."""
    wider = sent.element.width > spikes.type.element.width
    narrower = sent.element.width < spikes.type.element.width
    return (builder.zext if wider else builder.trunc if narrower else lambda same, _: same)(spikes, sent)
