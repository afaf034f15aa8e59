"""Normalisations with numbers of their own at each timestep: TEBN and TAB. In a graph they are a `StepAffine`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from spikeport.findings import require
from spikeport.training.methods import Method
from spikeport.training.norm import TdBatchNorm
from spikeport.training.reduce import ranks

NormName = Literal["tdbn", "tebn", "tab"]


class Tebn(TdBatchNorm):
    """TEBN over [T, B, C, ...]: tdBN, then a learned factor a timestep, ``y[t] = factor[t] * tdBN(x)[t]``.

    Factors start at 1. Source: Duan et al., NeurIPS 2022, and their code (models.py). Raises SP310 for another T.
    """

    def __init__(self, channels: int, method: Method, timesteps: int) -> None:
        super().__init__(channels, method)
        self.factor = nn.Parameter(torch.ones(timesteps))

    def forward(self, x: Tensor) -> Tensor:
        _require_steps(x, self.factor)
        return super().forward(x) * _a_step(self.factor, x)


class Tab(TdBatchNorm):
    """TAB over [T, B, C, ...]: each step is normalised by the statistics of all steps up to it.

        y[t] = p[t]**2 * (weight[t] * scale * (x[t] - mean[t]) / sqrt(var[t] + eps) + bias[t])
        mean[t], var[t] of x[0], ..., x[t], a channel; biased in training, unbiased in the running estimate

    Weight, bias and both estimates are [T, C], p is [T] and starts at 1. Source: Jiang et al., ICLR 2024, and their
    code (models.py), which has T batch normalisations; momentum 0.1 and eps 1e-5 are theirs.
    Raises SP310 for another T, SP316 where several processes train together.
    """

    def __init__(self, channels: int, method: Method, timesteps: int) -> None:
        super().__init__(channels, method)
        self.p = nn.Parameter(torch.ones(timesteps))
        self.weight = nn.Parameter(self.weight.detach().repeat(timesteps, 1))
        self.bias = nn.Parameter(self.bias.detach().repeat(timesteps, 1))
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, getattr(self, name).repeat(timesteps, 1))

    def forward(self, x: Tensor) -> Tensor:
        _require_steps(x, self.p)
        mean, var = self._accumulated(x) if self.training else (self.running_mean, self.running_var)
        factor = self.p.square()[:, None]
        gain = factor * self.weight * self.scale * torch.rsqrt(var + self.eps)
        return x * _a_step(gain, x) + _a_step(factor * self.bias - mean * gain, x)

    def _accumulated(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance [T, C] of the steps up to each; the running estimates follow them."""
        require(ranks() == 1, "SP316", "TAB trains in one process", mend='norm = "tebn", or leave torchrun out')
        over = (1, *range(3, x.ndim))
        var, mean = torch.var_mean(x, over, correction=0)
        steps = torch.arange(1, len(x) + 1, device=x.device, dtype=x.dtype)[:, None]
        apart = mean - mean[:1].detach()  # so that squares of large means do not cancel
        shift = apart.cumsum(0) / steps
        so_far = (var + apart.square()).cumsum(0) / steps - shift.square()
        values = steps * (x[0].numel() // x.shape[2])
        with torch.no_grad():
            self.running_mean.lerp_((shift + mean[:1]).to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_((so_far * values / (values - 1)).to(self.running_var.dtype), self.momentum)
        return shift + mean[:1].detach(), so_far


def norm_of(name: NormName, channels: int, method: Method, timesteps: int) -> TdBatchNorm:
    """The normalisation that a network's option ``norm`` names."""
    if name == "tdbn":
        return TdBatchNorm(channels, method)
    return (Tebn if name == "tebn" else Tab)(channels, method, timesteps)


def _require_steps(x: Tensor, schedule: Tensor) -> None:
    what = f"the normalisation has numbers for {len(schedule)} timesteps, the input has {x.shape[0]}"
    require(len(schedule) == x.shape[0], "SP310", what, mend="run the steps that the model was trained with")


def _a_step(schedule: Tensor, x: Tensor) -> Tensor:
    """[T] or [T, C], so that it broadcasts over [T, B, C, ...]."""
    if schedule.ndim == 1:
        return schedule.reshape(-1, *(1,) * (x.ndim - 1))
    return schedule.reshape(len(schedule), 1, -1, *(1,) * (x.ndim - 3))
