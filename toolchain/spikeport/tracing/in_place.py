"""Changes of tensors in place: what was there before, and what is true of other views no longer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spikeport.tracing.symbols import Lost, Symbol

if TYPE_CHECKING:
    from spikeport.tracing.tracer import Tracer


def in_place(name: str) -> bool:
    """Whether a function changes the values of its first argument."""
    if name == "__setitem__" or (name.startswith("__i") and name not in ("__iter__", "__invert__")):
        return True
    return name.endswith("_") and not name.endswith("__") and not name.startswith(("unsqueeze", "squeeze", "requires"))


def before(tracer: Tracer, name: str, args: Any) -> Any:
    """The arguments of a call; a constant that the call changes in place as it was before."""
    if not in_place(name) or not isinstance(args[0], Tensor) or tracer.known_of(args[0]) is not None:
        return args
    constant = args[0].clone()
    if tracer.is_fixed(args[0]):
        tracer.fix(constant)
    return (constant, *args[1:])


def spread(tracer: Tracer, name: str, args: Any) -> None:
    """Where a call changes a tensor in place, what is known of its other views is true no longer."""
    if not in_place(name) or not isinstance(args[0], Tensor):
        return
    written = args[0] if name != "__setitem__" else part(args[0], args[1])
    for other, known in overlapping(args[0], written, tracer.followed()):
        number = tracer.report(f"{name.strip('_')}: changes a tensor in place of which another view is in use")
        causes = frozenset([number])
        tracer.know(other, replace(known, causes=known.causes | causes) if isinstance(known, Symbol) else Lost(causes))
    for other, _ in overlapping(args[0], written, tracer.fixed()):
        tracer.unfix(other)


def part(tensor: Tensor, index: Any) -> Tensor:
    """What an index writes into; the whole tensor where the index makes copies."""
    with torch._C.DisableTorchFunction():
        piece = tensor[index]
    same = piece.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
    return piece if same else tensor


def overlapping(tensor: Tensor, written: Tensor, others: list[tuple[Tensor, Any]]) -> list[tuple[Tensor, Any]]:
    """The tensors, and what is known of each, that share the memory of what is written into ``tensor``."""
    place = tensor.untyped_storage().data_ptr()

    def shares(other: Tensor) -> bool:
        if other is tensor or other.untyped_storage().data_ptr() != place:
            return False
        apart = other.numel() <= written.numel() and other.storage_offset() != written.storage_offset()
        return written is tensor or not apart

    return [(other, known) for other, known in others if shares(other)]
