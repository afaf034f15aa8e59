"""ONNX's operators with bodies, written out: loops, scans and branches."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from spikeport.formats.onnx.draft import attributes
from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.written_out.row import Names, Row, RowRule
from spikeport.tracing.written_out.tidy import MOST_OPERATORS


def _loop(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    """Loop(times, whether it begins, what it carries...): what it carries at the end, and what each time made."""
    body = attributes(operator)["body"]
    times, begins, *carried = (*operator.input, "", "")[: max(2, len(operator.input))]
    most = row.index(times, names) if times else MOST_OPERATORS
    goes_on = not begins or bool(row.index(begins, names))
    held, states = row.held(body), [names.get(name, name) for name in carried]
    made: list[list[str]] = [[] for _ in body.output[1 + len(carried) :]]
    time = 0
    while goes_on and time < most:
        if time >= MOST_OPERATORS:
            raise Unsupported("does not end")
        entering = [row.constant(time), row.constant(True), *states]
        inner: Names = names.new_child({**held, **dict(zip((i.name for i in body.input), entering, strict=True))})
        row.body(body.node, inner)
        going, *ends = (info.name for info in body.output)
        goes_on, time = bool(row.index(going, inner)), time + 1
        states = [inner.get(name, name) for name in ends[: len(carried)]]
        for parts, name in zip(made, ends[len(carried) :], strict=True):
            parts.append(row.one(name, inner))
    results = [*states, *(row.stacked(operator, parts, 0) for parts in made)]
    names.update(zip(operator.output, results, strict=False))


def _scan(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    """Scan(states..., values...): a part of each value a time, from opset 9 on."""
    said, body = attributes(operator), attributes(operator)["body"]
    scanned = said["num_scan_inputs"]
    if row.opset < 9:
        raise Unsupported("is one of opset 8, which ran over a batch")
    values = [row.one(name, names) for name in operator.input[len(operator.input) - scanned :]]
    states = [names.get(name, name) for name in operator.input[: len(operator.input) - scanned]]
    axes = said.get("scan_input_axes") or [0] * scanned
    backwards = said.get("scan_input_directions") or [0] * scanned
    lengths = [row.sizes.length(value, axis) for value, axis in zip(values, axes, strict=True)]
    if len(set(lengths)) != 1:
        raise Unsupported(f"goes over values of different lengths {lengths}")
    held, (length, *_) = row.held(body), lengths
    made: list[list[str]] = [[] for _ in body.output[len(states) :]]
    for time in range(length):
        places = [row.constant(length - 1 - time if back else time) for back in backwards]
        parts = [
            row.op(operator, "Gather", pair, axis=axis)
            for pair, axis in zip(zip(values, places, strict=True), axes, strict=True)
        ]
        entering = dict(zip((info.name for info in body.input), [*states, *parts], strict=True))
        inner: Names = names.new_child({**held, **entering})
        row.body(body.node, inner)
        ends = [info.name for info in body.output]
        states = [inner.get(name, name) for name in ends[: len(states)]]
        for steps, name in zip(made, ends[len(states) :], strict=True):
            steps.append(row.one(name, inner))
    turned = said.get("scan_output_directions") or [0] * len(made)
    along = said.get("scan_output_axes") or [0] * len(made)
    results = [
        row.stacked(operator, steps[::-1] if back else steps, axis)
        for steps, back, axis in zip(made, turned, along, strict=True)
    ]
    names.update(zip(operator.output, [*states, *results], strict=False))


def _branch(row: Row, operator: onnx.NodeProto, names: Names) -> None:
    """If(which): one of two bodies."""
    body = attributes(operator)["then_branch" if row.index(operator.input[0], names) else "else_branch"]
    inner: Names = names.new_child(row.held(body))
    row.body(body.node, inner)
    names.update(zip(operator.output, (inner.get(info.name, info.name) for info in body.output), strict=True))


RULES: Mapping[str, RowRule] = {"If": _branch, "Loop": _loop, "Scan": _scan}
