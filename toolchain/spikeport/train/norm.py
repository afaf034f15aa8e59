"""Threshold-dependent batch normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeport.train.layers import split_time
from spikeport.train.methods import Method


class TdBatchNorm(nn.Module):
    """tdBN over [T, B, C] or [T, B, C, H, W]: statistics a channel over time, batch and space.

        y = weight * scale * (x - mean) / sqrt(var + eps) + bias

    ``scale`` is alpha * V_th where the method keeps it apart from gamma (MPD-AGL, layers.py:49-133), 1 where gamma
    starts at alpha * V_th (DS-ATGO, layers.py:7-34). Biased variance in training, unbiased in the running estimate,
    momentum 0.1, eps 1e-5 (both codes). Keys as in a BatchNorm: weight, bias, running_mean, running_var.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, method: Method, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.channels = channels
        self.scale = float(method.norm_scale)
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.full((channels,), float(method.norm_gamma)))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        weight = self.weight if self.scale == 1.0 else self.weight * self.scale
        y = F.batch_norm(
            flat, self.running_mean, self.running_var, weight, self.bias, self.training, self.momentum, self.eps
        )
        return split_time(y, x)

    def extra_repr(self) -> str:
        return f"{self.channels}, scale={self.scale:g}"
