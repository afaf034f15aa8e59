"""ONNX's operators on shapes and places as torch's: what moves values, repeats them, or makes them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.operator import Operator, Rule, sane


def _reshaped(op: Operator) -> Tensor:
    shape = sane(op.whole(1) or [])
    if not op.get("allowzero", 0):
        shape = [op.x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return op.x.reshape(shape)


def _flattened(op: Operator) -> Tensor:
    axis = op.get("axis", 1)
    axis += op.x.ndim if axis < 0 else 0
    if axis == 1 < op.x.ndim:
        return torch.flatten(op.x, 1)
    return op.x.reshape(math.prod(op.x.shape[:axis]), math.prod(op.x.shape[axis:]))


def _unsqueezed(op: Operator) -> Tensor:
    axes, x = op.whole(1, "axes") or [], op.x
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _squeezed(op: Operator) -> Tensor:
    axes, x = op.whole(1, "axes"), op.x
    single = [axis for axis, size in enumerate(x.shape) if size == 1]
    for axis in sorted((single if axes is None else [axis % x.ndim for axis in axes]), reverse=True):
        x = x.squeeze(axis)
    return x


def _parts(op: Operator) -> tuple[Tensor, ...]:
    axis, sizes = op.get("axis", 0), op.whole(1, "split")
    if sizes is None:
        each = -(-op.x.shape[axis] // op.outputs)
        return torch.split(op.x, each, axis)
    return torch.split(op.x, sizes, axis)


def _sliced(op: Operator) -> Tensor:
    starts, ends = op.whole(1, "starts") or [], op.whole(2, "ends") or []
    axes, steps = op.whole(3, "axes") or list(range(len(starts))), op.whole(4) or [1] * len(starts)
    places, x = [slice(None)] * op.x.ndim, op.x
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places[axis] = slice(start, end, step)
        if step < 1:  # which torch's indices do not: pads of constants are turned so
            size = x.shape[axis]
            at = range(size)[slice(start, end if end >= -size else None, step)]
            x, places[axis] = x.index_select(axis, torch.tensor(list(at), dtype=torch.int64)), slice(None)
    return x[tuple(places)]


def _picked(op: Operator) -> Tensor:
    axis, index = op.get("axis", 0) % max(1, op.x.ndim), op.at(1)
    if index.ndim == 0:
        return op.x.select(axis, int(index))
    if index.ndim == 1:
        return op.x.index_select(axis, index % op.x.shape[axis])
    shape = sane([*op.x.shape[:axis], *index.shape, *op.x.shape[axis + 1 :]])
    return op.x.index_select(axis, index.reshape(-1) % op.x.shape[axis]).reshape(shape)


def _picked_by_tables(op: Operator) -> Tensor:
    """Values at places that each row of a table says along as many axes, as torch.export writes x[:, a, b]."""
    if op.get("batch_dims", 0):
        raise Unsupported("picks other places of each sample")
    index = op.at(1)
    sane([*index.shape[:-1], *op.x.shape[index.shape[-1] :]])
    return op.x[tuple(index.unbind(-1))]


def _expanded(op: Operator) -> Tensor:
    """To a shape against which the input may broadcast either way."""
    shape = sane(op.whole(1) or [])
    if len(shape) <= op.x.ndim and set(shape) <= {1}:
        return op.x  # as torch writes it before a Tile
    return op.x.expand(sane(np.broadcast_shapes(tuple(op.x.shape), tuple(shape))))


def _tiled(op: Operator) -> Tensor:
    times = op.whole(1) or []
    sane([n * k for n, k in zip(op.x.shape, times, strict=True)])
    return op.x.repeat(*times)


MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "circular"}


def _padded(op: Operator) -> Tensor:
    mode = op.get("mode", b"constant").decode()
    if mode not in MODES:
        raise Unsupported(f"pads by {mode}")
    pads, value = op.whole(1, "pads") or [], op.optional(2) if op.opset >= 11 else op.get("value")
    axes = op.whole(3) or list(range(op.x.ndim))
    before, behind = ({axis % op.x.ndim: n for axis, n in zip(axes, half, strict=True)} for half in _halves(pads))
    sane([size + before.get(axis, 0) + behind.get(axis, 0) for axis, size in enumerate(op.x.shape)])
    order = [n for axis in reversed(range(op.x.ndim)) for n in (before.get(axis, 0), behind.get(axis, 0))]
    least = 2 if mode == "constant" else max(2, 2 * (op.x.ndim - 2))  # so many torch wants for its other modes
    while len(order) > least and order[-2:] == [0, 0]:
        order = order[:-2]
    if mode != "constant":
        return functional.pad(op.x, order, MODES[mode])
    return functional.pad(op.x, order, value=0.0 if value is None else float(value))


def _halves(pads: list[int]) -> tuple[list[int], list[int]]:
    return pads[: len(pads) // 2], pads[len(pads) // 2 :]


def _filled(op: Operator) -> Tensor:
    value = op.get("value")
    shape = sane(op.whole(0) or [])
    kind = op.real if value is None or value.is_floating_point() else value.dtype
    return torch.full(shape, 0 if value is None else value.item(), dtype=kind)


def _counted(op: Operator) -> Tensor:
    start, end, step = (op.at(place).item() for place in (0, 1, 2))
    sane([math.ceil((end - start) / step)])
    return torch.arange(start, end, step)


def _shape_of(op: Operator) -> Tensor:
    sizes = list(op.x.shape)
    return torch.tensor(sizes[op.get("start", 0) : op.get("end", len(sizes))], dtype=torch.int64)


RULES: Mapping[str, Rule] = {
    "ConstantOfShape": _filled,
    "Expand": _expanded,
    "Flatten": _flattened,
    "Gather": _picked,
    "GatherND": _picked_by_tables,
    "Pad": _padded,
    "Range": _counted,
    "Reshape": _reshaped,
    "Shape": _shape_of,
    "Slice": _sliced,
    "Split": _parts,
    "Squeeze": _squeezed,
    "Tile": _tiled,
    "Unsqueeze": _unsqueezed,
}
