"""A step of Loihi's integers in floats that hold all its numbers: onnxruntime is several times as fast as in int64."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from spikeport.formats.onnx.body import Body, Names
from spikeport.graph import DECAY_ONE, LIF, STATE_SHIFT, Array, CubaLIF, Profile, Range
from spikeport.graph.accumulators import worst_current


def floats(node: LIF, x: Range, profile: Profile) -> np.dtype[Any] | None:
    """The float type that computes a layer of Loihi's exactly, several times as fast as onnxruntime's int64.

    Sums in ``x`` enter. What is truncated fits 32 bits, and the type holds it, as it does every parameter. A sum that
    it does not hold lies so far out that it is cut to an end of the states all the same, rounded or not: rounding never
    passes a number that the type holds. None where there is no such type.
    """
    other = type(node) not in (LIF, CubaLIF) or node.most_spikes > 1 or node.lower_bound is not None
    if profile.neuron != "loihi" or other or profile.accumulator_least is not None:
        return None
    membrane = max(profile.state_top, _size(node.reset_value))
    truncated = max(membrane, worst_current(node, x, profile)) if isinstance(node, CubaLIF) else membrane
    if truncated >= 2**31:
        return None
    held = max(truncated, membrane + profile.state_top, _size(node.bias), _size(node.threshold) << STATE_SHIFT)
    dtypes = (np.dtype(dtype) for dtype, bits in ((np.float32, 24), (np.float64, 53)) if held <= 2**bits)
    return next(dtypes, None)


def _size(values: Array) -> int:
    return int(np.abs(values).max())


def parameters(body: Body, profile: Profile, kind: int, *, cuba: bool) -> Names:
    """What `step` reads and writes, of all steps: what does not depend on the states is computed once a call.

    What enters holds the bias, but where it is not added to a current; spikes are of that ``kind``, too.
    """
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
    entering = "x" if body.kind == kind else body.op("Cast", ["x"], "entering", to=kind)
    arriving = body.op("Mul", [entering, "lift"], "arriving")
    if not cuba:
        arriving = body.op("Add", [arriving, "bias_float"], "driving")
    return Names(arriving, body.op("Mul", ["threshold_float", "lift"], "level"), "ones")


def step(body: Body, names: Names = Names(), *, node: LIF, kind: int) -> None:
    """`neuron_functions._loihi_step`, exact under the bounds of `floats`; a cast to int32 truncates towards zero."""
    tag = names.tag

    def leaked(value: str, share: str, word: str) -> str:
        if kind != TensorProto.DOUBLE:
            value = body.op("Cast", [value], f"{word}_wide{tag}", to=TensorProto.DOUBLE)
        product = body.op("Mul", [value, share], f"{word}_product{tag}")
        whole = body.op("Cast", [product], f"{word}_whole{tag}", to=TensorProto.INT32)
        return body.op("Cast", [whole], f"{word}{tag}", to=kind)

    driving = names.x
    if isinstance(node, CubaLIF):
        current = body.op("Add", [leaked(names.i, "current_decay_share", "held"), driving], f"i_out{tag}")
        driving = body.op("Add", [current, "bias_float"], f"driving{tag}")
    exact = body.op("Add", [leaked(names.v, "decay_share", "leaked"), driving], f"exact{tag}")
    u = body.op("Clip", [exact, "lowest", "highest"], f"u{tag}")
    fired = body.op("Greater", [u, names.threshold], f"fired{tag}")
    one = body.op("Cast", [fired], names.spikes, to=kind)
    if node.reset == "subtract":
        body.op("Sub", [u, body.op("Mul", [one, names.threshold], f"taken{tag}")], f"v_out{tag}")
    elif node.reset == "none":
        body.op("Identity", [u], f"v_out{tag}")
    else:
        body.op("Where", [fired, "reset_to_float", u], f"v_out{tag}")
