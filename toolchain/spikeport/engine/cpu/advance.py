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
from spikeport.machine.llvm import WORD, intrinsic, lanes_of, named, named_kinds, pointer


@intrinsic
def advance(
    typing: Any,
    x: Any,
    state: Any,
    layer: Any,
    spikes: Any,
    places: Any,
    live: Any,
    rules: Any,
    checked: Any,
    units: Any,
) -> Any:
    """One step of [lanes] neurons.

    ``x``: sums in the membranes' type, or float32 seen as int32; ``state``: `State`, and ``layer``: `Parameters` of
    this step; ``spikes``: bytes, or int32. ``places``: `Places` in each of the four; all must have [lanes], at most 32,
    from there on. ``rules``: `Constants` or `Rules`; where ``checked`` is None they are bare. Returns what the first
    ``live`` lanes did, `Counted`.
    """
    counted = types.NamedUniTuple(types.int64, len(Counted._fields), Counted)
    signature = counted(x, state, layer, spikes, places, live, rules, checked, units)
    arithmetic = real_step if rules.instance_class is Rules else loihi_step

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, number = signature.args, lanes_of(signature.args[8])
        state, layer, at = (named(builder, kinds[i], arguments[i]) for i in (1, 2, 4))
        state_kinds, layer_kinds = named_kinds(kinds[1]), named_kinds(kinds[2])
        membrane_kind = state_kinds.membrane.dtype
        lanes = Lanes(builder, number, arguments[5], context.get_value_type(membrane_kind))
        align = membrane_kind.bitwidth // 8

        def place(kind: Any, array: Any, at: Any) -> Any:
            return pointer(context, builder, kind, array, at, lanes.kind)

        def parameter(kind: Any, array: Any) -> Any:
            if isinstance(kind, types.NoneType):
                return None
            return builder.load(place(kind, array, at.parameters), align=align)

        own = Parameters(*(parameter(kind, array) for kind, array in zip(layer_kinds, layer, strict=True)))
        used = State(True, own.leak is not None, own.up is not None)
        held = [
            place(kind, array, at.state) if there else None
            for there, kind, array in zip(used, state_kinds, state, strict=True)
        ]
        now = State(*(builder.load(each, align=align) if each is not None else None for each in held))
        sums = builder.load(place(kinds[0], arguments[0], at.sums), align=align)
        after = arithmetic.step(
            lanes, sums, now, own, arguments[6], kinds[6], checked=not isinstance(kinds[7], types.NoneType)
        )
        for value, each in zip(after.state, held, strict=True):
            if each is not None:
                builder.store(value, each, align=align)
        sent = ir.VectorType(context.get_value_type(kinds[3].dtype), number)
        out = pointer(context, builder, kinds[3], arguments[3], at.spikes, sent)
        wider = sent.element.width > after.spikes.type.element.width
        narrower = sent.element.width < after.spikes.type.element.width
        written = (builder.zext if wider else builder.trunc if narrower else lambda same, _: same)(after.spikes, sent)
        builder.store(written, out, align=sent.element.width // 8)
        missing = len(Counted._fields) - len(after.counts)
        return context.make_tuple(builder, signature.return_type, [*after.counts, *[WORD(0)] * missing])

    return signature, generate
