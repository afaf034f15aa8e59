"""One operator of an ONNX model: what goes in, and what is said of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.tracing.symbols import Unsupported

Inputs = Sequence[Tensor | None]
MOST = 2**27  #: values that one operator may make; more is only claimed by damaged or hostile models


@dataclass(frozen=True)
class Operator:
    """One operator of a model: its inputs by place, and its attributes."""

    inputs: Inputs
    attributes: Mapping[str, Any]
    outputs: int = 1
    opset: int = 17
    real: torch.dtype = torch.float32  #: what the model's float32 is, in this run

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.at(0)

    def at(self, place: int) -> Tensor:
        """An input that has to be there."""
        value = self.optional(place)
        if value is None:
            raise Unsupported(f"lacks its input {place}")
        return value

    def optional(self, place: int) -> Tensor | None:
        """An input that may be left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def whole(self, place: int, name: str = "") -> list[int] | None:
        """Whole numbers that newer opsets have as an input and older ones as an attribute ``name``."""
        given = self.optional(place)
        if given is not None:
            return [int(n) for n in given.reshape(-1).tolist()]
        said = self.get(name) if name else None
        return None if said is None else [int(n) for n in (said if isinstance(said, list | tuple) else [said])]


def require_room(kind: str, inputs: Inputs, *, broadcasts: bool) -> None:
    """Raise `Unsupported` for an operator that would make more values than a network has of inputs that are small."""
    shapes = [tuple(each.shape) for each in inputs if each is not None]
    with contextlib.suppress(ValueError, IndexError):  # what does not fit together the operator says itself
        if kind in ("MatMul", "Gemm") and min(map(len, shapes)) > 1:
            (*lead, rows, _), (*other, a, b) = shapes[:2]
            sane([*np.broadcast_shapes(tuple(lead), tuple(other)), rows, max(a, b)])
        elif kind == "Concat":
            sane([sum(map(math.prod, shapes))])
        elif broadcasts:
            sane(np.broadcast_shapes(*shapes))


Rule = Callable[[Operator], Any]


class Part(nn.Module):
    """A place in the tree of modules that a model was exported from; operators run as its own."""

    operator = ""  #: the one that runs now

    def forward(self, rule: Rule, operator: Operator) -> Any:
        return rule(operator)


def sane(shape: Sequence[int], most: int = MOST) -> list[int]:
    """A shape of no more values than a network has. Raises `Unsupported`."""
    if min(shape, default=0) < -1 or math.prod(max(1, n) for n in shape) > most:
        raise Unsupported(f"claims values of shape {list(shape)}")
    return list(shape)
