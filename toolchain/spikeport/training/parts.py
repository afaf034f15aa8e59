"""Samples on their way into a training: splits as tensors, shuffled batches, augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikeport.graph import Coding


@dataclass(frozen=True)
class Part:
    """Samples and labels of one split, as tensors; x [N, ...], or [T, N, ...] for events."""

    x: Tensor
    y: Tensor
    coding: Coding

    @classmethod
    def of(cls, x: NDArray[Any], y: NDArray[Any], coding: Coding) -> Part:
        """From arrays, without a copy where torch can do without one."""
        return cls(torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y)), coding)

    def __len__(self) -> int:
        return len(self.y)

    def pick(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The samples of some numbers."""
        x = self.x[index] if self.coding == "direct" else self.x[:, index]
        return x, self.y[index]


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices of shuffled batches; the last one is left out where it would hold less than half (tdBN's statistics)."""
    order = torch.randperm(count, generator=generator)
    for start in range(0, count, size):
        batch = order[start : start + size]
        if len(batch) >= max(2, size // 2) or start == 0:
            yield batch


def augment(x: Tensor, generator: torch.Generator, *, shift: int = 0, flip: bool = False) -> Tensor:
    """Move each sample of [..., B, C, H, W] by up to ``shift`` pixels, and mirror half of them.

    One draw a sample, for all its frames; what moves in is zero.
    """
    if shift:
        size = 2 * shift + 1
        height, width = x.shape[-2:]
        padded = nn.functional.pad(x, (shift,) * 4)
        rows, cols = torch.randint(0, size, (2, x.shape[-4]), generator=generator).tolist()
        moved = [
            padded[..., i, :, r : r + height, c : c + width] for i, (r, c) in enumerate(zip(rows, cols, strict=True))
        ]
        x = torch.stack(moved, dim=-4)
    if flip:
        chosen = torch.rand(x.shape[-4], generator=generator) < 0.5
        x = torch.where(chosen[:, None, None, None], x.flip(-1), x)
    return x
