"""Samples on their way into a training: splits as tensors, shuffled batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeport.datasets import Dataset
from spikeport.findings import require
from spikeport.graph import Coding


@dataclass(frozen=True)
class Part:
    """Samples and labels of one split, as tensors; x [N, ...], or [T, N, ...] for events."""

    x: Tensor
    y: Tensor
    coding: Coding
    lengths: Tensor | None = None  #: [N], the steps of each sample where they differ

    @classmethod
    def of(cls, x: NDArray[Any], y: NDArray[Any], coding: Coding, lengths: NDArray[Any] | None = None) -> Part:
        """From arrays, without a copy where torch can do without one."""
        arrays = [None if each is None else torch.from_numpy(np.ascontiguousarray(each)) for each in (x, y, lengths)]
        return cls(arrays[0], arrays[1], coding, arrays[2])  # type: ignore[arg-type]  # the first two are arrays

    def __len__(self) -> int:
        return len(self.y)

    def pick(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The samples of some numbers."""
        index = there(index, self.x.device)
        x = self.x[index] if self.coding == "direct" else self.x[:, index]
        return x, self.y[index]

    def ends(self, index: Tensor) -> Tensor | None:
        """The lengths of the samples of some numbers; None where all have the same."""
        return None if self.lengths is None else self.lengths[there(index, self.lengths.device)]

    def near(self, device: torch.device) -> Part:
        """The same near a GPU: on it where they fill a quarter at most, else in memory that it copies from."""
        if device.type != "cuda" or self.x.is_cuda:
            return self
        fits = self.x.nbytes + self.y.nbytes <= torch.cuda.mem_get_info(device)[0] // 4
        x, y = ((each.to(device) if fits else each.pin_memory()) for each in (self.x, self.y))
        return Part(x, y, self.coding, None if self.lengths is None else self.lengths.to(device))


def shrunk(data: Dataset, factor: int) -> Dataset:
    """The samples smaller by ``factor`` a side: each pixel is the mean of a square of them.

    Small images first are a cheap beginning of a training (progressive resizing; Tan and Le 2021, EfficientNetV2,
    section 4). Raises SP312 where rows and columns of pixels are no multiple of ``factor``.
    """
    if factor == 1:
        return data
    shape = data.input_shape
    require(
        len(shape) == 3 and shape[1] % factor == 0 and shape[2] % factor == 0,
        "SP312",
        f"shrink = {factor}: frames are {list(shape)}",
        mend="a divisor of their rows and columns, or leave shrink out",
    )
    squares = data.x.reshape(*data.x.shape[:-2], shape[1] // factor, factor, shape[2] // factor, factor)
    return replace(data, x=squares.mean((-3, -1), dtype=np.float32))


def there(values: Tensor, device: torch.device) -> Tensor:
    """``values`` on a device; a GPU gets them from pinned memory, and nobody waits for it."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def batches(
    count: int, size: int, generator: torch.Generator, last: Literal["half", "keep", "drop"] = "half"
) -> Iterator[Tensor]:
    """Indices of shuffled batches.

    A ``last`` one that is not full stays where it holds half of one (tdBN's statistics), is kept as long as there are
    two samples for a variance, or is dropped; the only batch stays.
    """
    least = {"half": max(2, size // 2), "keep": 2, "drop": size}[last]
    order = torch.randperm(count, generator=generator)
    for start in range(0, count, size):
        batch = order[start : start + size]
        if len(batch) >= least or start == 0:
            yield batch
