"""Zones around the memory of kernels, which a card would let them read and write: what they do there is seen here.

Each storage that a kernel is given is put between two zones of poison: a value read from there spoils the result, one
that is written there fails at once. New memory is full of poison too, so that nothing relies on what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_map

POISON = 165
ZONE = 1 << 14  #: bytes on each side; a whole number of any type


def as_bytes(storage: torch.UntypedStorage) -> torch.Tensor:
    """A storage as a tensor."""
    return torch.empty(0, dtype=torch.uint8).set_(storage)  # type: ignore[call-overload,no-any-return]


def launch_between_zones(launch: Callable[..., None], args: Any, named: Any) -> None:
    """Call a kernel's launch with copies between zones, and copy back what it wrote."""
    storages: dict[int, tuple[torch.UntypedStorage, torch.Tensor, int]] = {}

    def guarded(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not value.untyped_storage().nbytes():
            return value
        storage = value.untyped_storage()
        if storage.data_ptr() not in storages:
            fill = POISON + len(storages)  # of each its own, or what is copied from zone to zone would not be seen
            whole = torch.full((storage.nbytes() + 2 * ZONE,), fill, dtype=torch.uint8)
            whole[ZONE:-ZONE] = as_bytes(storage)
            storages[storage.data_ptr()] = storage, whole, fill
        inside = storages[storage.data_ptr()][1].untyped_storage()
        start = ZONE // value.itemsize + value.storage_offset()
        return value.new_empty(0).set_(inside, start, value.shape, value.stride())

    launch(*tree_map(guarded, args), **tree_map(guarded, named))
    for storage, whole, fill in storages.values():
        assert (whole[:ZONE] == fill).all(), "a kernel wrote in front of what it was given"
        assert (whole[-ZONE:] == fill).all(), "a kernel wrote behind what it was given"
        as_bytes(storage).copy_(whole[ZONE:-ZONE])


@contextmanager
def poisoned() -> Iterator[None]:
    """Within, new memory on the CPU holds poison."""
    before = {name: getattr(torch, name) for name in ("empty", "empty_strided", "empty_like")}

    def spoilt(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def new(*args: Any, **named: Any) -> torch.Tensor:
            value = make(*args, **named)
            if value.device.type == "cpu" and value.untyped_storage().nbytes():
                before["empty"](0, dtype=torch.uint8).set_(value.untyped_storage()).fill_(POISON)
            return value

        return new

    for name, make in before.items():
        setattr(torch, name, spoilt(make))
    try:
        yield
    finally:
        for name, make in before.items():
            setattr(torch, name, make)
