"""Statistics over a batch that is spread over ranks: two ranks with half the batch see what one with the whole sees."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def ranks() -> int:
    """How many processes train together; 1 outside torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_and_std(u: Tensor, *, per_channel: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and unbiased standard deviation of [B, C, ...], over everything ([]) or a channel ([C]), over all ranks."""
    flat = u.transpose(0, 1).flatten(1) if per_channel else u.reshape(1, -1)
    count = flat.shape[1]
    if ranks() == 1:
        var, mean = torch.var_mean(flat, dim=1, correction=1 if count > 1 else 0)
        std = var.sqrt()
    else:
        var, mean = torch.var_mean(flat.double(), dim=1, correction=0)
        mean, std = _merged(torch.stack([torch.full_like(mean, count), count * mean, count * (var + mean * mean)]))
    if not per_channel:
        mean, std = mean[0], std[0]
    return mean.to(u.dtype), std.to(u.dtype)


def mean_and_std_of_sums(count: int, total: float, squares: float) -> tuple[Tensor, Tensor]:
    """The same, [] each and in float64, from this rank's count, sum and sum of squares."""
    return _merged(torch.tensor([count, total, squares], dtype=torch.float64))


def _merged(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Count, sum and sum of squares add over ranks; in float64 the difference below loses no digit that matters."""
    if ranks() > 1:
        dist.all_reduce(sums)
    count, mean = sums[0], sums[1] / sums[0]
    var = (sums[2] - count * mean * mean) / (count - 1).clamp(min=1)
    return mean, var.clamp(min=0).sqrt()
