"""ONNX's operators on lists of values, written out: what a loop appends to, and what a value is taken apart into.

An optional value, as a state that is None at the first step, is a list of one value or of none.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import onnx
import torch

from spikeport.formats.onnx.draft import attributes
from spikeport.tracing.written_out.row import Names, Row, RowRule


def _appended(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    before, (_, value, *place) = row.several(operator.input[0], names), operator.input
    at = row.index(place[0], names) if place else len(before)
    names[operator.output[0]] = (*before[:at], row.one(value, names), *before[at:])


def _without(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    before, place = row.several(operator.input[0], names), operator.input[1:]
    at = range(len(before))[row.index(place[0], names) if place else -1]
    names[operator.output[0]] = (*before[:at], *before[at + 1 :])


def _of_values(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    names[operator.output[0]] = tuple(row.one(name, names) for name in operator.input)


def _picked(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    names[operator.output[0]] = row.several(operator.input[0], names)[row.index(operator.input[1], names)]


def _only(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    (names[operator.output[0]],) = row.several(operator.input[0], names)


def _whether(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    names[operator.output[0]] = row.constant(bool(row.several(operator.input[0], names)))


def _counted(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    names[operator.output[0]] = row.constant(len(row.several(operator.input[0], names)))


def _joined(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    said, parts = attributes(operator), row.several(operator.input[0], names)
    if said.get("new_axis", 0):
        names[operator.output[0]] = row.stacked(operator, parts, said["axis"])
    else:
        names[operator.output[0]] = row.op(operator, "Concat", parts, axis=said["axis"])


def _taken_apart(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    """SplitToSequence(value, sizes): parts of those sizes, or of one size; of 1 where nothing says more.

    torch's exporter writes unbind as parts of size 1 without their axis, and onnxruntime runs it so; ONNX's text would
    keep the axis wherever a size is given.
    """
    said, value = attributes(operator), row.one(operator.input[0], names)
    axis = said.get("axis", 0)
    length = row.sizes.length(value, axis)
    given = row.sizes.value(row.one(operator.input[1], names)) if len(operator.input) > 1 else torch.tensor(1)
    size = int(given) if given.ndim == 0 else 0
    if size == 1 and not said.get("keepdims", 1):
        names[operator.output[0]] = tuple(
            row.op(operator, "Gather", [value, row.constant(at)], axis=axis) for at in range(length)
        )
        return
    ends = [*range(size, length, size), length] if size else torch.cumsum(given, 0).tolist()
    names[operator.output[0]] = tuple(
        row.op(operator, "Slice", [value, *(row.constant([n]) for n in (start, end, axis))])
        for start, end in pairwise([0, *ends])
    )


RULES: Mapping[str, RowRule] = {
    "ConcatFromSequence": _joined,
    "Optional": _of_values,
    "OptionalGetElement": _only,
    "OptionalHasElement": _whether,
    "SequenceAt": _picked,
    "SequenceConstruct": _of_values,
    "SequenceEmpty": _of_values,
    "SequenceErase": _without,
    "SequenceInsert": _appended,
    "SequenceLength": _counted,
    "SplitToSequence": _taken_apart,
}
