"""What an ONNX model tells of the modules that its operators come from."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable

import onnx

from spikeport.tracing.written_out.operator import Part

WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization")
SCOPES = "pkg.torch.onnx.name_scopes"  #: where torch's exporter notes the modules that an operator comes from


def label(operator: onnx.NodeProto) -> str:
    """What an operator is called."""
    return str(operator.name or operator.output[0])


def paths(operators: Iterable[onnx.NodeProto], taken: Callable[[str], bool]) -> dict[str, str]:
    """The module that each operator comes from, by its first output, as far as the file tells; no name is ``taken``."""
    scopes = {operator.output[0]: _scope(operator) for operator in operators}
    every = {scope for scope in scopes.values() if scope}
    first = {scope: _first_call(scope, every) for scope in every}

    def word(name: str) -> str:
        """A name that a module can have, and no attribute has already."""
        plain = re.sub(r"\W", "_", name)
        return f"{plain}_" if not plain or taken(plain) or hasattr(Part, plain) else plain

    return {output: ".".join(map(word, first.get(scope, ("network",)))) for output, scope in scopes.items()}


def _scope(operator: onnx.NodeProto) -> tuple[str, ...]:
    """`fc1` of a weight `fc1.weight`, of a name `/fc1/Gemm`, or of what torch's exporter notes."""
    if operator.op_type in WITH_WEIGHTS:
        for name in operator.input[1:]:
            if re.fullmatch(r"[\w.]+[./]weight", name):
                return tuple(name[: -len(".weight")].split("."))
    noted = next((each.value for each in operator.metadata_props if each.key == SCOPES), "")
    try:
        words = ast.literal_eval(noted) if noted else operator.name.strip("/").split("/")
    except (ValueError, SyntaxError):
        words = []
    words = [str(word) for word in words if word][:-1] if isinstance(words, list) else []
    return tuple(words[-1].split(".")) if noted and words else tuple(words)


def _first_call(scope: tuple[str, ...], every: set[tuple[str, ...]]) -> tuple[str, ...]:
    """torch's older exporter calls a module `l1` at its first call, then `l1_1`, `l1_2`, …"""
    plain = tuple(re.sub(r"_\d+$", "", word) for word in scope)
    return plain if plain in every else scope
