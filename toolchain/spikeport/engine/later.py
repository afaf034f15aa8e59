"""What a device computes in its turn, and is read when all is launched: by one copy of each type, and one wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from spikeport.graph import Array

T = TypeVar("T")


@dataclass(eq=False)
class Later(Generic[T]):
    """Tensors, and what is made of their numbers. To call it waits, unless a `Parcel` has brought them."""

    there: tuple[Tensor, ...]
    made: Callable[..., T]
    here: tuple[Array, ...] | None = None

    def __call__(self) -> T:
        return self.made(*((x.contiguous().cpu().numpy() for x in self.there) if self.here is None else self.here))


class Parcel:
    """All that is read of a batch, one tensor of each type; it is put together in the device's turn."""

    def __init__(self, contents: Sequence[Later[Any]]) -> None:
        self._contents = contents
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for tensor in (each for later in contents for each in later.there):
            kinds.setdefault(tensor.dtype, []).append(tensor.flatten())
        self._there = {dtype: torch.cat(parts) for dtype, parts in kinds.items()}
        self._here: dict[torch.dtype, Tensor] = {}
        self._sent: torch.cuda.Event | None = None

    def send(self) -> None:
        """Have it brought, behind what was launched: into pinned memory, so that nobody waits."""
        card = any(there.is_cuda for there in self._there.values())
        self._here = {
            dtype: torch.empty(there.shape, dtype=dtype, pin_memory=card).copy_(there, non_blocking=card)
            for dtype, there in self._there.items()
        }
        if card:
            self._sent = torch.cuda.Event()  # type: ignore[no-untyped-call,unused-ignore]
            self._sent.record()

    def open(self) -> None:
        """Wait until it is here, and hand out what is in it."""
        if self._sent is not None:
            self._sent.synchronize()
        at = dict.fromkeys(self._here, 0)
        pages = {dtype: here.numpy().copy() for dtype, here in self._here.items()}  # pinned memory is scarce
        self._here.clear()
        for later in self._contents:
            arrays = []
            for tensor in later.there:
                start = at[tensor.dtype]
                at[tensor.dtype] = start + tensor.numel()
                arrays.append(pages[tensor.dtype][start : at[tensor.dtype]].reshape(tensor.shape))
            later.here = tuple(arrays)
