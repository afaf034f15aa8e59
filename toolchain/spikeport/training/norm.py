"""Threshold-dependent batch normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeport.training.layers import split_time
from spikeport.training.methods import Method
from spikeport.training.reduce import before, normalise_over_ranks, ranks


class TdBatchNorm(nn.Module):
    """tdBN over [T, B, C] or [T, B, C, H, W]: statistics a channel over time, batch and space.

        y = weight * scale * (x - mean) / sqrt(var + eps) + bias

    ``scale`` is alpha * V_th where the method keeps it apart from gamma (MPD-AGL, layers.py:49-133), 1 where gamma
    starts at alpha * V_th (DS-ATGO, layers.py:7-34). Biased variance in training, unbiased in the running estimate,
    momentum 0.1, eps 1e-5 (both codes). Keys as in a BatchNorm: weight, bias, running_mean, running_var.
    """

    running_mean: Tensor
    running_var: Tensor
    ends: Tensor | None = None  #: [B], steps after which a sample's values are none (`ends.reading`)

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
        once = self.ends is None and x.shape[0] > 1 and x.stride(0) == 0  # the same at each step, as after `Repeat`
        if once:
            return self._repeated(x)
        return split_time(self._normalise(x.flatten(0, 1), self.running_mean, self.running_var), x)

    def _repeated(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = mean.clone(), var.clone()  # torch keeps what it is given for the backward pass
        y = self._normalise(x[0], mean, var)
        if self.training:
            # torch took n values for n * T: the unbiased variance of the repeated values is a hair smaller
            once, often = (ranks() * n.numel() // self.channels for n in (x[0], x))
            part = (var - (1 - self.momentum) * self.running_var) * ((once - 1) * often / (once * (often - 1)) - 1)
            self.running_mean.copy_(mean)
            self.running_var.copy_(var + part)
        return y.unsqueeze(0).expand(x.shape[0], *y.shape)

    def _normalise(self, flat: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        weight = self.weight if self.scale == 1.0 else self.weight * self.scale
        if self.training and (ranks() > 1 or self.ends is not None):
            alive = None if self.ends is None else before(self.ends, len(flat) // len(self.ends)).flatten()
            return normalise_over_ranks(flat, mean, var, weight, self.bias, self.momentum, self.eps, alive)
        return F.batch_norm(flat, mean, var, weight, self.bias, self.training, self.momentum, self.eps)

    @torch.no_grad()
    def follow(self, mean: Tensor, var: Tensor) -> None:
        """Move the running estimates towards mean and unbiased variance [C] of a batch."""
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)

    def extra_repr(self) -> str:
        return f"{self.channels}, scale={self.scale:g}"
