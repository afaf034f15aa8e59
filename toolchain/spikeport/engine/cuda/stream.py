"""Samples on their way to a card, while it still computes those before them."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def sent(values: Tensor, device: str) -> Tensor:
    """A copy of ``values`` on a GPU, from pinned memory and in a queue of its own; what is queued next waits for it.

    On another device the values themselves.
    """
    if not device.startswith("cuda"):
        return values
    with torch.cuda.stream(_queue(device)):
        there = values.pin_memory().to(device, non_blocking=True)
    now = torch.cuda.current_stream(device)
    now.wait_stream(_queue(device))
    there.record_stream(now)
    return there


@cache
def _queue(device: str) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call,no-any-return,unused-ignore]
