"""ONNX operators that only move values as nodes of a Graph: other shapes, parts, copies, values side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from spikeport.formats.onnx.draft import Draft, Lifted, Rule, UnsupportedError, attributes
from spikeport.formats.onnx.layout import Form
from spikeport.graph import Concat, Dilate, Flatten, Repeat, Reshape, Slice


def flatten(work: Draft, operator: onnx.NodeProto) -> None:
    """All axes but the batch into one."""
    x = work.x(operator)
    if attributes(operator).get("axis", 1) != 1 or x.form == "time":
        raise UnsupportedError("flattens the batch, too")
    work.put(operator, Flatten(), x)


def reshape(work: Draft, operator: onnx.NodeProto) -> None:
    """Between forms of time, and other groups of the features."""
    x, target = work.x(operator), work.integers(operator, 1)
    flat, steps = int(np.prod(x.shape, dtype=np.int64)), work.steps
    for form, front in _fronts(x.form, steps):
        rest = target[len(front) :]
        if target[: len(front)] != list(front) or rest.count(-1) + list(front).count(-1) > 1:
            continue
        sizes = [x.shape[n] if size == 0 and n < len(x.shape) else size for n, size in enumerate(rest)]
        known = int(np.prod([size for size in sizes if size != -1], dtype=np.int64))
        sizes = [flat // known if size == -1 and known else size for size in sizes]
        if min(sizes, default=1) < 1 or int(np.prod(sizes, dtype=np.int64)) != flat or not sizes:
            continue
        work.values[operator.output[0]] = replace(x, form=form)
        if tuple(sizes) != x.shape:
            alone = Flatten() if len(sizes) == 1 else Reshape(tuple(range(len(x.shape))), tuple(sizes))
            work.put(operator, alone, replace(x, form=form))
        return
    raise UnsupportedError(f"gives the shape {target} to values of shape {x.shape}")


def _fronts(form: Form, steps: int) -> list[tuple[Form, tuple[int, ...]]]:
    """The forms that a value may be given, each with what a new shape begins with then."""
    time: list[tuple[Form, tuple[int, ...]]] = [("time", (steps, -1)), ("time", (0, 0)), ("time", (0, -1))]
    if form == "still":
        return [("still", (-1,)), ("still", (0,))]
    return [*time, ("flat", (-1,))] if form == "time" else [*time[:1], ("flat", (-1,)), ("flat", (0,))]


def unsqueeze(work: Draft, operator: onnx.NodeProto) -> None:
    """A time axis in front of a still value."""
    axes = work.integers(operator, 1) if len(operator.input) > 1 else attributes(operator).get("axes", [])
    if axes != [0] or work.x(operator).form != "still":
        raise UnsupportedError(f"inserts axes {axes}")
    work.values[operator.output[0]] = replace(work.x(operator), form="time")


def transpose(work: Draft, operator: onnx.NodeProto) -> None:
    """Another order of the features; time and batch stay in front."""
    x, front = work.x(operator), work.front(operator)
    order = list(attributes(operator).get("perm", range(front + len(x.shape))[::-1]))
    if order[:front] != list(range(front)):
        raise UnsupportedError(f"moves axes of time or batch ({order})")
    features = tuple(axis - front for axis in order[front:])
    work.put(operator, Reshape(features, tuple(x.shape[axis] for axis in features)), x)


def concat(work: Draft, operator: onnx.NodeProto) -> None:
    """Values side by side."""
    if any(name not in work.values for name in operator.input):
        raise UnsupportedError("puts a constant beside values")
    operands = [work.values[name] for name in operator.input]
    rank = work.front(operator) + len(operands[0].shape)
    axis = attributes(operator)["axis"] % rank - work.front(operator)
    if axis < 0:
        raise UnsupportedError("puts values side by side along time or batch")
    work.join(operator, lambda names: Concat(axis, operands=names), operands)


def part(work: Draft, operator: onnx.NodeProto) -> None:
    """A part of the features, along one axis or several."""
    x, front = work.x(operator), work.front(operator)
    starts, stops = work.integers(operator, 1), work.integers(operator, 2)
    axes = work.integers(operator, 3) if len(operator.input) > 3 else list(range(len(starts)))
    if len(operator.input) > 4 and set(work.integers(operator, 4)) != {1}:
        raise UnsupportedError("takes every n-th value")
    cuts = []
    for start, stop, each in zip(starts, stops, axes, strict=True):
        axis = each % (len(x.shape) + front) - front
        if axis < 0:
            raise UnsupportedError("takes a part of time or batch")
        cuts.append((axis, *slice(start, stop).indices(x.shape[axis])[:2]))
    _parts(work, operator, operator.output[0], x, cuts)


def split(work: Draft, operator: onnx.NodeProto) -> None:
    """Parts along one axis, an output each."""
    x, front = work.x(operator), work.front(operator)
    axis = attributes(operator).get("axis", 0) % (len(x.shape) + front) - front
    if axis < 0:
        raise UnsupportedError("splits time or batch")
    count = len(operator.output)
    even = [-(-x.shape[axis] // count)] * (count - 1)
    sizes = work.integers(operator, 1) if len(operator.input) > 1 else [*even, x.shape[axis] - sum(even)]
    start = 0
    for output, size in zip(operator.output, sizes, strict=True):
        _parts(work, operator, output, x, [(axis, start, start + size)])
        start += size


def _parts(work: Draft, operator: onnx.NodeProto, output: str, x: Lifted, cuts: list[tuple[int, int, int]]) -> None:
    work.values[output] = x
    for place, (axis, start, stop) in enumerate(cuts, 1):
        to = output if place == len(cuts) else f"{output}/{place}"
        work.put(helper.make_node("Slice", [], [to], name=to), Slice(start, stop, axis), x)
        x = work.values[to]


def gather(work: Draft, operator: onnx.NodeProto) -> None:
    """Values by a list of places: each as often in a row, some in a row, or with zeros between."""
    places = work.array(operator, 1)
    if operator.input[0] in work.padded:
        _spread(work, operator, places)
        return
    x, front = work.x(operator), work.front(operator)
    axis = attributes(operator).get("axis", 0) % (len(x.shape) + front) - front
    if axis < 0 or places.ndim != 1 or places.dtype.kind not in "iu" or not places.size:
        raise UnsupportedError("picks from time or batch, or one place of an axis")
    size = x.shape[axis]
    if np.array_equal(places, np.arange(places[0], places[0] + places.size)) and places[0] >= 0:
        _parts(work, operator, operator.output[0], x, [(axis, int(places[0]), int(places[-1]) + 1)])
        return
    count = places.size // size
    if not np.array_equal(places, np.repeat(np.arange(size), count)):
        raise UnsupportedError("picks places in no order that a Graph has")
    work.put(operator, Repeat(tuple(count if n == axis else 1 for n in range(len(x.shape)))), x)


def resize(work: Draft, operator: onnx.NodeProto) -> None:
    """Upsampling by the nearest, whole times."""
    x, a = work.x(operator), attributes(operator)
    upsample = operator.op_type == "Upsample"
    plain = upsample or (
        a.get("coordinate_transformation_mode", b"half_pixel") in (b"asymmetric", b"half_pixel")
        and a.get("nearest_mode", b"round_prefer_floor") in (b"floor", b"round_prefer_floor")
    )
    if a.get("mode", b"nearest") != b"nearest" or not plain:
        raise UnsupportedError("resizes other than by the nearest")
    by = 1 if upsample else 2
    scales = work.array(operator, by) if len(operator.input) > by and operator.input[by] else np.zeros(0)
    front = work.front(operator)
    if not scales.size:
        sizes = work.integers(operator, 3)[front:]
        factors = [size / n for size, n in zip(sizes, x.shape, strict=True)]
    else:
        factors = [float(n) for n in scales.reshape(-1)[front:]]
    if len(factors) != len(x.shape) or any(factor != int(factor) or factor < 1 for factor in factors):
        raise UnsupportedError(f"resizes by {factors}, which are no whole times")
    work.put(operator, Repeat(tuple(int(factor) for factor in factors)), x)


def zeros_between(work: Draft, operator: onnx.NodeProto) -> bool:
    """Whether this is one zero more at the end of each axis, which `gather` then puts between the values."""
    x, front = work.x(operator), work.front(operator)
    pads, axes = work.integers(operator, 1), len(x.shape) - 1
    if len(operator.input) != 2 or pads != [0] * (2 * front + axes + 2) + [1] * axes or axes < 1:
        return False
    _padded(work, operator, x, ())
    return True


def _padded(work: Draft, operator: onnx.NodeProto, x: Lifted, steps: tuple[tuple[int, int], ...]) -> None:
    name = operator.output[0]
    if any(name in node.input and node.op_type != "Gather" for node in work.model.graph.node):
        raise UnsupportedError("pads values other than to put zeros between them")
    work.padded[name], work.values[name] = (x, steps), x


def _spread(work: Draft, operator: onnx.NodeProto, places: np.ndarray) -> None:
    """One axis more of a `Dilate`; the last one makes the node."""
    x, before = work.padded[operator.input[0]]
    axis = len(before) + 1
    size = x.shape[axis]
    at = np.flatnonzero(places < size)
    stride = int(at[1]) if size > 1 and at.size > 1 else 1
    after = places.size - stride * (size - 1) - 1
    spread = np.full(places.size, size)
    fits = after >= 0 and attributes(operator).get("axis", 0) == axis + (2 if x.form == "time" else 1)
    if fits:
        spread[: stride * (size - 1) + 1 : stride] = np.arange(size)
    if not fits or not np.array_equal(places, spread):
        raise UnsupportedError("puts zeros between values in no order that a Graph has")
    steps = (*before, (stride, after))
    if len(steps) < len(x.shape) - 1:
        _padded(work, operator, x, steps)
        return
    work.put(operator, Dilate(tuple(s for s, _ in steps), tuple(a for _, a in steps)), x)


RULES: Mapping[str, Rule] = {
    "Flatten": flatten,
    "Reshape": reshape,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Concat": concat,
    "Slice": part,
    "Split": split,
    "Gather": gather,
    "Resize": resize,
    "Upsample": resize,
}
