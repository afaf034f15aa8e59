"""ONNX's Resize as torch's interpolation, where both mean the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.operator import Operator, Rule, sane

f4 = np.float32
CUBIC = -0.75  #: the coefficient of ONNX and of torch
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
#: where a place of the result lies among the old ones: (place, scale, old length, new length)
WHERE: Mapping[str, Callable[[Any, Any, int, int], float]] = {
    "half_pixel": lambda at, scale, old, new: (at + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda at, scale, old, new: (at + 0.5) / scale - 0.5 if new > 1 else 0.0,
    "asymmetric": lambda at, scale, old, new: at / scale,
    "align_corners": lambda at, scale, old, new: at * (old - 1) / (new - 1) if new > 1 else 0.0,
}
ROUNDED: Mapping[str, Callable[[float], int]] = {
    "round_prefer_floor": lambda at: ceil(at - 0.5),
    "round_prefer_ceil": lambda at: floor(at + 0.5),
    "floor": floor,
    "ceil": ceil,
}


def _resized(op: Operator) -> Tensor:
    """Resize(x, roi, scales, sizes), of opset 11 and later; before, Resize(x, scales) and Upsample(x, scales)."""
    old, mode = list(op.x.shape), op.get("mode", b"nearest").decode()
    where = op.get("coordinate_transformation_mode", b"half_pixel" if op.opset >= 11 else b"asymmetric").decode()
    stretched = op.get("keep_aspect_ratio_policy", b"stretch") == b"stretch"
    if where not in WHERE or op.get("exclude_outside", 0) or not stretched:
        raise Unsupported(f"resizes in a way that torch has no function for ({where})")
    given, sizes = _scales(op), op.whole(3)
    axes = list(op.get("axes") or range(op.x.ndim))
    new, scales = list(old), [1.0] * len(old)
    for place, axis in enumerate(axes):
        new[axis] = sizes[place] if sizes else floor(old[axis] * given[place])
        scales[axis] = new[axis] / old[axis] if sizes else given[place]
    new[0] = old[0] if sizes and new[0] == 1 else new[0]  # the batch that a model was exported with
    sane(new)
    if new[:2] != old[:2] or not 3 <= len(old) <= 5 or min(new) < 1:
        raise Unsupported(f"resizes {old} to {new}, more than one to three axes of places")
    if mode == "nearest":
        return _nearest(op, new, scales, where)
    if where == "asymmetric" or (where == "pytorch_half_pixel" and 1 in new[2:]):
        raise Unsupported(f"interpolates where torch would not ({where})")
    if mode == "cubic" and (len(old) != 4 or op.get("cubic_coeff_a", CUBIC) != CUBIC):
        raise Unsupported("is cubic over other than two axes, or with another coefficient than torch's")
    if op.get("antialias", 0):
        raise Unsupported("smooths what it makes smaller (antialias), which onnxruntime does otherwise than torch")
    kind = "bicubic" if mode == "cubic" else LINEAR[len(old) - 2]
    if where == "align_corners":
        return functional.interpolate(op.x, new[2:], mode=kind, align_corners=True)
    if sizes:
        return functional.interpolate(op.x, new[2:], mode=kind)
    return functional.interpolate(op.x, scale_factor=scales[2:], mode=kind)


def _scales(op: Operator) -> Sequence[float]:
    given = op.optional(2 if op.opset >= 11 else 1)
    found: list[float] = [] if given is None else [float(n) for n in given.reshape(-1).tolist()]
    return found


def _nearest(op: Operator, new: Sequence[int], scales: Sequence[float], where: str) -> Tensor:
    rounded = ROUNDED[op.get("nearest_mode", b"round_prefer_floor" if op.opset >= 11 else b"floor").decode()]
    for old, length, scale in zip(op.x.shape, new, scales, strict=True):  # in float32, as onnxruntime computes it
        picked = (rounded(WHERE[where](f4(at), f4(scale), old, length)) for at in range(length))
        if [min(max(at, 0), old - 1) for at in picked] != [at * old // length for at in range(length)]:
            raise Unsupported(f"takes other nearest values than torch ({where})")
    return functional.interpolate(op.x, list(new[2:]), mode="nearest")


RULES: Mapping[str, Rule] = {"Resize": _resized, "Upsample": _resized}
