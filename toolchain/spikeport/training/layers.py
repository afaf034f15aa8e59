"""Layers without state over [T, B, ...]: time and batch are folded into one axis, as torch's own layers want it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from spikeport.findings import require


def split_time(y: Tensor, x: Tensor) -> Tensor:
    """[T * B, ...] back to [T, B, ...], with the T and B of ``x``; a view."""
    return y.reshape(x.shape[0], x.shape[1], *y.shape[1:])


class Repeat(nn.Module):
    """Direct coding: the same analog frame at each step. [B, ...] -> [T, B, ...], without a copy."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps

    def forward(self, x: Tensor) -> Tensor:
        return x.unsqueeze(0).expand(self.timesteps, *x.shape)

    def extra_repr(self) -> str:
        return str(self.timesteps)


class Conv2d(nn.Conv2d):
    """torch's Conv2d over [T, B, C, H, W]; a repeated frame is convolved once."""

    def forward(self, x: Tensor) -> Tensor:
        if x.stride(0) == 0 and x.shape[0] > 1:
            once = super().forward(x[0])
            return once.unsqueeze(0).expand(x.shape[0], *once.shape)
        return split_time(super().forward(x.flatten(0, 1)), x)


class Linear(nn.Linear):
    """torch's Linear over [T, B, C]."""


class AvgPool2d(nn.AvgPool2d):
    """torch's AvgPool2d over [T, B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        return split_time(super().forward(x.flatten(0, 1)), x)


class GlobalAvgPool2d(nn.Module):
    """Mean over space: [T, B, C, H, W] -> [T, B, C, 1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1), keepdim=True)


class Flatten(nn.Flatten):
    """[T, B, ...] -> [T, B, features], the last axis running fastest."""

    def __init__(self) -> None:
        super().__init__(start_dim=2)


class Readout(nn.Module):
    """The output, which does not spike: ``sum_t weight[t] * x[t]``. [T, B, classes] -> [B, classes].

    ``weight`` [T] is a buffer, 1/T at the start: the mean over time (DS-ATGO eq. 8). Raises SP310 for another T.
    """

    weight: Tensor

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps
        self.register_buffer("weight", torch.full((timesteps,), 1 / timesteps))

    def forward(self, x: Tensor) -> Tensor:
        require(x.shape[0] == self.timesteps, "SP310", f"reads {self.timesteps} timesteps, the input has {x.shape[0]}")
        weight = self.weight.to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
        return (weight * x).sum(0)

    def extra_repr(self) -> str:
        return str(self.timesteps)


def start_weights(module: nn.Module, how: Literal["kaiming", "torch"] = "kaiming") -> None:
    """Kaiming-normal, fan-out, for all convolutions (both codes); linear layers keep torch's start.

    Weights without memory stay as they are: torch imports its compiler to draw them, which takes seconds.
    """
    for part in module.modules():
        if how == "kaiming" and isinstance(part, nn.Conv2d) and not part.weight.is_meta:
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
