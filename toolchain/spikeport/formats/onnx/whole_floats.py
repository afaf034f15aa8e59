"""A step of Loihi's integers in floats that hold all its numbers: onnxruntime is several times as fast as in int64."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from spikeport.formats.onnx.body import Body, Names
from spikeport.graph import DECAY_ONE, LIF, STATE_SHIFT, CubaLIF, Profile, Range
from spikeport.graph.accumulators import worst_current


def floats(node: LIF, x: Range, profile: Profile) -> np.dtype[Any] | None:
    """The float type that computes a layer of Loihi's exactly, several times as fast as onnxruntime's int64.

    Sums in ``x`` enter. No sum of a step leaves the whole numbers that the type holds, and what is truncated fits 32
    bits; None where they do not.
    """
    bias, current = int(np.abs(node.bias).max()), worst_current(node, x, profile)
    membrane = max(profile.state_top, int(np.abs(node.reset_value).max()))
    if profile.neuron != "loihi":
        return None
    other = type(node) not in (LIF, CubaLIF) or node.most_spikes > 1 or node.lower_bound is not None
    other |= profile.accumulator_least is not None
    if other or max(membrane, current) >= 2**31:
        return None
    return np.dtype(np.float32 if membrane + current + bias + x.size <= 2**24 else np.float64)


def parameters(body: Body, profile: Profile, kind: int, *, cuba: bool) -> str:
    """The parameters and constants of `step`, made once a call; the name of the thresholds."""
    ends = {"lowest": -profile.state_top, "highest": profile.state_top, "lift": 1 << STATE_SHIFT}
    for name, value in ends.items():
        number = np.asarray(value, helper.tensor_dtype_to_np_dtype(kind))
        body.op("Constant", [], name, value=numpy_helper.from_array(number, name))
    share = np.asarray(1 / DECAY_ONE, np.float64)
    body.op("Constant", [], "share", value=numpy_helper.from_array(share, "share"))
    for name in ("bias", "reset_to", "threshold"):
        body.op("Cast", [name], f"{name}_float", to=kind)
    for name in ("decay", "current_decay")[: 1 + cuba]:
        body.op("Mul", [body.op("Cast", [name], f"{name}_float", to=TensorProto.DOUBLE), "share"], f"{name}_share")
    return body.op("Mul", ["threshold_float", "lift"], "level")


def step(body: Body, names: Names = Names(), *, node: LIF, kind: int) -> None:
    """`neuron_functions._loihi_step`, exact under the bounds of `floats`; a cast to int32 truncates towards zero."""
    tag = names.tag

    def leaked(value: str, share: str, word: str) -> str:
        wide = (
            value
            if kind == TensorProto.DOUBLE
            else body.op("Cast", [value], f"{word}_wide{tag}", to=TensorProto.DOUBLE)
        )
        product = body.op("Mul", [wide, share], f"{word}_product{tag}")
        whole = body.op("Cast", [product], f"{word}_whole{tag}", to=TensorProto.INT32)
        return body.op("Cast", [whole], f"{word}{tag}", to=kind)

    entering = body.op("Cast", [names.x], f"entering{tag}", to=kind)
    arriving = body.op("Mul", [entering, "lift"], f"arriving{tag}")
    if isinstance(node, CubaLIF):
        arriving = body.op("Add", [leaked(names.i, "current_decay_share", "held"), arriving], f"i_out{tag}")
    driven = body.op("Add", [leaked(names.v, "decay_share", "leaked"), arriving], f"driven{tag}")
    exact = body.op("Add", [driven, "bias_float"], f"exact{tag}")
    u = body.op("Clip", [exact, "lowest", "highest"], f"u{tag}")
    fired = body.op("Greater", [u, names.threshold], f"fired{tag}")
    if node.reset == "subtract":
        taken = body.op("Mul", [body.op("Cast", [fired], f"one{tag}", to=kind), names.threshold], f"taken{tag}")
        body.op("Sub", [u, taken], f"v_out{tag}")
    elif node.reset == "none":
        body.op("Identity", [u], f"v_out{tag}")
    else:
        body.op("Where", [fired, "reset_to_float", u], f"v_out{tag}")
    body.of_kind(fired, names.spikes, like=names.x)
