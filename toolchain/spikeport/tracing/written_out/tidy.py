"""The operators of an ONNX model that count: what its outputs depend on, and nothing that looks at values of its input.

Comparisons that were taken apart are put together, and functions of the model's own written out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx
from onnx.inliner import inline_local_functions

from spikeport.formats.onnx.tensor import array
from spikeport.graph import Array
from spikeport.tracing.symbols import Unsupported

MOST_OPERATORS = 2**18  #: of a model whose functions are written out
#: inputs that say where or how much, by their places: they may follow from shapes, and not from values
SAY = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Unsqueeze", "Squeeze", "Gather", "GatherND", "Split"), (1,)),
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceMax"), (1,)),
    **dict.fromkeys(("Slice", "Pad"), (1, 2, 3, 4)),
    **dict.fromkeys(("Clip", "Dropout"), (1, 2)),
    **dict.fromkeys(("Resize", "Upsample"), (1, 2, 3)),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
}
TOGETHER = {"Greater": "GreaterOrEqual", "Less": "LessOrEqual"}


def tidied(
    operators: Sequence[onnx.NodeProto], ends: Sequence[str], arrays: Mapping[str, Array]
) -> list[onnx.NodeProto]:
    """The operators that ``ends`` depend on; ``a > b or a == b``, as tools for older opsets write it, is one."""
    made_by = {name: operator for operator in operators for name in operator.output}
    needed, kept = set(ends), []
    whole = [_together(operator, made_by, arrays) for operator in operators]
    for operator in reversed([part for each in whole for part in _one_step(each, made_by, arrays)]):
        if needed.intersection(operator.output):
            needed.update(operator.input)
            kept.append(operator)
    return kept[::-1]


def _together(
    operator: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto], arrays: Mapping[str, Array]
) -> onnx.NodeProto:
    """A comparison in place of an Or of two."""
    parts = [made_by.get(name) for name in operator.input] if operator.op_type == "Or" else []
    kinds = {part.op_type: part for part in parts if part is not None}
    for kind, whole in TOGETHER.items():
        if set(kinds) == {kind, "Equal"} and _alike(kinds[kind], kinds["Equal"], made_by, arrays):
            return onnx.NodeProto(
                op_type=whole, name=operator.name, input=kinds[kind].input, output=operator.output,
                metadata_props=operator.metadata_props,
            )  # fmt: skip
    return operator


def _one_step(
    operator: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto], arrays: Mapping[str, Array]
) -> list[onnx.NodeProto]:
    """A step function as one comparison, where torch.export writes heaviside as two: below, and equal."""
    if operator.op_type != "Where":
        return [operator]
    equal, other = (made_by.get(operator.input[place]) for place in (0, 2))
    if equal is None or other is None or (equal.op_type, other.op_type) != ("Equal", "Where"):
        return [operator]
    strict = made_by.get(other.input[0])
    if strict is None or strict.op_type not in TOGETHER or not _alike(strict, equal, made_by, arrays):
        return [operator]
    met, least, most = (_number(name, made_by, arrays) for name in (operator.input[1], *other.input[1:]))
    if met is None or met not in (least, most):
        return [operator]
    said = {"name": operator.name, "metadata_props": operator.metadata_props}
    kind, compared = TOGETHER[strict.op_type] if met == least else strict.op_type, f"{operator.output[0]} compared"
    return [
        onnx.NodeProto(op_type=kind, input=strict.input, output=[compared], **said),
        onnx.NodeProto(op_type="Where", input=[compared, *other.input[1:]], output=operator.output, **said),
    ]


def _number(name: str, made_by: Mapping[str, onnx.NodeProto], arrays: Mapping[str, Array]) -> float | None:
    """The number that a constant of the model is."""
    source = made_by.get(name)
    if name in arrays:
        value = arrays[name]
    elif source is not None and source.op_type == "Constant" and source.attribute[0].name == "value":
        value = array(source.attribute[0].t, "a constant")
    else:
        return None
    return float(value.item()) if value.size == 1 else None


def _alike(
    a: onnx.NodeProto, b: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto], arrays: Mapping[str, Array]
) -> bool:
    """Whether two comparisons have the same inputs, in any order of the second's, or equal numbers for them."""

    def known(each: onnx.NodeProto) -> list[float | str]:
        numbers = {name: _number(name, made_by, arrays) for name in each.input}
        return [name if number is None else number for name, number in numbers.items()]

    return known(a) in (known(b), known(b)[::-1])


def refuse_read(operators: Sequence[onnx.NodeProto], inputs: Sequence[str]) -> None:
    """Raise `Unsupported` for an operator whose place, size or bound is a value that depends on the inputs."""
    depending = set(inputs)
    for operator in operators:
        if operator.op_type == "Shape":
            continue
        for place in SAY.get(operator.op_type, ()):
            if place < len(operator.input) and operator.input[place] in depending:
                name = operator.name or operator.output[0]
                raise Unsupported(f"operator {name!r}: {operator.op_type} goes by values of the input")
        if depending.intersection(operator.input):
            depending.update(operator.output)


def last_uses(operators: Sequence[onnx.NodeProto], ends: Iterable[str]) -> dict[str, list[str]]:
    """The values that are needed no longer behind each operator, which is named by its first output."""
    kept, gone = set(ends), {}
    for operator in reversed(operators):
        gone[operator.output[0]] = [name for name in {*operator.input, *operator.output} if name and name not in kept]
        kept.update(operator.input)
    return gone


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its own functions written out. Raises `Unsupported` where they call each other in a circle or grow
    beyond what a network has.
    """
    if not model.functions:
        return model
    functions = {(each.domain, each.name): each for each in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(operators: Iterable[onnx.NodeProto], within: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for operator in operators:
            key = operator.domain, operator.op_type
            if key in within:
                raise Unsupported(f"its function {operator.op_type!r} calls itself")
            if key in functions and key not in sizes:
                sizes[key] = size(functions[key].node, (*within, key))
            total += sizes.get(key, 1)
            if total > MOST_OPERATORS:
                raise Unsupported(f"its functions make more than {MOST_OPERATORS:,} operators")
        return total

    size(model.graph.node, ())
    return inline_local_functions(model)
