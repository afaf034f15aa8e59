"""Operators on constants alone, computed while a model is read. None makes more data than it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx.draft import Draft, UnsupportedError, attributes
from spikeport.formats.onnx.tensor import array
from spikeport.graph import Array

MOST_AXES = 8  #: entries of a shape that is put together


def _constant(work: Draft, operator: onnx.NodeProto) -> Array:
    (value,) = attributes(operator).values()
    if isinstance(value, onnx.TensorProto):
        return array(value, f"the value of the constant {operator.output[0]!r}")
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "biuf":
        raise UnsupportedError("holds no numbers")
    return numbers


def _cast(work: Draft, operator: onnx.NodeProto) -> Array:
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(attributes(operator)["to"]))
    if dtype.kind not in "biuf":
        raise UnsupportedError(f"casts to {dtype}")
    return work.array(operator, 0).astype(dtype)


def _transpose(work: Draft, operator: onnx.NodeProto) -> Array:
    return np.transpose(work.array(operator, 0), attributes(operator).get("perm"))


def _reshape(work: Draft, operator: onnx.NodeProto) -> Array:
    return work.array(operator, 0).reshape(work.integers(operator, 1))


def _identity(work: Draft, operator: onnx.NodeProto) -> Array:
    return work.array(operator, 0)


def _product(work: Draft, operator: onnx.NodeProto) -> Array:
    a, b = work.array(operator, 0), work.array(operator, 1)
    if 1 not in (a.size, b.size) and a.shape != b.shape:
        raise UnsupportedError("multiplies constants of different shapes")
    return np.asarray(a * b)


def _together(work: Draft, operator: onnx.NodeProto) -> Array:
    parts = [work.integers(operator, index) for index in range(len(operator.input))]
    if sum(map(len, parts)) > MOST_AXES:
        raise UnsupportedError("puts together more than a shape")
    return np.array([n for part in parts for n in part])


def _alone(work: Draft, operator: onnx.NodeProto) -> Array:
    if work.array(operator, 0).size != 1:
        raise UnsupportedError("takes axes from more than one number")
    return work.array(operator, 0).reshape(())


def _steps(work: Draft, operator: onnx.NodeProto) -> Array:
    bounds = [work.array(operator, index).reshape(-1).tolist() for index in range(3)]
    if bounds != [[0], [work.steps], [1]]:
        raise UnsupportedError("counts something else than the timesteps")
    return np.arange(work.steps)


def _repeating_the_last(work: Draft, operator: onnx.NodeProto) -> Array:
    return _continued(work, operator, "hold", work.steps - 1)


def _starting_again(work: Draft, operator: onnx.NodeProto) -> Array:
    return _continued(work, operator, "cycle", work.steps)


def _continued(work: Draft, operator: onnx.NodeProto, how: str, limit: int) -> Array:
    """The steps, and how schedules go on where there are more of them."""
    steps = work.array(operator, 0)
    if not _all_steps(work, steps) or work.array(operator, 1).reshape(-1).tolist() != [limit]:
        raise UnsupportedError("compares something else than timesteps")
    if work.after_end not in ("error", how):
        raise UnsupportedError("schedules of one network go on in different ways")
    work.after_end = "hold" if how == "hold" else "cycle"
    return steps


def _schedule(work: Draft, operator: onnx.NodeProto) -> Array:
    rows, steps = work.array(operator, 0), work.array(operator, 1)
    if attributes(operator).get("axis", 0) != 0 or not _all_steps(work, steps) or len(rows) != len(steps):
        raise UnsupportedError("picks from a constant other than a schedule")
    return rows


def _all_steps(work: Draft, steps: Array) -> bool:
    return steps.ndim == 1 and len(steps) == work.steps and bool((steps == np.arange(work.steps)).all())


FOLDED: Mapping[str, Callable[[Draft, onnx.NodeProto], Array]] = {
    "Constant": _constant,
    "Cast": _cast,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Identity": _identity,
    "Mul": _product,
    "Concat": _together,
    "Squeeze": _alone,
    "Range": _steps,
    "Min": _repeating_the_last,
    "Mod": _starting_again,
    "Gather": _schedule,
}
