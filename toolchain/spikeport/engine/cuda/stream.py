"""Values on their way to a card and back, while it still computes those before them."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def sent(values: Tensor, device: torch.device | str) -> Tensor:
    """A copy of ``values`` on a GPU, from pinned memory and in a queue of its own; what is queued next waits for it.

    On another device the values themselves.
    """
    if torch.device(device).type != "cuda":
        return values
    with torch.cuda.stream(queue(str(device))):
        there = values.pin_memory().to(device, non_blocking=True)
    now = torch.cuda.current_stream(device)
    now.wait_stream(queue(str(device)))
    there.record_stream(now)
    return there


def put(values: Tensor, there: Tensor) -> None:
    """Copy ``values`` to where something reads them that is queued next; `sent` says how. What read them is over."""
    if not there.is_cuda:
        there.copy_(values)
        return
    side = queue(str(there.device))
    with torch.cuda.stream(side):
        there.copy_(values.pin_memory(), non_blocking=True)
    torch.cuda.current_stream(there.device).wait_stream(side)


@cache
def queue(device: str, what: str = "samples") -> torch.cuda.Stream:
    """A GPU's queue for one purpose."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call,no-any-return,unused-ignore]
