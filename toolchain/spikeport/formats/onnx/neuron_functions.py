"""The neuron layers as model-local functions of the domain ``spikeport.snn``: standard operators, one call a layer.

Inputs of every function, all broadcastable against [B, *neurons] (``threshold`` with time in front):

    x [T, B, *neurons]   decay   threshold [T, ...]   gain   bias   reset_to   and what `further` names

Output: spikes [T, B, *neurons] in the type of x; of a `Peak` its membranes, in theirs. In Loihi arithmetic x is int32,
all else int64, and there is no gain.
The single-step forms take x [B, *neurons], threshold without time and the state, and give the state back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from spikeport.formats.onnx import whole_floats, xylo
from spikeport.formats.onnx.body import Body, Names
from spikeport.formats.onnx.builder import DOMAIN, OPSET
from spikeport.graph import ALIF, LIF, CubaLIF, Peak, Profile

COMPARISONS = (("Greater", "above"), ("Equal", "equal"))  #: either makes >=
PARAMETERS = ["decay", "threshold", "gain", "bias", "reset_to"]
#: of each kind of neurons its parameters besides these, and its states
MORE: dict[type[LIF], tuple[str, ...]] = {
    LIF: (),
    CubaLIF: ("current_decay",),
    ALIF: ("adaptation", "adaptation_decay"),
    Peak: ("current_decay",),
}
STATES: dict[type[LIF], tuple[str, ...]] = {LIF: ("v",), CubaLIF: ("v", "i"), ALIF: ("v", "a"), Peak: ("v", "i")}


def further(kind: type[LIF], *, bounded: bool) -> tuple[str, ...]:
    """The parameters of neurons of a kind, with a lower bound or without one, behind `PARAMETERS`."""
    return (*MORE[kind], "lower_bound") if bounded else MORE[kind]


def function_name(node: LIF, time: str, profile: Profile | None = None) -> str:
    """Which function a layer calls: its kind, comparison and reset; ``LIF`` alone fires on >= and resets to a value."""
    parts = [type(node).__name__]
    parts += [profile.neuron] if profile is not None else ["above"] if node.compare == ">" else []
    parts += [node.reset] if node.reset in ("subtract", "none") else []
    parts += [f"up_to_{node.most_spikes}"] if node.most_spikes > 1 else []
    parts += ["bounded"] if node.lower_bound is not None else []
    parts += [time] if time != "scan" else []
    return "_".join(parts)


def function(
    node: LIF,
    time: str,
    dtype: np.dtype[Any],
    *,
    profile: Profile | None = None,
    old: bool = False,
    floats: np.dtype[Any] | None = None,
) -> onnx.FunctionProto:
    """The function that a layer calls; ``dtype`` is that of x, ``profile`` the format of whole numbers, None in real
    ones; ``old``: as 0.1 wrote it; ``floats``: the type in which whole ones are computed (`whole_floats.floats`)."""
    integers = profile is not None
    parameters = [name for name in PARAMETERS if not (integers and name == "gain")]
    parameters += further(type(node), bounded=node.lower_bound is not None)
    states = list(STATES[type(node)])
    body = Body(helper.np_dtype_to_tensor_dtype(dtype), old, integers)
    step = partial(_step, node=node)
    state_kind = body.kind if profile is None else TensorProto.INT64
    whole = Names()
    if profile is not None and floats is not None:
        state_kind = helper.np_dtype_to_tensor_dtype(floats)
        whole = whole_floats.parameters(body, profile, state_kind, cuba=isinstance(node, CubaLIF))
        step = partial(whole_floats.step, node=node, kind=state_kind)
    elif profile is not None and profile.neuron == "xylo":
        xylo.constants(body, profile)
        step = partial(_xylo_step, node=node)
    elif profile is not None:
        body.integer_constants(profile)
        step = partial(_loihi_step, node=node, wraps=profile.accumulator_least is not None, old=old)
    if node.most_spikes > 1:
        body.several_constants(node.most_spikes)
    inputs, outputs = ["x", *parameters], ["spikes"]
    if time == "step":
        inputs, outputs = [*inputs, *states], [*outputs, *(f"{state}_out" for state in states)]
        step(body, whole)
    elif time == "scan":
        _scan(body, step, states, state_kind, whole)
    else:
        _unrolled(body, step, states, state_kind, whole, node.timesteps)
    if floats is not None:
        body.of_kind(whole.spikes, "spikes", like="x")
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_function(DOMAIN, function_name(node, time, profile), inputs, outputs, body.nodes, opsets)


def _step(body: Body, names: Names = Names(), *, node: LIF) -> None:
    """One step of real numbers; writes spikes, ``v_out`` and, for CubaLIF, ``i_out`` (each with the tag behind)."""
    tag = names.tag
    arriving = body.op("Mul", ["gain", names.x], f"arriving{tag}")
    if isinstance(node, CubaLIF):
        current = body.op("Mul", ["current_decay", names.i], f"held{tag}")
        arriving = body.op("Add", [current, arriving], f"i_out{tag}")
    leaked = body.op("Mul", ["decay", names.v], f"leaked{tag}")
    driven = body.op("Add", [leaked, arriving], f"driven{tag}")
    u = body.op("Add", [driven, "bias"], f"u{tag}")
    if isinstance(node, ALIF):
        _adapted(body, names, node, u)
    else:
        _fire(body, names, node, u, names.threshold)
    _bound(body, names, node)


def _loihi_step(body: Body, names: Names = Names(), *, node: LIF, wraps: bool, old: bool) -> None:
    """One step of Loihi's integers (graph/loihi.py); ONNX's integer Div truncates towards zero, as Loihi does.

    0.1 wrote ``Clip``. In onnxruntime 1.31 that leaves some integers beyond 32 bits as they are, and so do Max and Min.
    """
    tag = names.tag
    whole = body.op("Cast", [names.x], f"wide{tag}", to=TensorProto.INT64)
    arriving = body.op("Mul", [whole, "lift"], f"arriving{tag}")
    if wraps:  # in two's complement; Mod has the sign of its divisor
        place = body.op("Mod", [body.op("Sub", [arriving, "least"], f"above_least{tag}"), "span"], f"place{tag}")
        arriving = body.op("Add", [place, "least"], f"accumulated{tag}")
    if isinstance(node, CubaLIF):
        product = body.op("Mul", [names.i, "current_decay"], f"product{tag}")
        current = body.op("Div", [product, "one"], f"held{tag}")
        arriving = body.op("Add", [current, arriving], f"i_out{tag}")
    weighted = body.op("Mul", [names.v, "decay"], f"weighted{tag}")
    leaked = body.op("Div", [weighted, "one"], f"leaked{tag}")
    driven = body.op("Add", [leaked, arriving], f"driven{tag}")
    exact = body.op("Add", [driven, "bias"], f"exact{tag}")
    u = body.op("Clip", [exact, "lowest", "highest"], f"u{tag}") if old else body.within(exact, f"u{tag}", tag)
    level = body.op("Mul", [names.threshold, "lift"], f"level{tag}")
    _fire(body, names, node, u, level)
    _bound(body, names, node)


def _xylo_step(body: Body, names: Names = Names(), *, node: LIF) -> None:
    u = xylo.charge(body, names)
    _fire(body, names, node, u, body.op("Mul", [names.threshold, "lift"], f"level{names.tag}"))


def _after(node: LIF, tag: str) -> str:
    """What the membranes after the reset are called: what leaves the step, unless a bound comes behind."""
    return f"v_out{tag}" if node.lower_bound is None else f"v_reset{tag}"


def _bound(body: Body, names: Names, node: LIF) -> None:
    """Lift membranes below the lower bound to it; no Max, for what `_loihi_step` says."""
    if node.lower_bound is not None:
        tag, after = names.tag, _after(node, names.tag)
        low = body.op("Less", [after, "lower_bound"], f"low{tag}")
        body.op("Where", [low, "lower_bound", after], f"v_out{tag}")


def _fire(body: Body, names: Names, node: LIF, u: str, level: str) -> None:
    tag, after = names.tag, _after(node, names.tag)
    if isinstance(node, Peak):
        body.op("Identity", [u], f"v_out{tag}")
        body.op("Identity", [u], names.spikes)
        return None
    if node.most_spikes > 1:
        return _several(body, names, node, u, level)
    if node.compare == ">":
        fired = body.op("Greater", [u, level], f"fired{tag}")
    elif body.old:
        fired = body.op("GreaterOrEqual", [u, level], f"fired{tag}")
    else:  # onnxruntime before 1.25 knows no shape behind GreaterOrEqual inside a Scan
        above, equal = (body.op(kind, [u, level], f"{word}{tag}") for kind, word in COMPARISONS)
        fired = body.op("Or", [above, equal], f"fired{tag}")
    if node.reset == "subtract":
        lowered = body.op("Sub", [u, level], f"lowered{tag}")
        body.op("Where", [fired, lowered, u], after)
    elif node.reset == "none":
        body.op("Identity", [u], after)
    else:
        body.op("Where", [fired, "reset_to", u], after)
    body.of_kind(fired, names.spikes, like=names.x)


def _adapted(body: Body, names: Names, node: ALIF, u: str) -> None:
    """The comparison without what the threshold rose; then the rise, and the membranes of those that did not fire."""
    tag, after = names.tag, _after(node, names.tag)
    inner = replace(names, tag=f"{tag}_asked")
    _fire(body, inner, node, body.op("Sub", [u, names.a], f"asked{tag}"), names.threshold)
    if node.reset == "none":
        body.op("Identity", [u], after)
    else:
        body.op("Where", [f"fired{inner.tag}", _after(node, inner.tag), u], after)
    kept = body.op("Mul", ["adaptation_decay", names.a], f"kept{tag}")
    body.op("Add", [kept, body.op("Mul", ["adaptation", names.spikes], f"added{tag}")], f"a_out{tag}")


def _several(body: Body, names: Names, node: LIF, u: str, level: str) -> None:
    """How many thresholds u reaches, or passes, from 0 to `most_spikes`. Integers: u passes those that u - 1 reaches;
    that Div truncates towards zero does not matter below zero."""
    tag, after = names.tag, _after(node, names.tag)
    if body.whole and node.compare == ">=":
        thresholds = body.op("Div", [u, level], f"thresholds{tag}")
    elif body.whole:
        lowered = body.op("Sub", [u, "unit"], f"lowered{tag}")
        thresholds = body.op("Div", [lowered, level], f"thresholds{tag}")
    else:
        quotient = body.op("Div", [u, level], f"quotient{tag}")
        thresholds = body.op("Ceil" if node.compare == ">" else "Floor", [quotient], f"thresholds{tag}")
    if not body.whole and node.compare == ">":
        thresholds = body.op("Sub", [thresholds, "unit"], f"passed{tag}")
    none = body.op("Less", [thresholds, "unit"], f"none{tag}")
    many = body.op("Greater", [thresholds, "most"], f"many{tag}")
    above = body.op("Where", [many, "most", thresholds], f"limited{tag}")
    count = body.op("Where", [none, "nothing", above], f"count{tag}")
    if node.reset == "none":
        body.op("Identity", [u], after)
    elif node.reset == "subtract":
        taken = body.op("Mul", [count, level], f"taken{tag}")
        lowered = body.op("Sub", [u, taken], f"after{tag}")
        body.op("Where", [none, u, lowered], after)
    else:
        body.op("Where", [none, u, "reset_to"], after)
    body.of_kind(count, names.spikes, like=names.x)


def _start(body: Body, states: list[str], kind: int) -> None:
    """Zero states of the shape of one step of x, of an element type."""
    body.op("Shape", ["x"], "shape", start=1)
    late = body.old and kind == body.kind
    zero = helper.make_tensor("zero", TensorProto.FLOAT if late else kind, [1], [0])
    for state in states:
        start = body.op("ConstantOfShape", ["shape"], f"{state}_zeros" if late else f"{state}_start", value=zero)
        if late:
            body.op("CastLike", [start, "x"], f"{state}_start")


def _scan(body: Body, step: Callable[..., None], states: list[str], kind: int, whole: Names) -> None:
    _start(body, states, kind)
    inner = Body(body.kind, body.old, body.whole)
    step(inner, Names("x_t", "threshold_t", "spikes_t"))

    def value(name: str) -> onnx.ValueInfoProto:
        return onnx.ValueInfoProto(name=name)  # types and shapes follow from the call

    graph = helper.make_graph(
        inner.nodes,
        "step",
        [value(name) for name in (*states, "x_t", "threshold_t")],
        [value(name) for name in (*(f"{state}_out" for state in states), "spikes_t")],
    )
    inputs = [*(f"{state}_start" for state in states), whole.x, whole.threshold]
    outputs = [*(f"{state}_end" for state in states), whole.spikes]
    name = None if body.old else "scan"
    body.nodes.append(helper.make_node("Scan", inputs, outputs, name, body=graph, num_scan_inputs=2))


def _unrolled(body: Body, step: Callable[..., None], states: list[str], kind: int, whole: Names, steps: int) -> None:
    _start(body, states, kind)
    now = {state: f"{state}_start" for state in states}
    for t in range(steps):
        body.constant(f"t{t}", t)
        body.op("Gather", [whole.x, f"t{t}"], f"x_{t}", axis=0)
        body.op("Gather", [whole.threshold, f"t{t}"], f"threshold_{t}", axis=0)
        step(body, Names(f"x_{t}", f"threshold_{t}", f"spikes_{t}", f"_{t}", **now))
        now = {state: f"{state}_out_{t}" for state in states}
    body.constant("front", [0])
    rows = [body.op("Unsqueeze", [f"spikes_{t}", "front"], f"row_{t}") for t in range(steps)]
    body.op("Concat", rows, whole.spikes, axis=0)
