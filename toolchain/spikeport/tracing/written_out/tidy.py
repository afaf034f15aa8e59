"""An ONNX model without what nothing depends on, and with comparisons that were taken apart put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

TOGETHER = {"Greater": "GreaterOrEqual", "Less": "LessOrEqual"}


def tidied(operators: Sequence[onnx.NodeProto], ends: Sequence[str]) -> list[onnx.NodeProto]:
    """The operators that ``ends`` depend on; ``a > b or a == b``, as tools for older opsets write it, is one."""
    made_by = {name: operator for operator in operators for name in operator.output}
    needed, kept = set(ends), []
    for operator in reversed([_together(operator, made_by) for operator in operators]):
        if needed.intersection(operator.output):
            needed.update(operator.input)
            kept.append(operator)
    return kept[::-1]


def _together(operator: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto]) -> onnx.NodeProto:
    """A comparison in place of an Or of two."""
    parts = [made_by.get(name) for name in operator.input] if operator.op_type == "Or" else []
    kinds = {part.op_type: part for part in parts if part is not None}
    for kind, whole in TOGETHER.items():
        if set(kinds) == {kind, "Equal"} and sorted(kinds[kind].input) == sorted(kinds["Equal"].input):
            return onnx.NodeProto(
                op_type=whole, name=operator.name, input=kinds[kind].input, output=operator.output,
                metadata_props=operator.metadata_props,
            )  # fmt: skip
    return operator
