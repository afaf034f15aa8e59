"""How a layer lies in memory, and what the compiled loops may walk through without a copy."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def whole(x: Tensor) -> bool:
    """Whether each step of ``x`` [T, B, ...] is one block of memory (channels-last too); steps may share theirs."""
    one = x[0]
    block = one.is_contiguous() or (one.ndim == 4 and one.is_contiguous(memory_format=torch.channels_last))
    return block and (x.shape[0] == 1 or x.stride(0) in (0, one.numel()))


def rows_of_channels(x: Tensor) -> bool:
    """Whether the memory of ``x`` [T, B, C, ...] is rows of C neighbours, step after step: channels-last, or dense."""
    one = x[0]
    rows = one.ndim == 2 or (one.ndim == 4 and one.is_contiguous(memory_format=torch.channels_last))
    return rows and whole(x) and (x.shape[0] == 1 or x.stride(0) != 0)


def flat(x: Tensor) -> NDArray[Any]:
    """[T, n] in memory order, or [1, n] where all steps share memory, without a copy; bfloat16 as its bits."""
    count = x[0].numel()
    steps = 1 if x.stride(0) == 0 else x.shape[0]
    view = x.detach().as_strided((steps, count), (count, 1))
    bits = view.view(torch.uint16) if view.dtype == torch.bfloat16 else view
    array: NDArray[Any] = bits.numpy()
    return array


def like(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Empty, of the shape of ``x`` and the memory order of its steps, also where the steps of ``x`` share memory."""
    return torch.empty_strided(x.shape, (x[0].numel(), *x.stride()[1:]), dtype=dtype, device=x.device)


def ordered(grad: Tensor, x: Tensor) -> Tensor:
    """``grad`` in the memory order of ``x``; steps that share memory (an expanded gradient) may stay so."""
    if grad[0].stride() == x[0].stride() and (grad.shape[0] == 1 or grad.stride(0) in (0, x[0].numel())):
        return grad
    return like(x, grad.dtype).copy_(grad)
